#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Test ../guest/report.py with what "rounds" might print."""

import io
import json
import re
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path

HERE = Path(__file__).parent
GUEST = HERE.parent / "guest"
sys.path.insert(0, str(GUEST))
sys.dont_write_bytecode = True
import report  # noqa: E402

IDLE_EXITS = 34
# Made up, for 1000 doorbells: counts for 4 KiB, the same for 128 KiB, and ms for 4 KiB, 128 KiB
# and lazy reads. No two sides are alike. With 4 vCPUs there are as many calls of the driver as
# doorbells here, until a test changes that.
COUNTS = ("host_calls", "exits", "waits", "rung")
SIDES = {
    "guest": {
        "qemu": ((1000, 2000), (32000, 2001), (100, 200, 400)),
        "ours": ((1000, 1050), (1000, 1051), (79, 99, 376)),
        "ours_polled": ((980, 40), (970, 41), (69, 95, 396)),
        "none": ((0, 0), (0, 0), (30, 70, 300)),
        "one": ((1000, 1010), (1000, 1011), (80, 100, 380)),
        "two": ((1000, 1020), (1000, 1021), (84, 110, 342)),
        "two_polled": ((960, 30), (950, 31), (75, 105, 350)),
    },
    "qemu": {
        "qemu": ((1000, 2000), (32000, 2001), (100, 200, 400)),
        "accel": ((1000, 1050), (1000, 1051), (80, 118, 390)),
        "single": ((1000, 1060), (31000, 1061), (90, 190, 380)),
        "qemu_ril": ((1000, 2010), (1000, 2011), (110, 120, 410)),
        "accel_ril": ((1000, 1070), (1000, 1071), (88, 108, 369)),
    },
    "vcpus": {
        "four_qemu": ((1000, 2700, 1200), (32000, 8600, 1300), (100, 200, 400)),
        "four": ((600, 610, 3, 600), (610, 620, 4, 610), (70, 90, 370)),
        "four_polled": ((700, 200, 5, 800), (710, 300, 6, 810), (60, 80, 360)),
        "four_trapped": ((500, 3500, 50, 500), (510, 3600, 49, 510), (75, 95, 375)),
    },
}
# The speed of the machine in each round
SPEEDS = (1, 3, 2)
# The smallest change of a figure that misses a bar, and all the bars that it misses: for each
# kind the side, the workload, what is changed, its value, the bars.
TWO, NORIL = "host_calls_two_smmus exactly 1", "host_calls_per_doorbell_128k_noril"
MISSES = {
    "guest": (
        ("ours", "128k", "host_calls", 1001, [f"{NORIL} exactly 1", f"{NORIL}_ours exactly 1"]),
        ("ours", "128k", "host_calls", 999, [f"{NORIL} exactly 1", f"{NORIL}_ours exactly 1"]),
        ("qemu", "128k", "host_calls", 31999, [f"{NORIL}_qemu at least 32"]),
        ("ours", "4k", "host_calls", 0, ["host_calls_per_sync_4k_ours exactly 1"]),
        ("one", "4k", "host_calls", 999, ["host_calls_per_sync_4k_one exactly 1"]),
        ("one", "128k", "host_calls", 999, [f"{NORIL}_one exactly 1"]),
        ("two", "4k", "host_calls", 999, ["host_calls_per_sync_4k_two exactly 1"]),
        ("two", "4k", "host_calls", 1001, [TWO, "host_calls_per_sync_4k_two exactly 1"]),
        ("two", "128k", "host_calls", 1001, [TWO, f"{NORIL}_two exactly 1"]),
        ("two_polled", "4k", "host_calls", 1001, [TWO, "host_calls_per_sync_4k_two_polled at most 1"]),
        ("two_polled", "128k", "host_calls", 1001, [TWO, f"{NORIL}_two_polled at most 1"]),
        ("two_polled", "128k", "host_calls", 0, [f"{NORIL}_two_polled at most 1"]),
        ("ours_polled", "4k", "host_calls", 1001, ["host_calls_per_sync_4k_ours_polled at most 1"]),
        ("ours_polled", "128k", "host_calls", 1001, [f"{NORIL}_ours_polled at most 1"]),
        ("ours", "4k", "exits", 899, ["exits_per_sync_4k at least 0.9"]),
        ("ours", "4k", "exits", 1101, ["exits_per_sync_4k at most 1.1"]),
        ("ours_polled", "4k", "exits", 51, ["exits_per_sync_4k_polled 0 or at most 0.05"]),
        ("ours", "4k", "ms", 81, ["wall_4k_strict_vs_qemu at most 0.8"]),
        ("ours_polled", "4k", "ms", 71, ["wall_4k_strict_polled_vs_qemu at most 0.7"]),
        ("ours", "128k", "ms", 101, ["wall_128k_noril_vs_qemu at most 0.5"]),
        ("ours", "lazy", "ms", 381, ["wall_lazy_vs_qemu at most 0.95"]),
        ("ours", "lazy", "ms", 0, ["wall_lazy_vs_qemu at most 0.95"]),
        ("ours_polled", "lazy", "ms", 401, ["wall_lazy_polled_vs_qemu at most 1"]),
    ),
    "qemu": (
        ("accel", "4k", "host_calls", 1001, ["host_calls_per_doorbell_4k exactly 1"]),
        ("accel", "4k", "host_calls", 999, ["host_calls_per_doorbell_4k exactly 1"]),
        ("accel", "128k", "host_calls", 1001, ["host_calls_per_doorbell_128k exactly 1"]),
        ("qemu", "128k", "host_calls", 31999, ["host_calls_per_doorbell_128k_qemu at least 32"]),
        ("accel", "4k", "exits", 899, ["exits_per_doorbell_4k at least 0.9"]),
        ("accel", "128k", "exits", 899, ["exits_per_doorbell_128k at least 0.9"]),
        ("accel", "4k", "exits", 1101, ["exits_per_doorbell_4k at most 1.1"]),
        ("accel", "128k", "exits", 1101, ["exits_per_doorbell_128k at most 1.1"]),
        ("accel", "128k", "ms", 121, ["wall_128k_vs_qemu at most 0.6"]),
    ),
    "vcpus": (
        ("four_qemu", "128k", "host_calls", 31999, ["host_calls_per_cmdlist_128k_four_qemu at least 32"]),
        ("four_qemu", "4k", "waits", 99, ["waits_per_cmdlist_4k_four_qemu at least 0.1"]),
        ("four", "4k", "host_calls", 960, ["host_calls_per_doorbell_4k_four exactly 1"]),
        ("four", "128k", "host_calls", 609, ["host_calls_per_doorbell_128k_four exactly 1"]),
        ("four_polled", "4k", "host_calls", 801, ["host_calls_per_doorbell_4k_four_polled at most 1"]),
        ("four_polled", "128k", "host_calls", 811, ["host_calls_per_doorbell_128k_four_polled at most 1"]),
        ("four_trapped", "4k", "host_calls", 501, ["host_calls_per_doorbell_4k_four_trapped exactly 1"]),
        ("four_trapped", "128k", "host_calls", 509, ["host_calls_per_doorbell_128k_four_trapped exactly 1"]),
        ("four", "4k", "exits", 539, ["exits_per_doorbell_4k_four at least 0.9"]),
        ("four", "128k", "exits", 548, ["exits_per_doorbell_128k_four at least 0.9"]),
        ("four", "4k", "exits", 661, ["exits_per_doorbell_4k_four at most 1.1"]),
        ("four", "128k", "exits", 672, ["exits_per_doorbell_128k_four at most 1.1"]),
        ("four", "4k", "exits", 1001,
         ["exits_per_cmdlist_4k_four at most 1", "exits_per_doorbell_4k_four at most 1.1"]),
        ("four", "128k", "exits", 1001,
         ["exits_per_cmdlist_128k_four at most 1", "exits_per_doorbell_128k_four at most 1.1"]),
        ("four_polled", "4k", "exits", 801, ["exits_per_doorbell_4k_four_polled 0 or at most 1"]),
        ("four_polled", "128k", "exits", 811, ["exits_per_doorbell_128k_four_polled 0 or at most 1"]),
        ("four_trapped", "4k", "waits", 51, ["waits_per_doorbell_4k_four_trapped 0 or at most 0.1"]),
        ("four_trapped", "128k", "waits", 52, ["waits_per_doorbell_128k_four_trapped 0 or at most 0.1"]),
    ),
}
# Figures of what is made up above. In real time each read takes 1 ms longer.
RESULTS = {
    "guest": {
        "rounds": 3, NORIL: 1, f"{NORIL}_qemu": 32, f"{NORIL}_ours_polled": 0.97, f"{NORIL}_two_polled": 0.95,
        "host_calls_two_smmus": 1, "host_calls_per_sync_4k_two_polled": 0.96,
        "exits_per_sync_4k": 1.05, "exits_per_sync_4k_polled": 0.04, "exits_per_sync_4k_qemu": 2,
        "exits_per_sync_4k_one": 1.01, "exits_per_sync_4k_two_polled": 0.03,
        "wall_4k_strict_ours": 0.158, "wall_4k_strict_ours_least": 0.079,
        "real_4k_strict_ours": 0.159, "real_4k_strict_ours_least": 0.08,
        "wall_4k_strict_vs_qemu": 0.79, "wall_128k_noril_vs_qemu": 0.495, "wall_lazy_vs_qemu": 0.94,
        "wall_4k_strict_polled_vs_qemu": 0.69, "wall_128k_noril_polled_vs_qemu": 0.475,
        "wall_lazy_polled_vs_qemu": 0.99,
        "wall_4k_strict_none_vs_qemu": 0.3, "wall_128k_noril_none_vs_qemu": 0.35, "wall_lazy_none_vs_qemu": 0.75,
        "wall_4k_strict_vs_none": 2.633, "wall_128k_noril_vs_none": 1.414, "wall_lazy_vs_none": 1.253,
        "wall_4k_strict_polled_vs_none": 2.3, "wall_lazy_polled_vs_none": 1.32,
        "wall_4k_strict_two_vs_one": 1.05, "wall_128k_noril_two_vs_one": 1.1, "wall_lazy_two_vs_one": 0.9,
        "real_lazy_vs_qemu": 0.9401, "real_lazy_vs_qemu_q1": 0.9401, "real_lazy_vs_qemu_q3": 0.9401,
        # 10 ms in each round, and 30 in real time
        "poll_share_lazy": 0.01263, "poll_share_lazy_real": 0.03783,
    },
    "qemu": {
        "host_calls_per_doorbell_4k": 1, "host_calls_per_doorbell_128k": 1,
        "host_calls_per_doorbell_128k_qemu": 32, "host_calls_per_doorbell_128k_single": 31,
        "exits_per_doorbell_4k": 1.05, "exits_per_doorbell_128k": 1.051, "exits_per_doorbell_4k_qemu_ril": 2.01,
        "wall_4k_vs_qemu": 0.8, "wall_128k_vs_qemu": 0.59, "wall_lazy_vs_qemu": 0.975,
        "wall_4k_vs_single": 0.8889, "wall_4k_ril_vs_qemu_ril": 0.8, "wall_128k_ril_vs_qemu_ril": 0.9,
        "wall_lazy_accel": 0.78,
    },
    "vcpus": {
        "host_calls_per_cmdlist_4k_four": 0.6, "host_calls_per_doorbell_4k_four": 1,
        "host_calls_per_cmdlist_4k_four_polled": 0.7, "host_calls_per_doorbell_4k_four_polled": 0.875,
        "exits_per_cmdlist_4k_four_trapped": 3.5, "exits_per_doorbell_4k_four_trapped": 7,
        "waits_per_cmdlist_4k_four_qemu": 1.2, "waits_per_cmdlist_4k_four_trapped": 0.05,
        "waits_per_doorbell_4k_four_trapped": 0.1,
        "wall_4k_four_vs_qemu": 0.7, "wall_4k_four_polled_vs_qemu": 0.6, "wall_128k_four_trapped_vs_qemu": 0.475,
    },
}


def options(side):
    """Return the options that "rounds" gives the reference VMM."""
    text = (GUEST / "rounds").read_text(encoding="utf-8")
    same = re.search(rf'(?m)^{side}\(\) {{ (\w+) "\$@"; }}$', text)
    return options(same[1]) if same else re.search(rf"(?m)^{side}\(\) {{ reference '(.*)' ", text)[1]


def figures(kind):
    """Return the figures of SIDES: {(side, workload, what): value}."""
    result = {}
    for side, (counts_4k, counts_128k, ms) in SIDES[kind].items():
        for workload, counts in (("4k", counts_4k), ("128k", counts_128k)):
            result.update({(side, workload, what): value for what, value in zip(COUNTS, counts)})
        result.update({(side, workload, "ms"): value for workload, value in zip(("4k", "128k", "lazy"), ms)})
    return result


def lines(kind, values, longer, poll_ms):
    """Return what "rounds" prints. Counting ends with the command "uncounted"."""
    reads = {"4k": report.READ_4K, "128k": report.READ_128K}
    for side in SIDES[kind]:
        polls = f" poll_ms={poll_ms}" if side.endswith("polled") else ""
        yield f"{side} nothing doorbells=0{polls} host_calls=0 exits={IDLE_EXITS} waits=0"
        for workload, command in reads.items():
            counts = {what: values[side, workload, what] for what in COUNTS if (side, workload, what) in values}
            counts = {"waits": 0, **counts, "exits": counts["exits"] + IDLE_EXITS}
            yield f"{side} {command} doorbells=1000{polls} " + " ".join(f"{k}={v}" for k, v in counts.items())
        yield f"{side} uncounted{polls} doorbells=0"
        for workload, command in (*reads.items(), ("lazy", report.READ_4K)):
            if workload == "lazy":
                yield f"{side} lazy{polls} doorbells=0"
            for speed in SPEEDS:
                ns = (values[side, workload, "ms"] * speed + longer) * 1000000
                yield f"{side} {command} doorbells=0{polls} ns={ns}"


class GuestReportTest(unittest.TestCase):
    def setUp(self):
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        self.folder = Path(work.name)

    def put(self, kind, values, edit=lambda text: text):
        """Write what "rounds" prints. Return the program's arguments."""
        for name, longer, poll_ms in (("instructions", 0, 10), ("real", 1, 30)):
            text = "\n".join(lines(kind, values, longer, poll_ms)) + "\n"
            (self.folder / name).write_text(edit(text), encoding="ascii")
        return kind, *(self.folder / name for name in ("instructions", "real", "json", "dat"))

    def run_program(self, *args):
        return subprocess.run([sys.executable, GUEST / "report.py", *self.put(*args)],
                              capture_output=True, text=True, check=False)

    def run_it(self, kind, values):
        """Return: its exit status, the bars that are missed, its results"""
        with redirect_stdout(io.StringIO()) as said:
            status = report.main(*self.put(kind, values))
        missed = re.findall(r"(?m)^(\w+) +-?[\d.]+ +(.*?) +MISSED$", said.getvalue())
        return status, [" ".join(bar) for bar in missed], json.loads((self.folder / "json").read_text("ascii"))

    def test_all_met(self):
        for kind, results in RESULTS.items():
            status, missed, result = self.run_it(kind, figures(kind))
            self.assertEqual((status, missed), (0, []))
            for key, value in results.items():
                with self.subTest(key):
                    self.assertEqual(result[key], value)

    def test_program(self):
        done = self.run_program("guest", figures("guest"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((self.folder / "dat").read_text("ascii").splitlines()[1],
                         '"4 KiB" 0.790 0.690 0.300 0.791 0.692 0.303')
        done = self.run_program("guest", figures("guest") | {("ours", "lazy", "ms"): 500})
        self.assertEqual(done.returncode, 2)

    def test_each_bar_can_be_missed(self):
        for kind, misses in MISSES.items():
            bars = {f"{key} {relation} {limit:g}" for key, relation, limit in getattr(report, f"{kind.upper()}_BARS")}
            self.assertEqual(bars, {bar for *_, missed in misses for bar in missed})
            for side, workload, what, value, missed in misses:
                with self.subTest(f"{kind}: {side} {workload} {what}={value}"):
                    status, said, _ = self.run_it(kind, figures(kind) | {(side, workload, what): value})
                    self.assertEqual((status, sorted(said)), (2, sorted(missed)))

    def test_none(self):
        """Counts of 0 meet no bar, unless there may be none."""
        for kind in MISSES:
            values = {key: 0 if key[2] in ("host_calls", "exits", "waits") else value
                      for key, value in figures(kind).items()}
            status, missed, _ = self.run_it(kind, values)
            bars = [f"{key} {relation} {limit:g}" for key, relation, limit in getattr(report, f"{kind.upper()}_BARS")]
            self.assertEqual(status, 2)
            self.assertEqual(missed, [bar for bar in bars if not bar.startswith("wall") and " 0 or" not in bar])

    def test_no_poll_ms(self):
        """Without it the share of polling would be 0."""
        done = self.run_program("guest", figures("guest"), lambda text: re.sub(r"(?m) poll_ms=\d+( ns=.*)$", r"\1", text))
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no poll_ms in 'ours_polled ", done.stderr)

    def test_lost_line(self):
        """Without a line, times of different rounds would be compared."""
        for lost in (r"(?m)^qemu read:131072.* ns=\d+\n", r"(?m)^ours_polled lazy .*\n"):
            with self.subTest(lost):
                done = self.run_program("guest", figures("guest"), lambda text: re.sub(lost, "", text, count=1))
                self.assertEqual(done.returncode, 1)
                self.assertIn("instructions: the sides have different numbers of reads", done.stderr)
                self.assertFalse((self.folder / "json").exists())

    def test_sides_differ_in_one_thing(self):
        """Options of the vSMMU are the same, unless the ratio is for them."""
        for end, side, base in report.GUEST_RATIOS:
            if not {side, base} & {"none", "qemu"}:
                with self.subTest(end):
                    self.assertEqual(options(side), options(base))


unittest.main()
