#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Test ../guest/report.py with what "rounds" might print."""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).parent
GUEST = HERE.parent / "guest"
sys.path.insert(0, str(GUEST))
sys.dont_write_bytecode = True
import report  # noqa: E402

# What a read takes, in ns
TIMES = {"qemu": 1000, "ours": 450, "ours_polled": 400, "none": 300, "one": 440, "two": 462, "two_polled": 390}


def options(side):
    """Return the options that "rounds" gives the reference VMM."""
    text = (GUEST / "rounds").read_text(encoding="utf-8")
    same = re.search(rf'(?m)^{side}\(\) {{ (\w+) "\$@"; }}$', text)
    return options(same[1]) if same else re.search(rf"(?m)^{side}\(\) {{ reference '(.*)' ", text)[1]


def lines(times):
    """Return the lines of one round. Counting ends with the command "uncounted"."""
    reads = (report.READ_4K, report.READ_128K)
    for side, ns in times.items():
        for command in ("nothing", *reads):
            yield f"{side} {command} doorbells=1000 host_calls=1000 exits=0"
        yield f"{side} uncounted"
        for command in reads:
            yield f"{side} {command} doorbells=1000 ns={ns}"
        yield f"{side} lazy"
        yield f"{side} {report.READ_4K} doorbells=1000 ns={ns}"


class GuestReportTest(unittest.TestCase):
    def setUp(self):
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        self.folder = Path(work.name)

    def run_it(self, times):
        (self.folder / "said").write_text("\n".join(lines(times)) + "\n", encoding="ascii")
        done = subprocess.run(
            [sys.executable, GUEST / "report.py", "guest", self.folder / "said", self.folder / "said",
             self.folder / "json", self.folder / "dat"], capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        return done, json.loads((self.folder / "json").read_text(encoding="ascii"))

    def test_all_met(self):
        done, result = self.run_it(TIMES)
        self.assertEqual(done.returncode, 0, done.stdout)
        for key in ("wall_4k_strict", "wall_128k_noril", "wall_lazy", "real_lazy"):
            self.assertEqual(result[f"{key}_vs_qemu"], 0.45)
            self.assertEqual(result[f"{key}_two_vs_one"], 1.05)

    def test_missed(self):
        done, _ = self.run_it(TIMES | {"ours": 2000})
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stdout, r"(?m)^wall_lazy_vs_qemu .* MISSED$")

    def test_sides_differ_in_one_thing(self):
        """Options of the vSMMU are the same, unless the ratio is for them."""
        for end, side, base in report.GUEST_RATIOS:
            if not {side, base} & {"none", "qemu"}:
                with self.subTest(end):
                    self.assertEqual(options(side), options(base))


unittest.main()
