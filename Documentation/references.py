# SPDX-License-Identifier: GPL-2.0
"""Warn of what the pages leave out, or name and does not exist."""

import glob
import os
import re

from sphinx.util import logging

TOP = os.path.join(os.path.dirname(__file__), "..")
KUNIT = "drivers/iommu/smmuv3-accel/*_test.c"
SELFTESTS = "tools/testing/selftests/smmuv3-accel/*.c"
UAPI = "include/uapi/linux/smmuv3_accel.h"

warning = logging.getLogger(__name__).warning


def read(path):
    """The text of a file below the top folder."""
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def read_all(pattern):
    """The text of all files that match, with the files' names without suffix."""
    paths = glob.glob(os.path.join(TOP, pattern))
    names = {os.path.splitext(os.path.basename(path))[0] for path in paths}
    return names, "".join(read(path) for path in paths)


def check_user_abi(app, env):
    """Each struct, enum and documented constant of the user ABI is on a page."""
    included = {name for name, *_ in env.get_domain("c").get_objects()}
    for name in re.findall(r"^ \* (?:enum|struct|define) (\w+) - ", read(UAPI), re.M):
        if name not in included:
            warning("%s is on no page", name)


def check_tests(app, env):
    """Each test that a page or SECURITY.md names exists.

    "program: fixture.test" or "suite: case", and later on in the same text
    "fixture.test" alone. A star stands for all tests of a fixture.
    """
    programs, selftests = read_all(SELFTESTS)
    _, kunit = read_all(KUNIT)
    suites = set(re.findall(r'\.name = "(smmuv3-accel-[\w-]+)"', kunit))
    cases = set(re.findall(r"KUNIT_CASE(?:_\w+)?\((\w+)", kunit))
    tests = set(re.findall(r"^TEST[A-Z_]*\((?:\w+, *)?(\w+)", selftests, re.M))
    tests |= {fixture + ".*" for fixture in re.findall(r"^FIXTURE\((\w+)", selftests, re.M)}

    def exists(name):
        parts = name.split(".")
        return (".".join(parts[-2:]) if parts[-1] == "*" else parts[-1]) in tests

    for path in ["SECURITY.md"] + [f"Documentation/{doc}.rst" for doc in env.found_docs]:
        text = read(path)
        fixtures = set()
        for program, name in re.findall(r"`([\w-]+): ([\w.*]+)`", text):
            if program in suites:
                known = name in cases
            elif program in programs:
                known = exists(name)
                fixtures.add(name.split(".")[0])
            else:
                known = not re.search(r"[a-z]\.[a-z]", name)
            if not known:
                warning("%s: there is no test '%s: %s'", path, program, name)
        for name in re.findall(r"`(\w+\.\w+)`", text):
            if name.split(".")[0] in fixtures and not exists(name):
                warning("%s: there is no test '%s'", path, name)


def setup(app):
    """Sphinx calls this when it loads the extension."""
    app.connect("env-check-consistency", check_user_abi)
    app.connect("env-check-consistency", check_tests)
    return {"parallel_read_safe": True}
