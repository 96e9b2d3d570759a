#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""model.py [--bench FILE] [--set NAME=VALUE]... [TABLE...]
model.py --check PAGE | --update PAGE

A model of what an unmap costs a guest on a real host. It prints tables in
reStructuredText, all of them or those that are named. The parameters are from published
figures; Documentation/userspace-api/cost-model.rst has their sources. They are of two
hosts, and a range. --set replaces a parameter on both hosts. --bench takes the results of
"smmuv3-accel-bench --json" on a host, or build/bench.json.

--check compares the tables in a page with those that the model prints, --update puts
them there. A table in a page follows a line ".. model: TABLE".
"""

import argparse
import json
import re
import sys
from dataclasses import dataclass

HOSTS = ("Altra", "Kunpeng 920")


@dataclass
class Parameter:
    """A figure, on each of HOSTS, and the range that the page argues for"""

    unit: str
    values: tuple
    low: float
    high: float
    source: str


def same(unit, value, low, high, source):
    """The same value on each host"""
    return Parameter(unit, (value,) * len(HOSTS), low, high, source)


# Instructions on the emulated host: "make bench" in build/bench.json, and an empty system call
COUNTED = {
    "batch1_ns": 1417,
    "batch1024_ns": 86302,
    "doorbell1_ns": 1608,
    "doorbell64_ns": 7163,
    "doorbell1024_ns": 92394,
    "fanout4_vs_1": 1.047,
    "fanout4_unfiltered_vs_1": 3.666,
}
EMPTY_CALL = 284


def parts(results):
    """The parts of a call, from results of smmuv3-accel-bench and in their unit"""
    needed = ["batch1_ns", "batch1024_ns", "doorbell1_ns", "doorbell64_ns", "doorbell1024_ns"]
    missing = [key for key in needed if key not in results]
    if missing:
        raise ValueError(f"the results have no {', '.join(missing)}")
    direct, run = results["batch1_ns"], results["doorbell1_ns"]
    direct_next = (results["batch1024_ns"] - direct) / 1023
    found = {
        "direct_first": direct,
        "direct_next": direct_next,
        "module_first": run - direct,
        "module_next": (results["doorbell1024_ns"] - run) / 1023 - direct_next,
    }
    for key, ratio in results.items():
        match = re.fullmatch(r"fanout(\d+)(_unfiltered)?_vs_1", key)
        if match:
            # for each of the further SMMUs, with 64 commands
            each = (ratio - 1) * results["doorbell64_ns"] / (int(match[1]) - 1)
            if match[2]:
                found["smmu_first"] = each - 63 * direct_next
            else:
                found["withheld"] = each
    return found


def counts(results):
    """The parameters that are numbers of instructions"""
    found = parts(results)
    found["direct_first"] -= EMPTY_CALL
    return {name: round(count) for name, count in found.items()}


def counted(name, low, high):
    """A parameter that is a number of instructions"""
    return same("instr.", counts(COUNTED)[name], low, high, "measured")


PARAMETERS = {
    "exit_user": Parameter("ns", (1683, 2306), 1000, 7214, "[Altra]_, [Kunpeng]_"),
    "exit_kernel": Parameter("ns", (451, 638), 300, 2150, "[Altra]_, [Kunpeng]_"),
    "syscall": same("ns", 221, 100, 300, "[syscall]_"),
    "sync": same("ns", 240, 190, 800, "[CMA]_, [MSI]_, [NUMA]_"),
    "handoff": same("ns", 50, 48, 315, "[cores]_"),
    "guest": same("ns", 260, 100, 600, "[unmap]_, less ``sync``"),
    "tlbi": same("ns", 20, 5, 100, "assumption"),
    "mmio": same("ns", 100, 50, 500, "assumption"),
    "instruction": same("ns", 0.3, 0.15, 0.6, "assumption"),
    "direct_first": counted("direct_first", 1000, 1500),
    "direct_next": counted("direct_next", 50, 100),
    "module_first": counted("module_first", 100, 600),
    "module_next": counted("module_next", 0, 20),
    "smmu_first": counted("smmu_first", 900, 1500),
    "withheld": counted("withheld", 50, 1000),
}


class Host:
    """The costs of the parts of an unmap on one host, in ns"""

    def __init__(self, parameters, measured=None):
        p = self.p = parameters
        each = p["instruction"]
        # One IOMMU_HWPT_INVALIDATE with one command, and for each further command
        self.direct_first = p["syscall"] + p["direct_first"] * each + p["sync"] + p["tlbi"]
        self.direct_next = p["direct_next"] * each + p["tlbi"]
        # RUN_CMDQ costs that, and
        self.module_first = p["module_first"] * each
        self.module_next = p["module_next"] * each
        # for each further SMMU that gets the commands, and each that does not
        self.smmu_first = p["smmu_first"] * each + p["sync"] + p["tlbi"]
        self.smmu_next = self.direct_next
        self.withheld = p["withheld"] * each
        for name, value in (measured or {}).items():
            setattr(self, name, value)

    def direct(self, num):
        return self.direct_first + (num - 1) * self.direct_next

    def run_cmdq(self, num, smmus, withheld):
        further = self.smmu_first + (num - 1) * self.smmu_next
        return (self.direct(num) + self.module_first + (num - 1) * self.module_next +
                (smmus - 1) * further + withheld * self.withheld)

    # The time of an unmap that sends "num" TLBIs and a CMD_SYNC

    def qemu(self, num):
        """QEMU 11.1: two exits, and a call for each TLBI, which waits for a CMD_SYNC"""
        return self.p["guest"] + 2 * self.p["exit_user"] + num * self.direct(1)

    def exiting(self, num, smmus=1, withheld=0):
        """A VMM with RUN_CMDQ that the store to CMDQ_PROD exits to"""
        return self.p["guest"] + self.p["exit_user"] + self.run_cmdq(num, smmus, withheld)

    def polled(self, num, smmus=1, withheld=0):
        """A VMM with RUN_CMDQ that polls CMDQ_PROD"""
        return (self.p["guest"] + self.p["exit_kernel"] + 2 * self.p["handoff"] +
                self.run_cmdq(num, smmus, withheld))

    def hardware(self, num):
        """A hardware queue that belongs to the guest"""
        return self.p["guest"] + 2 * self.p["mmio"] + self.p["sync"] + num * self.p["tlbi"]


SIDES = (
    ("QEMU, accel=on", Host.qemu),
    ("RUN_CMDQ by exit", Host.exiting),
    ("RUN_CMDQ polled", Host.polled),
    ("hardware queue", Host.hardware),
)


def us(ns):
    return f"{ns / 1000:.2f}"


def table(head, rows):
    """A simple table of reStructuredText"""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
             for row in cells]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


class Model:
    """The hosts, and the tables about them"""

    def __init__(self, changes=None, measured=None):
        self.values = [{name: (changes or {}).get(name, parameter.values[i])
                        for name, parameter in PARAMETERS.items()} for i in range(len(HOSTS))]
        self.measured = measured or {}
        self.hosts = [Host(values, self.measured) for values in self.values]
        # the one for tables with several columns already
        self.host = self.hosts[-1]

    def with_parameter(self, name, value):
        return Host({**self.values[-1], name: value}, self.measured)

    def parameters(self):
        rows = []
        for name, parameter in PARAMETERS.items():
            rows.append([f"``{name}``", *(f"{values[name]:,g}" for values in self.values),
                         parameter.unit, f"{parameter.low:,g} to {parameter.high:,g}",
                         parameter.source])
        return table(["parameter", *HOSTS, "unit", "range", "source"], rows)

    def doorbell(self):
        head, rows = ["TLBIs", "in us (by QEMU's)", *HOSTS], []
        for num in (1, 32):
            for name, cost in SIDES:
                costs = [(cost(host, num), host.qemu(num)) for host in self.hosts]
                rows.append([num, name, *(f"{us(ns)} ({ns / qemu:.2f})" for ns, qemu in costs)])
        return table(head, rows)

    def smmus(self):
        head = ["TLBIs", "SMMUs", "QEMU", "by exit, to all", "to one", "polled, to all", "to one"]
        rows = []
        for num in (1, 32):
            for smmus in (1, 2, 3, 4, 6, 8, 10):
                rows.append([num, smmus, us(self.host.qemu(num)),
                             us(self.host.exiting(num, smmus)),
                             us(self.host.exiting(num, 1, smmus - 1)),
                             us(self.host.polled(num, smmus)),
                             us(self.host.polled(num, 1, smmus - 1))])
        return table(head, rows)

    def shares(self):
        """The part of each side's time that would go with a parameter"""
        head, rows = ["in percent", *(name for name, _ in SIDES)], []
        for name in ("exit_user", "exit_kernel", "handoff", "syscall", "instruction", "sync",
                     "tlbi", "mmio", "guest"):
            without = self.with_parameter(name, 0)
            rows.append([f"``{name}``", *(f"{100 * (1 - cost(without, 1) / cost(self.host, 1)):.0f}"
                                          for _, cost in SIDES)])
        return table(head, rows)

    def ranges(self):
        """The ratios at both ends of each range"""
        ratios = (
            ("by exit, 1", lambda host: host.exiting(1) / host.qemu(1)),
            ("polled, 1", lambda host: host.polled(1) / host.qemu(1)),
            ("by exit, 32", lambda host: host.exiting(32) / host.qemu(32)),
            ("to 4 SMMUs, 1", lambda host: host.exiting(1, 4) / host.qemu(1)),
            ("hardware by polled, 1", lambda host: host.hardware(1) / host.polled(1)),
        )
        rows = [["as above", *(f"{ratio(self.host):.2f}" for _, ratio in ratios)]]
        for name, parameter in PARAMETERS.items():
            ends = [self.with_parameter(name, end) for end in (parameter.low, parameter.high)]
            cells = []
            for _, ratio in ratios:
                low, high = (f"{ratio(end):.2f}" for end in ends)
                cells.append("same" if low == high else f"{low} to {high}")
            rows.append([f"``{name}``", *cells])
        return table(["parameter", *(name for name, _ in ratios)], rows)

    def limits(self):
        """Costs and rates at which one side becomes cheaper than another"""
        def row(name, value):
            return [name, *(value(host) for host in self.hosts)]

        def dearer(host, num):
            further = host.smmu_first + (num - 1) * host.smmu_next
            return f"{1 + (host.qemu(num) - host.exiting(num)) / further:.1f}"

        def worth(host):
            saved = host.exiting(1) - host.polled(1)
            return f"{1e6 / saved:,.0f}" if saved > 0 else "never"

        return table(["limit", *HOSTS], [
            row("SMMUs with which to all, by exit, is as dear as QEMU: 1 TLBI", lambda h: dearer(h, 1)),
            row("the same, 32 TLBIs", lambda h: dearer(h, 32)),
            row("each further SMMU, 1 TLBI, us", lambda h: us(h.smmu_first)),
            row("the same if withheld, us", lambda h: us(h.withheld)),
            row("to one of 10 SMMUs, by that with 1 SMMU: 1 TLBI, by exit",
                lambda h: f"{h.exiting(1, 1, 9) / h.exiting(1):.2f}"),
            row("the same, polled", lambda h: f"{h.polled(1, 1, 9) / h.polled(1):.2f}"),
            row("the same, polled, 32 TLBIs",
                lambda h: f"{h.polled(32, 1, 9) / h.polled(32):.2f}"),
            row("polling saves for each doorbell, us", lambda h: us(h.exiting(1) - h.polled(1))),
            row("thousand doorbells a second at which that is a CPU", worth),
            row("thousand doorbells of 1 TLBI a second through one vSMMU",
                lambda h: f"{1e6 / h.run_cmdq(1, 1, 0):,.0f}"),
            row("the same, to all of 4 SMMUs", lambda h: f"{1e6 / h.run_cmdq(1, 4, 0):,.0f}"),
            row("the same, to one of 4 SMMUs", lambda h: f"{1e6 / h.run_cmdq(1, 1, 3):,.0f}"),
        ])


TABLES = ("parameters", "doorbell", "smmus", "shares", "ranges", "limits")
MARKED = re.compile(r"^\.\. model: (\w+)\n\n((?:.+\n)+)", re.M)


def replace(page, model):
    """The page with the tables of the model. It must have each once."""
    found = [name for name, _ in MARKED.findall(page)]
    if sorted(found) != sorted(TABLES):
        raise ValueError(f"the page has {', '.join(found) or 'no table'}, not {', '.join(TABLES)}")
    return MARKED.sub(lambda match: f".. model: {match[1]}\n\n{getattr(model, match[1])()}\n", page)


def from_bench(name):
    """Parameters and attributes of a host, from a file with results"""
    with open(name, encoding="utf-8") as file:
        results = json.load(file)
    # build/bench.json has no such key, and is by instructions.
    if results.get("clock", "instructions") == "instructions":
        return counts(results), {}
    found = parts(results)
    return {}, {**found, "smmu_next": found["direct_next"]}


def parse(args):
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--bench")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--check")
    parser.add_argument("--update")
    parser.add_argument("tables", nargs="*")
    options = parser.parse_args(args)
    options.changes = {}
    for change in options.set:
        name, _, value = change.partition("=")
        if name not in PARAMETERS:
            parser.error(f"there is no parameter '{name}'")
        try:
            options.changes[name] = float(value)
        except ValueError:
            parser.error(f"'{value}' is no number")
    for name in options.tables:
        if name not in TABLES:
            parser.error(f"there is no table '{name}'")
    if (options.check or options.update) and (options.bench or options.set or options.tables):
        parser.error("a page has all tables, with the parameters as they are")
    return options


def main(args):
    options = parse(args)
    changes, measured = from_bench(options.bench) if options.bench else ({}, {})
    model = Model({**changes, **options.changes}, measured)
    page = options.check or options.update
    if not page:
        for name in options.tables or TABLES:
            print(f"{name}\n\n{getattr(model, name)()}\n")
        return 0
    with open(page, encoding="utf-8") as file:
        old = file.read()
    new = replace(old, model)
    if options.check:
        for name, text in MARKED.findall(old):
            if text != getattr(model, name)() + "\n":
                print(f"{page}: the table '{name}' is not what the model prints")
        return int(new != old)
    with open(page, "w", encoding="utf-8") as file:
        file.write(new)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, ValueError) as error:
        sys.exit(f"model.py: {error}")
