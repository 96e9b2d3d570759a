#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Test ../report.py with figures that are made up."""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).parent
TOP = HERE.parents[2]
sys.path.insert(0, str(HERE.parent))
sys.dont_write_bytecode = True
import report  # noqa: E402


def good():
    """Return figures that meet all bars, for each clock."""
    figures = {clock: {} for clock in (report.INSTRUCTIONS, report.REAL)}
    for key, relation, limit, clock in report.BARS:
        other = report.REAL if clock == report.INSTRUCTIONS else report.INSTRUCTIONS
        figures[clock].update({key: limit, f"{key}_q1": limit, f"{key}_q3": limit})
        figures[other][key] = 0 if relation == "at least" else 2 * limit
    for n in (1, 64):
        figures[report.INSTRUCTIONS].update({f"doorbell{n}_ns": 2000 * n, f"batch{n}_ns": 1000 * n})
    figures[report.REAL].update({"scaling4_vs_direct": 0.5, "scaling4_vs_direct_q1": 0.25,
                                 "scaling4_vs_direct_q3": 0.75})
    return figures


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.TemporaryDirectory()
        self.addCleanup(self.work.cleanup)
        self.folder = Path(self.work.name)

    def put(self, clock, name, figures):
        host = dict.fromkeys(report.HOST, f"made up, {clock}")
        (self.folder / clock).mkdir(exist_ok=True)
        (self.folder / clock / name).write_text(
            json.dumps({"clock": clock, "skipped": {}, **host, **figures}), encoding="utf-8")

    def run_it(self, figures):
        for clock, values in figures.items():
            self.put(clock, "a.json", values)
        return subprocess.run(
            [sys.executable, HERE.parent / "report.py", self.folder, self.folder / "json",
             self.folder / "dat"], capture_output=True, text=True, check=False)

    def test_all_met(self):
        done = self.run_it(good())
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertNotIn("MISSED", done.stdout)
        result = json.loads((self.folder / "json").read_text(encoding="utf-8"))
        self.assertEqual(result["kernel"], "made up, instructions")
        self.assertEqual(result["repetitions"], "made up, instructions")
        self.assertEqual(result["repetitions_real"], "made up, real")
        self.assertEqual(result["doorbell1_vs_batch"], 1.1)
        self.assertEqual(result["doorbell1_vs_batch_q1"], 1.1)
        self.assertEqual(result["doorbell1_vs_batch_real"], 2.2)
        self.assertEqual(result["scaling4_vs_direct_real_q1"], 0.25)
        self.assertNotIn("scaling4_vs_direct", result)
        self.assertEqual((self.folder / "dat").read_text(encoding="ascii").splitlines()[1:],
                         ["1 2000.0 1000.0 1000", "64 2000.0 1000.0 1000"])

    def test_each_bar_can_be_missed(self):
        for key, relation, limit, clock in report.BARS:
            with self.subTest(key):
                figures = good()
                figures[clock][key] = limit * (0.99 if relation == "at least" else 1.01)
                done = self.run_it(figures)
                self.assertEqual(done.returncode, 2)
                self.assertRegex(done.stdout, rf"(?m)^{key} .* MISSED$")
                self.assertTrue(done.stdout.endswith("\nbars missed: 1\n"), done.stdout)

    def test_less_is_not_better(self):
        """A cost of 0 was not measured, and fewer host calls than doorbells are too few."""
        for key, relation, limit, clock in report.BARS:
            for less in {"at most": (0,), "exactly": (0, limit - 1), "at least": ()}[relation]:
                with self.subTest(f"{key} {less}"):
                    figures = good()
                    figures[clock][key] = less
                    done = self.run_it(figures)
                    self.assertEqual(done.returncode, 2)
                    self.assertRegex(done.stdout, rf"(?m)^{key} .* MISSED$")

    def test_bars_are_as_documented(self):
        """The table in the page has the same keys, relations, limits and clocks."""
        page = (TOP / "Documentation/dev-tools/smmuv3-accel.rst").read_text(encoding="utf-8")
        table = re.search(r"\nfigure +bar\n=.*\n((?:.+\n)+?)=", page)[1]
        # A row begins with a relation. Further keys and "time" are in its next lines.
        rows = re.split(r"\n(?=\S+ +(?:at|exactly) )", table)
        documented = []
        for row in rows:
            relation, limit, real = re.search(r"(at most|at least|exactly) ([\d.]+)(, in real)?", row).groups()
            keys = re.findall(r"(?m)^``(\w+)``", row)
            if keys == ["doorbellN_vs_batch"]:
                sizes = re.search(r"N = ([\d, ]+?)(?::|$)", row, re.M)[1]
                keys = [f"doorbell{n.replace(',', '')}_vs_batch" for n in sizes.split(", ")]
            clock = report.REAL if real else report.INSTRUCTIONS
            documented += [(key, relation, float(limit), clock) for key in keys]
        self.assertEqual(sorted(documented), sorted(report.BARS))

    def test_not_measured(self):
        figures = good()
        del figures[report.INSTRUCTIONS]["fanout4_vs_1"]
        done = self.run_it(figures)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stdout, r"(?m)^fanout4_vs_1 .* NOT MEASURED$")

    def test_refusals(self):
        self.put(report.REAL, "b.json", {"fanout4_calls": 512})
        self.assertIn("fanout4_calls was measured before", self.run_it(good()).stderr)
        self.put(report.REAL, "b.json", {"clock": report.INSTRUCTIONS})
        self.assertIn("the clock is", self.run_it(good()).stderr)
        (self.folder / report.REAL / "b.json").unlink()
        (self.folder / report.REAL / "a.json").unlink()
        figures = good()
        del figures[report.REAL]
        self.assertIn("has no figures", self.run_it(figures).stderr)


unittest.main()
