#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""report.py guest|vcpus|qemu INSTRUCTIONS REAL JSON DAT: judge what "rounds" printed.

INSTRUCTIONS is from an emulated host whose clock counts instructions, REAL from one
whose clock is this machine's. Prints a table, writes the results as one flat JSON
object and, for "guest", the ratios for the chart, and ends with status 2 if a bar is
missed.
"""

import json
import sys
from statistics import median, quantiles

READ_4K, READ_128K = "read:4096:1000:16", "read:131072:512:16"


class Run:
    """What "rounds" printed"""

    def __init__(self, name):
        self.counts = {}  # (side, command): counts
        self.times = {}  # (side, workload): [ns of each round]
        self.poll_ms = {}  # side: processor time of polling in the rounds of "lazy"
        last = {}
        with open(name, encoding="ascii") as lines:
            for line in lines:
                side, command, *pairs = line.split()
                values = {k: int(v) for k, v in (pair.split("=") for pair in pairs)}
                if "exits" in values:
                    self.counts[side, command] = values
                elif "ns" in values:
                    # A guest invalidates strictly until the command "lazy".
                    read_4k = "lazy" if last[side] == "lazy" else "4k"
                    workload = {READ_4K: read_4k, READ_128K: "128k"}[command]
                    self.times.setdefault((side, workload), []).append(values["ns"])
                    if side.endswith("polled") and "poll_ms" not in values:
                        sys.exit(f"{name}: there is no poll_ms in '{line.strip()}'")
                    if workload == "lazy" and "poll_ms" in values:
                        self.poll_ms[side] = self.poll_ms.get(side, 0) + values["poll_ms"]
                else:
                    last[side] = command
        if len({len(times) for times in self.times.values()}) != 1:
            sys.exit(f"{name}: the sides have different numbers of reads")

    def ratios(self, side, base, workload):
        """Compare runs of the same round, because the speed of a machine changes slowly."""
        return [a / b for a, b in zip(self.times[side, workload], self.times[base, workload])]

    def ratio(self, side, base, workload):
        return median(self.ratios(side, base, workload))

    def seconds(self, side, workload):
        return median(self.times[side, workload]) / 1e9

    def least_seconds(self, side, workload):
        """A machine that is busy only adds to a time."""
        return min(self.times[side, workload]) / 1e9

    def rounds(self):
        return len(next(iter(self.times.values())))

    def count(self, what, side, command, of="doorbells"):
        """What was counted for each of "of". In exits, "nothing" has the cost of the stops before and after."""
        values = self.counts[side, command]
        idle = self.counts[side, "nothing"][what] if what == "exits" else 0
        return (values[what] - idle) / values[of]

    def poll_share_lazy(self, side):
        """the part of the time of lazy reads in which a processor polls"""
        return self.poll_ms[side] * 1e6 / sum(self.times[side, "lazy"])


def quartiles(values):
    """the first, the median, the third"""
    return quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def print_row(name, *cells, digits=3):
    cells = (c if isinstance(c, str) else f"{c:.{digits}f}" for c in cells)
    print((f"{name:36}" + "".join(f" {c:>12}" for c in cells)).rstrip())


HOLDS = {
    # A cost of 0 is none that was measured,
    "at most": lambda value, limit: 0 < value <= limit,
    # unless there may be none.
    "0 or at most": lambda value, limit: value <= limit,
    "at least": lambda value, limit: value >= limit,
    "exactly": lambda value, limit: value == limit,
}


def judge(results, bars, json_file):
    """Print the results that have bars, write all. Return the exit status."""
    print()
    missed = 0
    for key, relation, limit in bars:
        value = results[key]
        met = HOLDS[relation](value, limit)
        print(f"{key:46} {value:12.3f}   {relation} {limit:g}{'' if met else '   MISSED'}")
        missed += not met
    with open(json_file, "w", encoding="ascii") as out:
        json.dump({k: float(f"{v:.4g}") for k, v in results.items()}, out, indent=2)
        out.write("\n")
    if missed:
        print(f"bars missed: {missed}")
    return 2 if missed else 0


def print_counts(results, run, counts, sides, plain=None, per="doorbell", of="doorbells"):
    """Print a row for each key. A side that is plain is not in its key."""
    for what in counts:
        for workload, command in (("4k", READ_4K), ("128k", READ_128K)):
            key = f"{what}_per_{per}_{workload}"
            values = [run.count(what, side, command, of) for side in sides]
            results.update({key if side == plain else f"{key}_{side}": value for side, value in zip(sides, values)})
            print_row(key, *values)


def limits(bars):
    """for a table"""
    return {key: f"{limit:g}" for key, _, limit in bars}


def print_ratios(results, run, real, ratios, bars):
    """Compare the times of two sides by both clocks. "ratios" are as GUEST_RATIOS."""
    for end, side, base in ratios:
        for workload in ("4k", "128k", "lazy"):
            wall, in_real = f"wall_{workload}{end}", f"real_{workload}{end}"
            results[wall] = run.ratio(side, base, workload)
            results[in_real] = real.ratio(side, base, workload)
            print_row(wall, results[wall], results[in_real], limits(bars).get(wall, ""))


GUEST_SIDES = ("qemu", "ours", "ours_polled", "none", "one", "two", "two_polled")
# the name of a workload there
GUEST_WALLS = {"4k_strict": "4k", "128k_noril": "128k", "lazy": "lazy"}
# What is compared: the end of the key, the side, the side that it is divided by. "none" is the
# limit: no virtual SMMU at all. "one" is as "two", with one disk.
GUEST_RATIOS = (
    ("_vs_qemu", "ours", "qemu"),
    ("_polled_vs_qemu", "ours_polled", "qemu"),
    ("_none_vs_qemu", "none", "qemu"),
    ("_vs_none", "ours", "none"),
    ("_polled_vs_none", "ours_polled", "none"),
    ("_two_vs_one", "two", "one"),
)
GUEST_COUNTS = {"doorbell_128k_noril": READ_128K, "sync_4k": READ_4K}
GUEST_BARS = (
    ("host_calls_per_doorbell_128k_noril", "exactly", 1.0),
    ("host_calls_per_doorbell_128k_noril_qemu", "at least", 32.0),
    ("host_calls_two_smmus", "exactly", 1.0),
    # With one vCPU each doorbell that exits is one call. Those that are polled may gather.
    *((f"host_calls_per_{what}_{side}", "exactly", 1.0) for what in GUEST_COUNTS for side in ("ours", "one", "two")),
    *(
        (f"host_calls_per_{what}_{side}", "at most", 1.0)
        for what in GUEST_COUNTS
        for side in ("ours_polled", "two_polled")
    ),
    ("exits_per_sync_4k", "at least", 0.9),
    ("exits_per_sync_4k", "at most", 1.1),
    ("exits_per_sync_4k_polled", "0 or at most", 0.05),
    ("wall_4k_strict_vs_qemu", "at most", 0.8),
    ("wall_4k_strict_polled_vs_qemu", "at most", 0.7),
    ("wall_128k_noril_vs_qemu", "at most", 0.5),
    ("wall_lazy_vs_qemu", "at most", 0.95),
    ("wall_lazy_polled_vs_qemu", "at most", 1.0),
)


def write_chart(results, dat_file):
    with open(dat_file, "w", encoding="ascii") as out:
        out.write("# workload, time by QEMU's: instructions, polled, no vSMMU; the same in real time\n")
        for workload, title in zip(GUEST_WALLS, ("4 KiB", "128 KiB, no RIL", "4 KiB, lazy")):
            out.write(f'"{title}"')
            for clock in ("wall", "real"):
                for name in ("", "_polled", "_none"):
                    out.write(f" {results[f'{clock}_{workload}{name}_vs_qemu']:.3f}")
            out.write("\n")


def with_spread(results, key):
    q1, q3 = results[f"{key}_q1"], results[f"{key}_q3"]
    return f"{results[key]:.3f} [{q1:.3f} {q3:.3f}]"


def guest_walls(results, run, real):
    """Compare times of both clocks, and print them."""
    bars = limits(GUEST_BARS)
    print(f"{'median [quartiles]':36} {'instructions':>22} {'in real time':>22} {'bar':>6}")
    for end, side, base in GUEST_RATIOS:
        for name, workload in GUEST_WALLS.items():
            for clock, source in (("wall", run), ("real", real)):
                key = f"{clock}_{name}{end}"
                ratios = source.ratios(side, base, workload)
                results[f"{key}_q1"], results[key], results[f"{key}_q3"] = quartiles(ratios)
            wall, in_real = (with_spread(results, f"{clock}_{name}{end}") for clock in ("wall", "real"))
            print(f"{f'wall_{name}{end}':36} {wall:>22} {in_real:>22} {bars.get(f'wall_{name}{end}', ''):>6}")


def guest(run, real, json_file, dat_file):
    """QEMU, the reference VMM with one disk and with two, and that without a virtual SMMU"""
    results = {
        "host_calls_per_doorbell_128k_noril": run.count("host_calls", "ours", READ_128K),
        "host_calls_two_smmus": max(
            run.count("host_calls", side, command) for side in ("two", "two_polled") for command in (READ_4K, READ_128K)
        ),
        "exits_per_sync_4k": run.count("exits", "ours", READ_4K),
        "exits_per_sync_4k_polled": run.count("exits", "ours_polled", READ_4K),
        "rounds": run.rounds(),
    }
    for side in GUEST_SIDES:
        if side != "none":
            for what, command in GUEST_COUNTS.items():
                results[f"host_calls_per_{what}_{side}"] = run.count("host_calls", side, command)
            results[f"exits_per_sync_4k_{side}"] = run.count("exits", side, READ_4K)
        for key, workload in GUEST_WALLS.items():
            for clock, source in (("wall", run), ("real", real)):
                results[f"{clock}_{key}_{side}"] = source.seconds(side, workload)
                results[f"{clock}_{key}_{side}_least"] = source.least_seconds(side, workload)
    for name, source in (("", run), ("_real", real)):
        results[f"poll_share_lazy{name}"] = source.poll_share_lazy("ours_polled")

    print_row("per doorbell", "QEMU", "ours", "ours, polled", "one", "two", "two, polled")
    for key in ("host_calls_per_doorbell_128k_noril", "host_calls_per_sync_4k", "exits_per_sync_4k"):
        print_row(key, *(results[f"{key}_{side}"] for side in GUEST_SIDES if side != "none"))
    print()
    guest_walls(results, run, real)
    print()
    for name in ("", "_real"):
        print_row(f"poll_share_lazy{name}", results[f"poll_share_lazy{name}"])
    write_chart(results, dat_file)
    return judge(results, GUEST_BARS, json_file)


# QEMU's own acceleration, /dev/smmuv3-accel, and that with a call for each command
QEMU_SIDES = ("qemu", "accel", "single")
QEMU_RIL_SIDES = ("qemu_ril", "accel_ril")
QEMU_RATIOS = (
    ("_vs_qemu", "accel", "qemu"),
    ("_vs_single", "accel", "single"),
    ("_ril_vs_qemu_ril", "accel_ril", "qemu_ril"),
)
QEMU_BARS = (
    *((f"host_calls_per_doorbell_{workload}", "exactly", 1.0) for workload in ("4k", "128k")),
    ("host_calls_per_doorbell_128k_qemu", "at least", 32.0),
    *((f"exits_per_doorbell_{workload}", "at least", 0.9) for workload in ("4k", "128k")),
    *((f"exits_per_doorbell_{workload}", "at most", 1.1) for workload in ("4k", "128k")),
    ("wall_128k_vs_qemu", "at most", 0.6),
)


def qemu(run, real, json_file, _):
    """QEMU with its own acceleration and with that of the module"""
    results = {"rounds": run.rounds()}
    for workload in ("4k", "128k", "lazy"):
        for side in QEMU_SIDES + QEMU_RIL_SIDES:
            results[f"wall_{workload}_{side}"] = run.seconds(side, workload)

    counts = ("host_calls", "exits")
    print_row("per doorbell", "accel=on", "accel-dev", "max-cmds=1")
    print_counts(results, run, counts, QEMU_SIDES, plain="accel")
    print()
    print_row("per doorbell, with RIL", "accel=on", "accel-dev")
    print_counts(results, run, counts, QEMU_RIL_SIDES)
    print()
    print_row("time of accel-dev", "instructions", "in real time", "bar")
    print_ratios(results, run, real, QEMU_RATIOS, QEMU_BARS)
    print()
    print("With RIL a guest sends one TLBI in place of 32 for 128 KiB, and a call for each is one")
    print("call: there the gain is that of the exits alone. With lazy invalidation a doorbell is rare.")
    return judge(results, QEMU_BARS, json_file)


VCPUS_SIDES = ("four_qemu", "four", "four_polled", "four_trapped")
# Linux lets one CPU at a time ring, and loads of registers do not exit. So no vCPU of "four" can
# wait for another one, whatever the library holds during a host call. With "four_trapped" the
# others read CMDQ_CONS by exits meanwhile, as with QEMU.
VCPUS_BARS = (
    ("host_calls_per_cmdlist_128k_four_qemu", "at least", 32.0),
    ("waits_per_cmdlist_4k_four_qemu", "at least", 0.1),
    *((f"exits_per_cmdlist_{workload}_four", "at most", 1.0) for workload in ("4k", "128k")),
    *(
        (f"{what}_per_doorbell_{workload}_{side}", relation, limit)
        for what, side, relation, limit in (
            ("host_calls", "four", "exactly", 1.0),
            ("host_calls", "four_polled", "at most", 1.0),
            ("host_calls", "four_trapped", "exactly", 1.0),
            ("exits", "four", "at least", 0.9),
            ("exits", "four", "at most", 1.1),
            ("exits", "four_polled", "0 or at most", 1.0),
            ("waits", "four_trapped", "0 or at most", 0.1),
        )
        for workload in ("4k", "128k")
    ),
)


def vcpus(run, real, json_file, _):
    """QEMU and the reference VMM, each with a guest whose 4 vCPUs ring at once"""
    results = {"rounds": run.rounds()}
    counts = ("host_calls", "exits", "waits")
    print_row("per call of the guest driver", "QEMU", "ours", "polled", "trapped")
    print_counts(results, run, counts, VCPUS_SIDES, per="cmdlist")
    print()
    print_row("per doorbell", "ours", "polled", "trapped")
    print_counts(results, run, counts, VCPUS_SIDES[1:], of="rung")
    print()
    print_row("time by QEMU's", "instructions", "in real time")
    print_ratios(results, run, real, [(f"_{side}_vs_qemu", side, "four_qemu") for side in VCPUS_SIDES[1:]], VCPUS_BARS)
    print()
    print("By instructions all CPUs count together, so that clock does not show what runs at once.")
    return judge(results, VCPUS_BARS, json_file)


def main(kind, instructions, real, json_file, dat_file):
    return {"guest": guest, "qemu": qemu, "vcpus": vcpus}[kind](Run(instructions), Run(real), json_file, dat_file)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
