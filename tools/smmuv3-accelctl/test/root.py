#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Make a root for smmuv3-accelctl --root, as a host with two SMMUs has it.

root.py DIR makes it; root.py --damage COUNT FILE DIR makes damaged copies of a file.
"""
import gzip
import os
import random
import struct
import sys

SMMUS = (0x9050000, 0x9060000)
CANWBS = 1 << 2

# Only root can create device nodes. So the nodes of the module, of VFIO and of a VFIO
# group are links to nodes that every system has, and have their numbers.
# The device that sysfs no longer has is one of the same major number.
ACCEL, VFIO0, VFIO1, GROUP6, GONE = "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random", "/dev/null"
OTHER = "/dev/tty"
VFIO_NUMBERS = {0: VFIO0, 1: VFIO1}

# bdf, class, driver, smmu, group, VFIO device
DEVICES = (
    ("0000:00:01.0", "0x010802", "vfio-pci", 0, 1, 0),
    ("0000:00:02.0", "0x020000", "vfio-pci", 0, 2, 1),
    ("0000:00:03.0", "0x020000", "virtio-pci", 0, 3, None),
    # A direct region, and one that is relaxable
    ("0000:00:04.0", "0x010400", "vfio-pci", 0, 7, 4),
    ("0000:00:07.0", "0x0c0330", "vfio-pci", 0, 8, 5),
    # The unbind waits: for a vSMMU, for a file that names the device, for one that does not
    ("0000:00:05.0", "0x020000", None, 0, 9, None),
    ("0000:00:08.0", "0x020000", None, 0, 10, None),
    ("0000:00:09.0", "0x020000", None, 0, 11, None),
    # No driver, and opened through its group
    ("0000:00:0a.0", "0x020000", None, 0, 12, None),
    ("0000:00:0b.0", "0x020000", "vfio-pci", 0, 13, 6),
    ("0000:00:1c.0", "0x00ff00", "vfio-pci", 0, 4, 2),
    ("0000:00:1c.1", "0x00ff00", "vfio-pci", 0, 4, 10),
    ("0000:00:1d.0", "0x00ff00", "vfio-pci", 0, 15, 11),
    ("0000:00:1d.1", "0x00ff00", None, 0, 15, None),
    ("0000:00:1d.2", "0x00ff00", "uhci_hcd", 0, 15, None),
    ("0000:00:1d.3", "0x00ff00", None, 0, 15, None),
    ("0000:00:1d.7", "0x00ff00", "ehci-pci", 0, 15, None),
    ("0000:00:1e.0", "0x060400", "pcieport", 0, 5, None),
    ("0000:05:00.0", "0x020000", "vfio-pci", 0, 5, 7),
    ("0000:06:01.0", "0x020000", "vfio-pci", 0, 14, 8),
    ("0000:06:02.0", "0x010802", "nvme", 0, 14, None),
    # Its group has a device that is not on the PCI bus
    ("0000:06:03.0", "0x020000", "vfio-pci", 0, 16, 12),
    # Behind no SMMUv3: with VFIO, and without
    ("0000:07:00.0", "0x020000", "vfio-pci", None, None, 9),
    ("0000:07:00.1", "0x020000", "nvme", None, None, None),
    ("0001:40:00.0", "0x030200", "vfio-pci", 1, 6, 3),
)

MSI = "0x0000000008000000 0x00000000080fffff msi\n"
REGIONS = {
    7: MSI + "0x00000000fc000000 0x00000000fdffffff direct\n0x00000000fe000000 0x00000000fe00ffff direct\n",
    8: MSI + "0x00000000fc000000 0x00000000fdffffff direct-relaxable\n",
}

DEBUGFS = """mode:\ttable
cr0:\t0xd
gbpa:\t0
strtab_base:\t0x40000000
strtab_base_cfg:\t0x10208
cmdq_base:\t0x50000008
phys 0:\tviommu 4 s2_hwpt 3 streams 1
stream 0x10:\t0000:00:01.0 phys 0 dev_id 2 vdevice 5 hwpt 8 s1 reason 0 ste 0x800000008100002b 0x84
stream 0x11:\temulated bypass reason 0 ste 0x0 0x0
stream 0x12:\tbridge abort reason 49 ste 0x0 0x0
stream 0x13:\tbridge abort reason 4242 ste 0x0 0x0
stream 0x14:\t0000:00:05.0 phys 0 dev_id 6 vdevice 7 hwpt 0 other reason 66 ste 0x8000000081000029 0x84
stream 0x80000003:\t0000:00:06.0 phys 0 dev_id 9 vdevice 0 hwpt 0 abort reason 63 ste 0x0 0x0
what a newer module shows:\t1
"""
NAMES = ("cmds syncs issued subsumed merged host_calls zero_copy ste_installed "
         "ste_unchanged ste_bad cmd_errors replays withheld").split()
FIRST = (81920, 2560, 40000, 30000, 5000, 2560, 2432, 3, 2, 1, 0, 0, 10000)
SECOND = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 18446744073709551615, 0)


def iort():
    """Two SMMUs, each behind a root complex; the first one's is CANWBS."""
    nodes = []
    at = 48
    offsets = []
    for base in SMMUS:
        node = struct.pack("<BHBIII", 4, 68, 5, 0, 0, 0) + struct.pack("<QI", base, 1)
        nodes.append(node.ljust(68, b"\0"))
        offsets.append(at)
        at += 68
    for number, offset in enumerate(offsets):
        node = struct.pack("<BHBIII", 2, 60, 4, 0, 1, 40)
        node += struct.pack("<IBHBIIB", 1, 0, 0, 0 if number else CANWBS, 0, number, 64)
        node = node.ljust(40, b"\0")
        node += struct.pack("<IIIII", 0, 0xFFFF, 0, offset, 0)
        nodes.append(node)
        at += 60
    table = b"IORT" + struct.pack("<IBB", at, 6, 0) + b"TEST  " + b"TESTTEST"
    table = table.ljust(36, b"\0") + struct.pack("<III", len(nodes), 48, 0)
    return table + b"".join(nodes)


def damage(count, source, folder):
    """Write @count damaged copies of a file."""
    with open(source, "rb") as file:
        whole = file.read()
    os.makedirs(folder)
    for seed in range(count):
        dice = random.Random(seed)
        copy = bytearray(whole)
        for _ in range(dice.randrange(1, 30)):
            # The tool reads nothing but the name in the head of an ACPI table.
            place = dice.randrange(4, len(copy))
            copy[place] = dice.choice(b"\0\1\n\t :9-%sx\x7f\x80\xff")
        copy = copy[:dice.choice((dice.randrange(len(copy)), len(copy)))]
        with open(f"{folder}/{seed:04}", "wb") as file:
            file.write(copy * dice.choice((1, 1, 1, 20)))


class Root:
    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        path = self.folder + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, name, contents):
        with open(self.path(name), "wb") as file:
            file.write(contents if isinstance(contents, bytes) else contents.encode())

    def link(self, name, target):
        os.symlink(target, self.path(name))

    def process(self, pid, comm, files):
        self.write(f"/proc/{pid}/comm", comm)
        for fd, (target, fdinfo) in files.items():
            self.link(f"/proc/{pid}/fd/{fd}", target)
            self.write(f"/proc/{pid}/fdinfo/{fd}", fdinfo)


def number(device):
    """A device's number as sysfs has it"""
    rdev = os.stat(device).st_rdev
    return f"{os.major(rdev)}:{os.minor(rdev)}\n"


OPEN = "pos:\t0\nflags:\t02100002\nmnt_id:\t25\nino:\t7\n"
O_PATH = OPEN.replace("02100002", "012100000")


def device_info(bdf):
    """The fdinfo of a VFIO device of a kernel that names it"""
    return OPEN + f"vfio-device-syspath: /sys/devices/pci0000:00/{bdf}\n"


def fdinfo(number, streams, counters):
    text = OPEN + f"vsmmu-id:\t{number}\nvsmmu-streams:\t{streams}\n"
    return text + "".join(f"vsmmu-{name}:\t{value}\n" for name, value in zip(NAMES, counters))


def make(folder):
    root = Root(folder)
    root.write("/proc/sys/kernel/osrelease", "7.3.4-test\n")
    root.write("/proc/config.gz", gzip.compress(
        b"CONFIG_ARM_SMMU_V3=y\nCONFIG_ARM_SMMU_V3_IOMMUFD=y\nCONFIG_IOMMUFD=m\n"
        b"# CONFIG_VFIO_DEVICE_CDEV is not set\nCONFIG_VFIO=m\nCONFIG_VFIO_PCI=m\n"
        b"CONFIG_VFIO_PCI_CORE=m\n"))
    root.write("/etc/passwd", "root:x:0:0::/:/bin/sh\n")
    root.write("/etc/group", "root:x:0:\n")
    root.write("/sys/module/smmuv3_accel/srcversion", "0123456789ABCDEF\n")
    for name, value in (("subsume", "Y"), ("merge", "N"), ("escalate", "64")):
        root.write(f"/sys/module/smmuv3_accel/parameters/{name}", value + "\n")
    root.write("/dev/iommu", "")
    root.link("/dev/smmuv3-accel", ACCEL)
    root.link("/jail/dev/smmuv3-accel", ACCEL)
    root.link("/jail/dev/disk", VFIO0)
    root.link("/dev/vfio/devices/vfio0", VFIO0)
    root.link("/dev/vfio/devices/vfio1", VFIO1)
    root.link("/dev/vfio/6", GROUP6)
    root.write("/sys/class/misc/smmuv3-accel/dev", number(ACCEL))
    root.write("/sys/class/vfio/6/dev", number(GROUP6))
    root.write("/sys/class/vfio/7/dev", "")
    root.write("/sys/class/vfio/11/dev", "1:4711\n")
    root.write("/proc/devices", "Character devices:\n  5 vfio-dev-not\n  1 vfio-dev\n252 vfio\n\nBlock devices:\n259 blkext\n")
    root.write("/sys/bus/pci/drivers/vfio-pci/uevent", "")
    root.link("/dev/vfio/devices/vfio9", GONE)
    root.write("/sys/firmware/acpi/tables/IORT", iort())
    for base in SMMUS:
        root.write(f"/sys/class/iommu/smmu3.{base:#018x}/uevent", "")
    root.write("/sys/class/iommu/dmar0/uevent", "")

    for bdf, pci_class, driver, smmu, group, vfio in DEVICES:
        device = f"/sys/bus/pci/devices/{bdf}"
        root.write(device + "/class", pci_class + "\n")
        root.write(device + "/vendor", "0x1234\n")
        root.write(device + "/device", "0x11e8\n")
        if smmu is not None:
            root.link(device + "/iommu", f"../../../../class/iommu/smmu3.{SMMUS[smmu]:#018x}")
        if driver:
            root.link(device + "/driver", f"../../drivers/{driver}")
        if group:
            root.link(device + "/iommu_group", f"../../../../kernel/iommu_groups/{group}")
            root.write(f"/sys/kernel/iommu_groups/{group}/devices/{bdf}", "")
            root.write(f"/sys/kernel/iommu_groups/{group}/reserved_regions", REGIONS.get(group, MSI))
        if vfio is not None:
            dev = number(VFIO_NUMBERS[vfio]) if vfio in VFIO_NUMBERS else f"511:{vfio}\n"
            root.write(f"{device}/vfio-dev/vfio{vfio}/dev", dev)
            root.write(f"/sys/class/vfio-dev/vfio{vfio}/dev", dev)

    root.write("/sys/kernel/iommu_groups/16/devices/arm-smmu-v3-pmcg.4.auto", "")

    # The first VMM has a device, and a vSMMU twice. Its name is an attack on terminals
    # and on JSON.
    root.process(100, b"\x1b[31m\"\\\xff\xc3\xa9\xed\xa0\x80\n", {
        3: ("/dev/smmuv3-accel", fdinfo(7, 4, FIRST)),
        4: ("/jail/dev/smmuv3-accel", fdinfo(7, 4, FIRST)),
        5: ("/dev/vfio/devices/vfio0", OPEN),
        6: ("/dev/pts/3", ""),
        8: ("/jail/dev/disk", OPEN),
    })
    # A group file, an unbound vSMMU, and one that debugfs does not have. The name has
    # an overlong form, a C1 control and a truncated form.
    root.process(2000, b"old\xc0\xaf\xc2\x9b\xe2\x82\n", {
        3: ("/dev/vfio/6", OPEN),
        4: ("/dev/smmuv3-accel", fdinfo(0, 0, SECOND)),
        11: ("/dev/smmuv3-accel", fdinfo(12, 0, SECOND)),
    })
    # Files of devices whose unbind waits, and a device that was opened through its group
    root.process(400, "qemu\n", {
        3: ("/dev/vfio/devices/vfio9", device_info("0000:00:08.0")),
        4: ("anon_inode:[vfio-device]", device_info("0000:00:0b.0")),
        5: ("anon_inode:[vfio-device]", OPEN),
        6: ("anon_inode:[vfio-device]", device_info("0000:00:1d.3")),
    })
    root.process(401, "old-qemu\n", {3: ("/dev/vfio/devices/vfio9", OPEN)})
    root.process(402, "sh\n", {
        1: ("/sys/bus/pci/drivers/vfio-pci/unbind", OPEN),
        2: ("/sys/bus/pci/drivers/vfio-pci/unbind/not", OPEN),
        3: ("/sys/bus/pci/drivers/vfio-pci/bind", OPEN),
    })
    # A user who has no device, but files with such names: a file of his own, another
    # device, the devices themselves with O_PATH, memory with a name
    root.write("/home/eve/vfio/devices/vfio1", "")
    root.write("/home/eve/smmuv3-accel", "")
    root.link("/home/eve/dev/vfio/devices/vfio1", OTHER)
    root.link("/home/eve/dev/smmuv3-accel", OTHER)
    root.process(300, b"eve\n", {
        3: ("/home/eve/vfio/devices/vfio1", OPEN),
        4: ("/home/eve/smmuv3-accel", fdinfo(7, 4, SECOND)),
        5: ("/home/eve/dev/vfio/devices/vfio1", OPEN),
        6: ("/home/eve/dev/smmuv3-accel", fdinfo(7, 4, SECOND)),
        7: ("/dev/vfio/devices/vfio1", O_PATH),
        8: ("/dev/smmuv3-accel", O_PATH),
        9: ("/dmabuf:x/smmuv3-accel", OPEN + "name:\tx\n" + fdinfo(7, 4, SECOND)),
        10: ("/dev/vfio/devices/vfio1 (deleted)", OPEN),
        11: ("pipe:[42]", device_info("0000:00:0a.0")),
        12: ("/dmabuf:x/vfio9", device_info("0000:00:0a.0")),
        13: ("/dev/vfio/devices/vfio9", O_PATH + device_info("0000:00:0a.0")),
        1: ("/sys/bus/pci/drivers/vfio-pci/unbind", O_PATH),
        14: ("/home/eve/dev/vfio/devices/vfio1", device_info("0000:00:0a.0")),
    })
    root.process("self", "no number\n", {3: ("/dev/smmuv3-accel", fdinfo(99, 0, SECOND))})
    counters = "".join(f"{name}:\t{value}\n" for name, value in zip(NAMES, FIRST))
    root.write("/sys/kernel/debug/smmuv3-accel/7", DEBUGFS + counters)
    # No visible process holds this one.
    root.write("/sys/kernel/debug/smmuv3-accel/9", "mode:\texplicit\n" + counters)
    root.write("/sys/kernel/debug/smmuv3-accel/readme", "no number\n")


def main():
    if sys.argv[1] == "--damage":
        damage(int(sys.argv[2]), sys.argv[3], sys.argv[4])
    else:
        make(sys.argv[1])


main()
