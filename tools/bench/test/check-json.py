#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""check-json.py ONE ALL: check what smmuv3-accel-bench printed for test/vm.sh."""

import json
import re
import sys

SIZES = (1, 2, 3, 4, 8, 16, 32, 64, 256, 1024, 4096, 16384)
COUNTS = {"memory_vsmmu_bytes", "memory_vsmmu_device_bytes", "memory_lap_bytes",
          "host_calls_32x512", "asid_flood_issued"}
FIGURES = {
    *(f"doorbell{n}_{what}" for n in SIZES for what in ("ns", "vs_batch")),
    *(f"batch{n}_ns" for n in SIZES),
    "doorbell1_vs_single", "doorbell64_vs_singles", "ring_growth", "range1_vs_batch",
    "ste_new_us", "ste_same_us", "ste_direct_us", "ste_new_vs_direct", "ste_same_vs_direct",
    "falling64_per_cmd", "staged64_per_cmd", "iommufd_args", "ioctl_ns", "asid_flood_vs_batch",
}
HOST = {"version", "clock", "repetitions", "kernel", "page_size", "machine", "cpus", "module",
        "smmus", "skipped", "failed", "notes"}
# Differences, which can be anything
ANY = {"staged64_per_cmd", "iommufd_args", "memory_lap_bytes"}


def unique(pairs):
    assert len(dict(pairs)) == len(pairs), f"a key twice: {[key for key, _ in pairs]}"
    return dict(pairs)


def read(name):
    with open(name, encoding="utf-8") as file:
        return json.load(file, object_pairs_hook=unique)


def check(data, figures, counts, skipped):
    wanted = HOST | counts | {key + end for key in figures for end in ("", "_q1", "_q3")}
    assert set(data) == wanted, f"{set(data) ^ wanted}: there or missing"
    for key in figures:
        q1, middle, q3 = (data[key + end] for end in ("_q1", "", "_q3"))
        assert q1 <= middle <= q3, f"{key} has no spread"
        assert key in ANY or q1 > 0, f"{key} is {q1}"
    for key in counts - ANY:
        assert data[key] > 0, f"{key} is {data[key]}"
    assert set(data["skipped"]) == skipped, f"skipped: {data['skipped']}"
    assert data["failed"] == {}, data["failed"]


def check_host(data, smmus):
    assert data["clock"] == "real" and data["repetitions"] == 3
    assert re.fullmatch(r"Linux [67]\..* aarch64", data["kernel"]), data["kernel"]
    assert data["page_size"] in (4096, 16384, 65536)
    assert sum(cpu["number"] for cpu in data["cpus"]) == 2, data["cpus"]
    assert all(int(cpu["midr"], 16) for cpu in data["cpus"])
    assert data["module"]["filter"] == "Y", data["module"]
    assert sorted(smmu["devices"] for smmu in data["smmus"]) == smmus, data["smmus"]
    for smmu in data["smmus"]:
        assert smmu["name"].startswith("smmu3.0x"), smmu
        assert int(smmu["idr"][0], 16) & 3 == 3, f"an SMMU without both stages: {smmu}"
        assert int(smmu["aidr"], 16) and int(smmu["iidr"], 16) >= 0


one, every = read(sys.argv[1]), read(sys.argv[2])
check_host(one, [1])
check(one, FIGURES, COUNTS, {"streams", "fanout", "scaling"})
assert one["host_calls_32x512"] == 512
check_host(every, [1, 3])
check(every, {"fanout2_vs_1", "scaling2_run_cmdq", "scaling2_direct", "scaling2_vs_direct"},
      {"fanout2_calls"}, set())
assert every["fanout2_calls"] == 512, "the filter withholds nothing"
