#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of model.py: its laws, and that the page has the tables that it prints"""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest

import model

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "../../Documentation/userspace-api/cost-model.rst")
RESULTS = {
    "clock": "real",
    "batch1_ns": 700,
    "batch1024_ns": 700 + 1023 * 50,
    "doorbell1_ns": 800,
    "doorbell64_ns": 4000,
    "doorbell1024_ns": 800 + 1023 * 55,
}


def run(*args):
    """The status of model.py, and what it prints"""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            status = model.main(args)
        except SystemExit as end:
            status = end.code
    return status, out.getvalue()


class Files(unittest.TestCase):
    def setUp(self):
        # pylint: disable-next=consider-using-with # until the test ends
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.name = os.path.join(folder.name, "file")

    def write(self, text):
        with open(self.name, "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name=None):
        with open(name or self.name, encoding="utf-8") as file:
            return file.read()

    def test_page_has_the_tables(self):
        self.assertEqual(run("--check", PAGE), (0, ""))

    def test_changed_figure_is_found(self):
        self.write(self.read(PAGE).replace("1,683", "1,684", 1))
        status, said = run("--check", self.name)
        self.assertEqual(status, 1)
        self.assertIn("the table 'parameters' is not", said)

    def test_missing_and_second_table_are_found(self):
        page = self.read(PAGE)
        for text in (page.replace(".. model: limits\n", ""), page + "\n.. model: limits\n\nx\n"):
            self.write(text)
            with self.assertRaisesRegex(ValueError, "the page has "):
                run("--check", self.name)

    def test_update_puts_the_tables_there(self):
        page = self.read(PAGE)
        self.write(page.replace("1,683", "7", 1))
        self.assertEqual(run("--update", self.name), (0, ""))
        self.assertEqual(self.read(), page)

    def test_bench_replaces_the_times(self):
        # three further SMMUs: 4,000 each, or 100 each if it is withheld
        fanout = {"fanout4_vs_1": 1.075, "fanout4_unfiltered_vs_1": 4}
        self.write(json.dumps({**RESULTS, **fanout}))
        status, said = run("--bench", self.name, "--set", "exit_user=1000", "--set", "guest=0",
                           "doorbell", "limits")
        self.assertEqual(status, 0)
        # two exits and a call; an exit and RUN_CMDQ
        self.assertRegex(said, r"1 +QEMU, accel=on +2\.70 \(1\.00\) +2\.70 ")
        self.assertRegex(said, r"1 +RUN_CMDQ by exit +1\.80 \(0\.67\)")
        self.assertRegex(said, r"32 +QEMU, accel=on +24\.40 ")
        self.assertRegex(said, r"32 +RUN_CMDQ by exit +3\.5[01] ")  # 1,000 + 800 + 31 * 55
        self.assertRegex(said, r"each further SMMU, 1 TLBI, us +0\.85 ")
        self.assertRegex(said, r"the same if withheld, us +0\.10 ")

    def test_bench_replaces_the_counts(self):
        self.write(json.dumps({**RESULTS, "clock": "instructions"}))
        status, said = run("--bench", self.name, "parameters")
        self.assertEqual(status, 0)
        self.assertRegex(said, rf"``direct_first`` +{700 - model.EMPTY_CALL} ")
        for line in (r"``direct_next`` +50 ", r"``module_first`` +100 ", r"``module_next`` +5 ",
                     rf"``withheld`` +{model.counts(model.COUNTED)['withheld']} "):
            self.assertRegex(said, line)

    def test_incomplete_results_are_refused(self):
        self.write(json.dumps({"batch1_ns": 1, "doorbell64_ns": 1}))
        with self.assertRaisesRegex(ValueError, "no batch1024_ns, doorbell1_ns, doorbell1024_ns"):
            run("--bench", self.name)


class Laws(unittest.TestCase):
    def hosts(self):
        """The hosts, and each with each parameter at both ends of its range"""
        base = model.Model()
        yield from base.hosts
        for name, parameter in model.PARAMETERS.items():
            for value in (parameter.low, parameter.high):
                yield base.with_parameter(name, value)

    def test_order_of_the_sides(self):
        for host in self.hosts():
            for num in (1, 2, 32, 1024):
                self.assertLess(host.hardware(num), host.polled(num))
                self.assertLess(host.polled(num), host.exiting(num))
                self.assertLess(host.exiting(num), host.qemu(num))

    def test_withholding_is_never_dearer(self):
        for host in self.hosts():
            for num in (1, 32):
                for more in range(1, 10):
                    for side in (host.exiting, host.polled):
                        self.assertLess(side(num, 1, more), side(num, 1 + more))
                        self.assertGreater(side(num, 1, more), side(num))

    def test_values_are_in_their_ranges(self):
        for parameter in model.PARAMETERS.values():
            for value in parameter.values:
                self.assertLessEqual(parameter.low, value)
                self.assertLessEqual(value, parameter.high)

    def test_published_gain_of_a_hardware_queue(self):
        """70 to 90 percent less than a queue that traps, see [vCMDQ]_ in the page"""
        for host in model.Model().hosts:
            self.assertLess(0.7, 1 - host.hardware(1) / host.qemu(1))
            self.assertLess(1 - host.hardware(1) / host.qemu(1), 0.9)

    def test_polling_that_saves_nothing(self):
        status, said = run("--set", "exit_user=551", "--set", "exit_kernel=451", "limits")
        self.assertEqual(status, 0)
        self.assertRegex(said, r"at which that is a CPU +never  never")

    def test_wrong_arguments_are_refused(self):
        for args in (["--set", "speed=1"], ["--set", "sync=fast"], ["doorbells"],
                     ["--check", PAGE, "--set", "sync=1"], ["--update", PAGE, "doorbell"]):
            self.assertEqual(run(*args)[0], 2)


if __name__ == "__main__":
    sys.exit(unittest.main())
