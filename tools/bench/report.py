#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""report.py FOLDER JSON DAT: judge what smmuv3-accel-bench printed.

FOLDER/instructions has the results of hosts whose clock counts instructions, FOLDER/real
those of hosts whose clock is this machine's. Prints a table, writes all figures as one
flat JSON object and those for the chart, and ends with status 2 if a bar is missed.
"""

import json
import sys
from pathlib import Path

INSTRUCTIONS, REAL = "instructions", "real"
# What is at most so much, by instructions
LIMITS = {
    **{f"doorbell{n}_vs_batch": 1.10 for n in (1, 64, 256, 1024)},
    **{f"doorbell{n}_vs_batch": 1.15 for n in (2, 3, 4, 8, 16, 32)},
    "ring_growth": 1.2,
    "ste_new_vs_direct": 1.0,
    "ste_same_vs_direct": 0.3,
    "asid_flood_vs_batch": 0.3,
    "asid_flood_issued": 2,
    "cfgi_all_growth": 1.2,
    "cfgi_all_same_growth": 1.2,
    "attach_growth": 1.2,
    "fanout4_vs_1": 1.05,
}
# All bars: key, relation, limit, and the clock that decides
BARS = [
    *((key, "at most", limit, INSTRUCTIONS) for key, limit in LIMITS.items()),
    # The instructions lack the time of the SMMU, which a single call waits for as well.
    ("doorbell64_vs_singles", "at least", 20, REAL),
    ("host_calls_32x512", "exactly", 512, INSTRUCTIONS),
    ("fanout4_calls", "exactly", 512, INSTRUCTIONS),
]
HOLDS = {
    # A cost of 0 is none that was measured.
    "at most": lambda value, limit: 0 < value <= limit,
    "at least": lambda value, limit: value >= limit,
    "exactly": lambda value, limit: value == limit,
}
HOST = ("kernel", "page_size", "machine", "cpus", "smmus", "repetitions")


def read(folder, clock):
    """Return the figures of all files of a clock, and the host of the first one."""
    figures, host = {}, None
    for name in sorted((folder / clock).glob("*.json")):
        data = json.loads(name.read_text(encoding="utf-8"))
        if data["clock"] != clock:
            sys.exit(f"{name}: the clock is '{data['clock']}', not '{clock}'")
        host = host or {key: data[key] for key in HOST}
        for key, value in data.items():
            if key in HOST or not isinstance(value, (int, float)):
                continue
            if key in figures:
                sys.exit(f"{name}: {key} was measured before")
            figures[key] = value
    if not figures:
        sys.exit(f"{folder / clock} has no figures")
    return figures, host


def number(value):
    return f"{value:.0f}" if abs(value) >= 10000 else f"{value:.4g}"


def spread(figures, key):
    """Return a figure with its quartiles, as text."""
    if key not in figures:
        return ""
    text = f"{number(figures[key]):>9}"
    if f"{key}_q1" in figures:
        text += f"  {number(figures[key + '_q1'])} to {number(figures[key + '_q3'])}"
    return text


def show(figures, bars):
    """Print a table of all figures. Return the number of bars that are missed."""
    missed = 0
    keys = [key for key in dict.fromkeys([*figures[INSTRUCTIONS], *figures[REAL], *bars])
            if not key.endswith(("_q1", "_q3"))]
    print(f"{'':32} {'by instructions':32} {'real time':32} bar")
    for key in keys:
        verdict = ""
        if key in bars:
            relation, limit, clock = bars[key]
            value = figures[clock].get(key)
            met = value is not None and HOLDS[relation](value, limit)
            missed += not met
            verdict = f"{relation} {limit:g}{'' if clock == INSTRUCTIONS else ', in real time'}"
            if not met:
                verdict += "   MISSED" if value is not None else "   NOT MEASURED"
        cells = (spread(figures[clock], key) for clock in (INSTRUCTIONS, REAL))
        print(" ".join([f"{key:32}", *(f"{cell:32}" for cell in cells), verdict]).rstrip())
    return missed


def write(figures, host, json_name, dat_name):
    """Write the JSON object and the figures for the chart."""
    result = dict(host[INSTRUCTIONS], repetitions_real=host[REAL]["repetitions"])
    for clock, suffix in ((INSTRUCTIONS, ""), (REAL, "_real")):
        for key, value in figures[clock].items():
            for end in ("_q1", "_q3"):
                if key.endswith(end):
                    key = key.removesuffix(end) + suffix + end
                    break
            else:
                key += suffix
            result[key] = value
    with open(json_name, "w", encoding="utf-8") as out:
        json.dump(result, out, indent=2)
        out.write("\n")
    counted = figures[INSTRUCTIONS]
    sizes = [int(key[len("batch"):-len("_ns")]) for key in counted
             if key.startswith("batch") and key.endswith("_ns")]
    with open(dat_name, "w", encoding="ascii") as out:
        out.write("# commands, instructions per command: RUN_CMDQ, IOMMU_HWPT_INVALIDATE, singly\n")
        for n in sizes:
            out.write(f"{n} {counted[f'doorbell{n}_ns'] / n} {counted[f'batch{n}_ns'] / n} "
                      f"{counted['batch1_ns']}\n")


def main():
    folder, json_name, dat_name = Path(sys.argv[1]), *sys.argv[2:]
    figures, host = {}, {}
    for clock in (INSTRUCTIONS, REAL):
        figures[clock], host[clock] = read(folder, clock)
    missed = show(figures, {key: rest for key, *rest in BARS})
    write(figures, host, json_name, dat_name)
    if missed:
        print(f"bars missed: {missed}")
    return 2 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
