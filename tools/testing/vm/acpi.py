#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Change the ACPI tables that QEMU makes, for the emulated host to override its own.

acpi.py canwbs IN OUT     the IORT says CANWBS for each PCI root complex
acpi.py rmr RID IN OUT    the IORT has a reserved memory range that the PCI function with
                          this requester ID, in hex, needs mapped 1:1
acpi.py preserve IN OUT   the DSDT tells the kernel to keep the firmware's PCI set-up

The host offers nesting where the root complex is declared cacheable, write-back
and shareable (IORT, E.f: table 18, memory access flags, bit 2) or the SMMU has
S2FWB. QEMU declares neither, though its DMA is coherent.

The kernel honours the reserved memory ranges of PCI functions only in a table of
revision 5 or later, and only if requester IDs are those that the firmware saw (_DSM
function 5 of the host bridge returns 0).
"""
import struct
import sys

ROOT_COMPLEX = 2
MEMORY_FLAGS = 23
CANWBS = 1 << 2

RMR = 6
RMR_REVISION = 3
RMR_TABLE_REVISION = 5
# A piece of the PCI memory window that is free: the device never touches it.
RMR_BASE, RMR_LENGTH = 0x30000000, 0x10000

# The end of QEMU's method: If (Arg2 == Zero) { Return (Buffer () {0}) }, and another
# Return (Buffer () {0}) for all other functions. It becomes Return (Zero).
DSM_UUID = bytes.fromhex("d037c9e553357a4d9117ea4d19c3434d")
RETURN_BUFFER = bytes.fromhex("a411030100")
DSM_END = bytes.fromhex("a009936a00") + RETURN_BUFFER
RETURN_ZERO = bytes.fromhex("a400a3a3a3")


def fail(why):
    sys.exit("acpi.py: " + why)


def read(path, name):
    with open(path, "rb") as source:
        table = bytearray(source.read())
    if table[0:4] != name or len(table) != struct.unpack_from("<I", table, 4)[0]:
        fail(f"not a whole {name.decode()}")
    return table


def write(path, table):
    struct.pack_into("<I", table, 4, len(table))
    # A higher OEM revision makes the kernel prefer this table.
    struct.pack_into("<I", table, 24, struct.unpack_from("<I", table, 24)[0] + 1)
    table[9] = 0
    table[9] = -sum(table) & 0xFF
    with open(path, "wb") as target:
        target.write(table)


def root_complexes(table):
    count, node = struct.unpack_from("<II", table, 36)
    for _ in range(count):
        kind, length = struct.unpack_from("<BH", table, node)
        if kind == ROOT_COMPLEX:
            yield node
        node += length


def canwbs(table):
    nodes = list(root_complexes(table))
    if not nodes:
        fail("no root complex in the IORT")
    for node in nodes:
        table[node + MEMORY_FLAGS] |= CANWBS


def stream_of(table, rid):
    """The StreamID of a PCI function, and where the node of its SMMU is."""
    for node in root_complexes(table):
        count, mapping = struct.unpack_from("<II", table, node + 8)
        for at in range(node + mapping, node + mapping + 20 * count, 20):
            first, more, output, smmu = struct.unpack_from("<IIII", table, at)
            if first <= rid <= first + more and table[smmu] == 4:
                return output + rid - first, smmu
    return fail(f"no SMMU has the requester ID {rid:#x}")


def rmr(table, rid):
    stream, smmu = stream_of(table, rid)
    count, = struct.unpack_from("<I", table, 36)
    head, mapping, descriptor = 28, 20, 20
    length = head + mapping + descriptor
    table += struct.pack("<BHBIII", RMR, length, RMR_REVISION, count, 1, head)
    table += struct.pack("<III", 0, 1, head + mapping)
    table += struct.pack("<IIIII", 0, 0, stream, smmu, 0)
    table += struct.pack("<QQI", RMR_BASE, RMR_LENGTH, 0)
    struct.pack_into("<I", table, 36, count + 1)
    table[8] = max(table[8], RMR_TABLE_REVISION)


def preserve(table):
    uuid = table.find(DSM_UUID)
    end = uuid + len(DSM_UUID)
    last = end + len(DSM_END)
    if uuid < 0 or table[end:last] != DSM_END or table[last:last + 5] != RETURN_BUFFER:
        fail("the host bridge's _DSM is not the one of QEMU 11")
    table[last:last + 5] = RETURN_ZERO


def main():
    what, source, target = sys.argv[1], sys.argv[-2], sys.argv[-1]
    table = read(source, b"DSDT" if what == "preserve" else b"IORT")
    if what == "canwbs":
        canwbs(table)
    elif what == "rmr":
        rmr(table, int(sys.argv[2], 16))
    else:
        preserve(table)
    write(target, table)


main()
