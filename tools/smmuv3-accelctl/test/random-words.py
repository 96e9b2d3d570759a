#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""random-words.py COUNT BITS: print that many words, in hex; always the same, few bits set."""
import random
import sys

dice = random.Random(1)
count, bits = map(int, sys.argv[1:])
for _ in range(count):
    word = dice.getrandbits(bits) & dice.getrandbits(bits) & dice.getrandbits(bits)
    print(f"{word:x}")
