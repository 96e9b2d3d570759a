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
    """The text of each file that matches."""
    return [(path, read(path)) for path in glob.glob(os.path.join(TOP, pattern))]


def find_tests():
    """For each program and each suite, the names of its tests."""
    tests = {}
    for path, text in read_all(SELFTESTS):
        program = os.path.splitext(os.path.basename(path))[0]
        names = set(re.findall(r"^TEST\((\w+)", text, re.M))
        names |= {".".join(found) for found in
                  re.findall(r"^TEST_F\w*\((\w+),\s*(\w+)", text, re.M)}
        tests[program] = names | {name.split(".")[0] + ".*" for name in names if "." in name}
    for _, text in read_all(KUNIT):
        cases = set(re.findall(r"KUNIT_CASE(?:_\w+)?\((\w+)", text))
        for suite in re.findall(r'\.name = "(smmuv3-accel-[\w-]+)"', text):
            tests[suite] = cases
    return tests


def check_user_abi(app, env):
    """Each struct, enum and documented constant of the user ABI is on a page."""
    included = {name for name, *_ in env.get_domain("c").get_objects()}
    for name in re.findall(r"^ \* (?:enum|struct|define) (\w+) - ", read(UAPI), re.M):
        if name not in included:
            warning("%s is on no page", name)


def check_tests(app, env):
    """Each test that a page or SECURITY.md names exists.

    "program: fixture.test" or "suite: case", and later on in the same text
    "fixture.test" alone, for the program that was named last with that fixture. A star
    stands for all tests of a fixture.
    """
    tests = find_tests()
    for path in ["SECURITY.md"] + [f"Documentation/{doc}.rst" for doc in env.found_docs]:
        programs = {}
        for program, name in re.findall(r"`(?:([\w-]+):\s+)?(\w+(?:\.[\w*]+)?)`", read(path)):
            fixture = name.split(".")[0]
            if program and (program in tests or "." in name or program.startswith("smmuv3-")):
                programs[fixture] = program
            elif program or "." not in name or fixture not in programs:
                continue
            program = programs[fixture]
            if name not in tests.get(program, ()):
                warning("%s: there is no test '%s: %s'", path, program, name)


def check_commands(app, env):
    """Each test that a command picks ("-- program -t test") exists: of none, none fails."""
    tests = find_tests()
    pages = [f"Documentation/{doc}.rst" for doc in env.found_docs]
    for path in ["README.md", "CONTRIBUTING.md"] + pages:
        for program, name in re.findall(r"-- (\w+) -t (\w+)", read(path)):
            if name not in {test.split(".")[-1] for test in tests.get(program, ())}:
                warning("%s: '%s -t %s' runs no test", path, program, name)


def setup(app):
    """Sphinx calls this when it loads the extension."""
    app.connect("env-check-consistency", check_user_abi)
    app.connect("env-check-consistency", check_tests)
    app.connect("env-check-consistency", check_commands)
    return {"parallel_read_safe": True}
