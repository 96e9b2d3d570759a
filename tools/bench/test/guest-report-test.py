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


def lines(times, counts):
    """Return the lines of one round. Counting ends with the command "uncounted"."""
    reads = (report.READ_4K, report.READ_128K)
    for side, ns in times.items():
        yield f"{side} nothing doorbells=0 host_calls=0 exits=0 waits=0"
        for command in reads:
            yield f"{side} {command} doorbells=1000 " + " ".join(f"{k}={v}" for k, v in counts.items())
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

    def run_it(self, times, kind="guest", **counts):
        counts = {"host_calls": 1000, "exits": 0, "waits": 0} | counts
        (self.folder / "said").write_text("\n".join(lines(times, counts)) + "\n", encoding="ascii")
        done = subprocess.run(
            [sys.executable, GUEST / "report.py", kind, self.folder / "said", self.folder / "said",
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

    def test_other_kinds(self):
        """A count that is too high misses its bars, and no other one."""
        for kind, times, bars in (
            ("qemu", {"qemu": 1000, "accel": 500, "single": 900, "qemu_ril": 1000, "accel_ril": 500}, report.QEMU_BARS),
            ("vcpus", dict.fromkeys(report.VCPUS_SIDES, 1000), report.VCPUS_BARS),
        ):
            done, result = self.run_it(times, kind)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertLess(bars.keys(), result.keys())
            for what in {key.split("_per_")[0] for key in bars if "_per_" in key}:
                with self.subTest(f"{kind}, {what}"):
                    done, _ = self.run_it(times, kind, **{what: 1101})
                    self.assertEqual(done.returncode, 2)
                    self.assertEqual(re.findall(r"(?m)^(\w+) .* MISSED$", done.stdout),
                                     [key for key in bars if key.startswith(what)])

    def test_sides_differ_in_one_thing(self):
        """Options of the vSMMU are the same, unless the ratio is for them."""
        for end, side, base in report.GUEST_RATIOS:
            if not {side, base} & {"none", "qemu"}:
                with self.subTest(end):
                    self.assertEqual(options(side), options(base))


unittest.main()
