#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is done to a machine's IORT, held on a table of two nodes; and QEMU's own."""

import struct
import unittest

import iort
import qemu
from machines import MACHINES, QEMU
from packages import Cache


def table(kinds, memory_flags=3):
    """An IORT with nodes of these kinds, 40 bytes each."""
    nodes = b"".join(struct.pack("<BH", kind, 40) + bytes(20) + bytes([memory_flags]) + bytes(16)
                     for kind in kinds)
    head = struct.pack("<4sIBB6s8sI4sIIII", b"IORT", 48 + len(nodes), 5, 0, b"weir", b"test", 7,
                       b"weir", 1, len(kinds), 48, 0)
    return head + nodes


class Tables(unittest.TestCase):
    def test_one_bit_more(self):
        old = table((0, 2))
        new = iort.coherent(old)
        self.assertEqual(new[48 + 23], 3)
        self.assertEqual(new[88 + 23], 3 | 4)
        self.assertEqual(struct.unpack_from("<I", new, 24), (8,))
        self.assertEqual(sum(new) & 0xff, 0)
        same = [i for i in range(len(old)) if old[i] == new[i]]
        self.assertEqual(len(same), len(old) - 3)

    def test_no_root_complex(self):
        with self.assertRaisesRegex(iort.TableError, "no PCI root complex"):
            iort.coherent(table((0, 4)))

    def test_qemus_own(self):
        machine = MACHINES["arm64-nested"]
        with Cache() as cache:
            tree = cache.tree(QEMU)
            argv, environment = qemu.command(tree, machine), qemu.environment(tree)
            own = iort.table_of(argv, environment)
            archive = iort.override(argv, environment)
            with self.assertRaisesRegex(iort.TableError, "no etc/acpi/none"):
                iort.table_of(argv, environment, "etc/acpi/none")
        self.assertIn(iort.coherent(own), archive)
        self.assertTrue(archive.startswith(b"070701"))


if __name__ == "__main__":
    unittest.main()
