# SPDX-License-Identifier: GPL-2.0
"""How Sphinx builds this folder, see "make htmldocs"."""

import os
import sys

# The extension kerneldoc is the kernel's. It finds the kernel's parser below
# "srctree", and the files that the directives name below kerneldoc_srctree.
kernel = os.environ["srctree"]
sys.path[:0] = [os.path.join(kernel, "Documentation", "sphinx"), os.path.abspath(".")]
extensions = ["kerneldoc", "references"]
kerneldoc_srctree = os.path.abspath("..")

project = "smmuv3-accel"
primary_domain = "c"
highlight_language = "none"
c_id_attributes = ["__user"]

html_theme = "sphinx_rtd_theme"
html_show_copyright = False
html_copy_source = False
