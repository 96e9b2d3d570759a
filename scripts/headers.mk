# SPDX-License-Identifier: GPL-2.0
#
# For programs that need new kernel headers: $(O)/headers says so if they are too old.
# HEADERS_HAVE: an expression that needs all that the program uses of linux/iommufd.h and
# linux/vfio.h.

$(O)/headers:
	@mkdir -p $(O)
	@printf '#include <linux/iommufd.h>\n#include <linux/vfio.h>\n%s\n' \
		'unsigned long f = $(HEADERS_HAVE);' | \
		$(CC) $(CPPFLAGS) -x c -fsyntax-only - >/dev/null 2>&1 || \
		{ echo 'the kernel headers are too old: set KHDR_INCLUDES, see the head of this makefile' >&2; exit 1; }
	@touch $@
