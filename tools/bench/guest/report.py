#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""report.py INSTRUCTIONS REAL JSON DAT: judge what "rounds" printed.

INSTRUCTIONS is from an emulated host whose clock counts instructions, REAL from one
whose clock is this machine's. Prints a table, writes the results as one flat JSON
object and the ratios for the chart, and ends with status 2 if a bar is missed.
"""

import json
import sys
from statistics import median

SIDES = ("qemu", "ours", "ours_polled")
READ_4K, READ_128K = "read:4096:1000:16", "read:131072:512:16"
WALLS = ("4k_strict", "128k_noril", "lazy")


def parse(name):
    """({(side, command): counts}, {(side, workload): [ns of each round]})"""
    counts, times, last = {}, {}, {}
    with open(name, encoding="ascii") as lines:
        for line in lines:
            side, command, *pairs = line.split()
            values = {k: int(v) for k, v in (pair.split("=") for pair in pairs)}
            if "exits" in values:
                counts[side, command] = values
            elif "ns" in values:
                # A guest invalidates strictly until the command "lazy".
                read_4k = "lazy" if last[side] == "lazy" else "4k_strict"
                workload = {READ_4K: read_4k, READ_128K: "128k_noril"}[command]
                times.setdefault((side, workload), []).append(values["ns"])
            else:
                last[side] = command
    return counts, times


def ratio(times, side, workload):
    """Compare neighbouring runs, because the speed of a machine changes slowly."""
    return median(a / b for a, b in zip(times[side, workload], times["qemu", workload]))


def main(instructions, real, json_file, dat_file):
    counts, times = parse(instructions)
    _, real_times = parse(real)

    def host_calls(side):
        values = counts[side, READ_128K]
        return values["host_calls"] / values["doorbells"]

    def exits(side):
        # "nothing" has the cost of the stops before and after.
        values = counts[side, READ_4K]
        return (values["exits"] - counts[side, "nothing"]["exits"]) / values["doorbells"]

    bars = {
        "host_calls_per_doorbell_128k_noril": (host_calls("ours"), 1.0),
        "exits_per_sync_4k": (exits("ours"), 1.1),
        "exits_per_sync_4k_polled": (exits("ours_polled"), 0.05),
        "wall_4k_strict_vs_qemu": (ratio(times, "ours", "4k_strict"), 0.8),
        "wall_4k_strict_polled_vs_qemu": (ratio(times, "ours_polled", "4k_strict"), 0.7),
        "wall_128k_noril_vs_qemu": (ratio(times, "ours", "128k_noril"), 0.5),
        "wall_lazy_vs_qemu": (ratio(times, "ours", "lazy"), 1.0),
    }
    results = {key: value for key, (value, _) in bars.items()}
    results["wall_128k_noril_polled_vs_qemu"] = ratio(times, "ours_polled", "128k_noril")
    results["wall_lazy_polled_vs_qemu"] = ratio(times, "ours_polled", "lazy")
    for side in SIDES:
        results[f"host_calls_per_doorbell_128k_noril_{side}"] = host_calls(side)
        results[f"exits_per_sync_4k_{side}"] = exits(side)
        for workload in WALLS:
            results[f"wall_{workload}_{side}"] = median(times[side, workload]) / 1e9
    for side, name in (("ours", ""), ("ours_polled", "_polled")):
        for workload in WALLS:
            results[f"real_{workload}{name}_vs_qemu"] = ratio(real_times, side, workload)
    results["rounds"] = len(times["qemu", "4k_strict"])

    row = "{:36}" + " {:>12}" * 3
    print(row.format("per doorbell", "QEMU", "ours", "ours, polled"))
    for key in ("host_calls_per_doorbell_128k_noril", "exits_per_sync_4k"):
        print(row.format(key, *(f"{results[f'{key}_{side}']:.3f}" for side in SIDES)))
    print()
    print(row.format("time by QEMU's", "instructions", "in real time", "bar"))
    for name in ("", "_polled"):
        for workload in WALLS:
            key = f"{workload}{name}_vs_qemu"
            _, bar = bars.get(f"wall_{key}", (0, ""))
            print(row.format(f"wall_{key}", f"{results[f'wall_{key}']:.3f}", f"{results[f'real_{key}']:.3f}", bar))
    print()
    missed = 0
    for key, (value, bar) in bars.items():
        print(f"{key:36} {value:12.3f}   at most {bar}{'' if value <= bar else '   MISSED'}")
        missed += value > bar

    with open(json_file, "w", encoding="ascii") as out:
        json.dump({k: float(f"{v:.4g}") for k, v in results.items()}, out, indent=2)
        out.write("\n")
    with open(dat_file, "w", encoding="ascii") as out:
        out.write("# workload, time by QEMU's: instructions, polled; in real time, polled\n")
        for workload, title in zip(WALLS, ("4 KiB", "128 KiB, no RIL", "4 KiB, lazy")):
            out.write(f'"{title}"')
            for clock in ("wall", "real"):
                for name in ("", "_polled"):
                    out.write(f" {results[f'{clock}_{workload}{name}_vs_qemu']:.3f}")
            out.write("\n")
    if missed:
        print(f"{missed} bars missed")
    return 2 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
