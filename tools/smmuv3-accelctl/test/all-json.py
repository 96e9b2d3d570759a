#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""all-json.py FILE: fail unless each line of the file is JSON, in UTF-8, without a key twice."""
import json
import sys


def unique(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"a key twice: {keys}"
    return dict(pairs)


lines = open(sys.argv[1], encoding="utf-8", errors="strict").readlines()
assert lines, "nothing"
for line in lines:
    json.loads(line, object_pairs_hook=unique)
