#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""random-words.py COUNT: print that many 64-bit words, in hex; always the same, few bits set."""
import random
import sys

dice = random.Random(1)
for _ in range(int(sys.argv[1])):
    word = dice.getrandbits(64) & dice.getrandbits(64) & dice.getrandbits(64)
    print(f"{word:x}")
