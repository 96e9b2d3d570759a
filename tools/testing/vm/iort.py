#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Make an IORT that says CANWBS for each PCI root complex.

The host offers nesting where the root complex is declared cacheable, write-back
and shareable (IORT, E.f: table 18, memory access flags, bit 2) or the SMMU has
S2FWB. QEMU declares neither, though its DMA is coherent.
"""
import struct
import sys

NODE_ROOT_COMPLEX = 2
MEMORY_FLAGS = 23
CANWBS = 1 << 2


def patch(table):
    if table[0:4] != b"IORT" or len(table) != struct.unpack_from("<I", table, 4)[0]:
        sys.exit("iort.py: not a whole IORT")
    count, node = struct.unpack_from("<II", table, 36)
    patched = 0
    for _ in range(count):
        kind, length = struct.unpack_from("<BH", table, node)
        if kind == NODE_ROOT_COMPLEX:
            table[node + MEMORY_FLAGS] |= CANWBS
            patched += 1
        node += length
    if not patched:
        sys.exit("iort.py: no root complex in the IORT")
    # A higher OEM revision makes the kernel prefer this table.
    struct.pack_into("<I", table, 24, struct.unpack_from("<I", table, 24)[0] + 1)
    table[9] = 0
    table[9] = -sum(table) & 0xFF


def main():
    with open(sys.argv[1], "rb") as source:
        table = bytearray(source.read())
    patch(table)
    with open(sys.argv[2], "wb") as target:
        target.write(table)


main()
