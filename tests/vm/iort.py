# SPDX-License-Identifier: MIT
"""A machine's own IORT with one bit more, for its kernel to find before its root file system.

The kernel makes a vIOMMU of an SMMUv3 only where no access of the device can go around the caches
(arm_smmu_get_viommu_size() in drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-iommufd.c). QEMU's caches
are the host's, and yet its table doesn't say so. Linux takes a newer one from an initrd
(Documentation/admin-guide/acpi/initrd_table_override.rst).
"""

import struct
import subprocess

import initramfs

# QEMU's firmware configuration on the machine virt (docs/specs/fw_cfg.rst, hw/arm/virt.c).
FW_CFG_DMA = 0x09020010
FILE_DIR = 0x19
SELECT_AND_READ = 0x08 | 0x02
RAM = 0x40000000
CONTENT = RAM + 0x1000

# The table (Arm DEN 0049, IO Remapping Table).
NODE_COUNT = 36
ROOT_COMPLEX = 2
MEMORY_FLAGS = 16 + 7       # of its memory access properties, the last byte
CANWBS = 1 << 2             # coherent write-back, whatever the device's accesses say
OEM_REVISION = 24
CHECKSUM = 9


class TableError(Exception):
    """The table isn't what it should be; the text is a sentence for the user."""


class Qtest:
    """QEMU's protocol for its own tests (docs/devel/testing/qtest.rst), of a machine that doesn't
    run: it gives the firmware's files without a firmware."""

    def __init__(self, process):
        self._process = process

    def _ask(self, command):
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        if answer[:1] != ["OK"]:
            raise TableError(f"QEMU answers '{' '.join(answer)}' to '{command}'")
        return answer[1:]

    def file(self, key, size):
        """What the firmware would read."""
        access = struct.pack(">IIQ", key << 16 | SELECT_AND_READ, size, CONTENT)
        self._ask(f"write {RAM:#x} {len(access)} 0x{access.hex()}")
        self._ask(f"writeq {FW_CFG_DMA:#x} {int.from_bytes(struct.pack('>Q', RAM), 'little'):#x}")
        return bytes.fromhex(self._ask(f"read {CONTENT:#x} {size}")[0][2:])

    def named(self, wanted):
        """The same, by its name."""
        count, = struct.unpack(">I", self.file(FILE_DIR, 4))
        for entry in struct.iter_unpack(">IHH56s", self.file(FILE_DIR, 4 + 64 * count)[4:]):
            if entry[3].rstrip(b"\0").decode() == wanted:
                return self.file(entry[1], entry[0])
        raise TableError(f"QEMU has no {wanted} for the firmware")


def table_of(argv, environment, name="etc/acpi/tables"):
    """The IORT that QEMU makes for the machine of these arguments."""
    with subprocess.Popen([*argv, "-S", "-qtest", "stdio"], env=environment, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        try:
            tables = Qtest(process).named(name)
        finally:
            process.kill()
    start = tables.find(b"IORT")
    if start < 0:
        raise TableError("QEMU made no IORT for the machine")
    length, = struct.unpack_from("<I", tables, start + 4)
    return tables[start:start + length]


def coherent(table):
    """The same for devices that are coherent whatever they do, and newer."""
    table = bytearray(table)
    count, node = struct.unpack_from("<II", table, NODE_COUNT)
    found = False
    for _ in range(count):
        kind, length = struct.unpack_from("<BH", table, node)
        if kind == ROOT_COMPLEX:
            table[node + MEMORY_FLAGS] |= CANWBS
            found = True
        node += length
    if not found:
        raise TableError("the machine's IORT has no PCI root complex")
    revision, = struct.unpack_from("<I", table, OEM_REVISION)
    struct.pack_into("<I", table, OEM_REVISION, revision + 1)
    table[CHECKSUM] = 0
    table[CHECKSUM] = -sum(table) & 0xff
    return bytes(table)


def override(argv, environment):
    """What comes before the root file system."""
    archive = initramfs.Cpio()
    archive.file("kernel/firmware/acpi/iort.aml", coherent(table_of(argv, environment)))
    return archive.plain()
