#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""figure-test.py PROGRAM: compare the quartiles that test/figure.c prints with Python's."""

import json
import random
import subprocess
import sys
from statistics import quantiles

rng = random.Random(1)
for num in (1, 2, 3, 4, 5, 6, 15, 31, 999):
    values = [round(rng.uniform(0, 1000), 3) for _ in range(num)]
    said = json.loads(subprocess.check_output([sys.argv[1], *map(str, values)]))
    wanted = quantiles(values, n=4, method="inclusive") if num > 1 else values * 3
    found = [said["x_q1"], said["x"], said["x_q3"]]
    assert said["median"] == said["x"]
    # Six digits are printed.
    assert all(abs(a - b) <= 1e-5 * b for a, b in zip(found, wanted)), f"{values}: {found}, not {wanted}"
