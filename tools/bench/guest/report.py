#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""report.py LINES JSON DAT: judge what "rounds" printed.

Prints a table, writes the results as one flat JSON object and the times for the
chart, and ends with status 2 where a bar is missed.
"""

import json
import sys
from statistics import median

SIDES = ("qemu", "ours", "ours_polled")
READ_4K, READ_128K = "read:4096:2000", "read:131072:512"


def parse(lines):
    """{(side, workload): [values of each round]}"""
    data, lazy = {}, set()
    for line in lines:
        side, command, *pairs = line.split()
        values = {k: int(v) for k, v in (pair.split("=") for pair in pairs)}
        # A guest invalidates strictly until it is told to be lazy.
        if command == "lazy":
            lazy.add(side)
            continue
        read_4k = "lazy" if side in lazy else "4k_strict"
        workload = {"nothing": "nothing", READ_4K: read_4k, READ_128K: "128k_noril"}[command]
        data.setdefault((side, workload), []).append(values)
    return data


def main(lines, json_file, dat_file):
    data = parse(lines)
    walls = ("4k_strict", "128k_noril", "lazy")
    results = {"rounds": len(data["qemu", "4k_strict"])}

    def each(side, workload, value):
        return [value(v) for v in data[side, workload]]

    def wall(side, workload):
        return each(side, workload, lambda v: v["ns"] / 1e9)

    def ratio(side, workload):
        return median(a / b for a, b in zip(wall(side, workload), wall("qemu", workload)))

    def host_calls(side):
        return median(each(side, "128k_noril", lambda v: v["host_calls"] / v["doorbells"]))

    def exits(side):
        # What the stops before and after cost is known from doing nothing.
        own = data[side, "nothing"][0]["exits"]
        return median(each(side, "4k_strict", lambda v: (v["exits"] - own) / v["doorbells"]))

    bars = (
        ("host_calls_per_doorbell_128k_noril", host_calls("ours"), 1.0),
        ("exits_per_sync_4k", exits("ours"), 1.1),
        ("exits_per_sync_4k_polled", exits("ours_polled"), 0.05),
        ("wall_4k_strict_vs_qemu", ratio("ours", "4k_strict"), 0.8),
        ("wall_4k_strict_polled_vs_qemu", ratio("ours_polled", "4k_strict"), 0.7),
        ("wall_128k_noril_vs_qemu", ratio("ours", "128k_noril"), 0.5),
        ("wall_lazy_vs_qemu", ratio("ours", "lazy"), 1.0),
    )
    results.update((key, value) for key, value, _ in bars)
    for side in SIDES:
        results[f"host_calls_per_doorbell_128k_noril_{side}"] = host_calls(side)
        results[f"exits_per_sync_4k_{side}"] = exits(side)
        for workload in walls:
            results[f"wall_{workload}_{side}"] = median(wall(side, workload))

    row = "{:36}" + " {:>12}" * len(SIDES)
    print(row.format("", "QEMU", "ours", "ours, polled"))
    for key in ("host_calls_per_doorbell_128k_noril", "exits_per_sync_4k", *(f"wall_{w}" for w in walls)):
        print(row.format(key, *(f"{results[f'{key}_{side}']:.3f}" for side in SIDES)))
    print()
    missed = 0
    for key, value, bar in bars:
        print(f"{key:36} {value:12.3f}   at most {bar}{'' if value <= bar else '   MISSED'}")
        missed += value > bar

    with open(json_file, "w", encoding="ascii") as out:
        json.dump({k: float(f"{v:.4g}") for k, v in results.items()}, out, indent=2)
        out.write("\n")
    with open(dat_file, "w", encoding="ascii") as out:
        out.write("# workload, seconds behind " + ", ".join(SIDES) + "\n")
        for workload, title in zip(walls, ("4 KiB", "128 KiB, no RIL", "4 KiB, lazy")):
            out.write(f'"{title}" ' + " ".join(f"{results[f'wall_{workload}_{s}']:.3f}" for s in SIDES) + "\n")
    if missed:
        print(f"{missed} bars missed")
    return 2 if missed else 0


if __name__ == "__main__":
    with open(sys.argv[1], encoding="ascii") as said:
        sys.exit(main(said, *sys.argv[2:]))
