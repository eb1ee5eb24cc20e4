# SPDX-License-Identifier: MIT
"""A desktop for guides, as a tree for --root: two cards at ports that don't isolate.

It is the machine of the series "Setup KVM with PCIe passthrough", and two ports of its chipset.
"""

import os
import struct
from pathlib import Path

ENDPOINT, LEGACY, ROOT_PORT, INTEGRATED = 0, 1, 4, 9
MULTIFUNCTION, BRIDGE = 0x80, 0x01
ACS = 0x1f                      # SV TB RR CR UF

NAMES = """\
10de  NVIDIA Corporation
\t228b  GA104 High Definition Audio Controller
\t2489  GA104 [GeForce RTX 3060 Ti]
10ee  Xilinx Corporation
\t5000  Alveo U200, management
\t5001  Alveo U200, user
144d  Samsung Electronics Co Ltd
\ta808  NVMe SSD Controller SM981
8086  Intel Corporation
\t1901  PCIe Controller (x16)
\t1905  PCIe Controller (x8)
\t3e98  UHD Graphics 630
\ta340  Cannon Lake PCH PCI Express Root Port 21
\ta338  Cannon Lake PCH PCI Express Root Port 1
\ta36d  Cannon Lake PCH USB 3.1 xHCI Host Controller
"""


def config(ids, header, express, acs):
    """Config space with the capabilities that IOMMU groups depend on."""
    data = bytearray(4096 if express is not None else 256)
    struct.pack_into("<HHHH", data, 0, *ids, 0, 0x10 if express is not None else 0)
    data[0x0e] = header
    if express is not None:
        data[0x34] = 0x40
        struct.pack_into("<BBH", data, 0x40, 0x10, 0, 2 | express << 4)
    if acs:
        struct.pack_into("<IHH", data, 0x100, 0x0001000d, acs, acs)
    return bytes(data)


def link(place, target):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(os.path.relpath(target, place.parent))


def function(root, path, ids, class_code, group, driver, header=0, express=None, acs=0, reset=""):
    folder = root / "sys/devices/pci0000:00" / path
    folder.mkdir(parents=True)
    texts = {"uevent": f"PCI_CLASS={class_code:X}\nPCI_ID={ids[0]:04X}:{ids[1]:04X}\n"
                       "PCI_SUBSYS_ID=0000:0000\n",
             "vendor": f"0x{ids[0]:04x}\n", "device": f"0x{ids[1]:04x}\n",
             "class": f"0x{class_code:06x}\n", "revision": "0x00\n", "reset_method": f"{reset}\n"}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "config").write_bytes(config(ids, header, express, acs))
    link(root / "sys/bus/pci/devices" / folder.name, folder)
    home = root / f"sys/kernel/iommu_groups/{group}"
    home.mkdir(parents=True, exist_ok=True)
    (home / "type").write_text("DMA-FQ\n", encoding="utf-8")
    for name, target in (("iommu_group", home), ("iommu", root / "sys/devices/virtual/iommu/dmar0"),
                         ("driver", root / f"sys/bus/pci/drivers/{driver}")):
        target.mkdir(parents=True, exist_ok=True)
        link(folder / name, target)


def build(folder):
    root = Path(folder)
    names = root / "usr/share/misc/pci.ids"
    names.parent.mkdir(parents=True)
    names.write_text(NAMES, encoding="utf-8")
    link(root / "sys/class/iommu/dmar0", root / "sys/devices/virtual/iommu/dmar0")
    port = {"class_code": 0x060400, "driver": "pcieport", "express": ROOT_PORT, "reset": "pm"}
    both = MULTIFUNCTION | BRIDGE
    function(root, "0000:00:01.0", (0x8086, 0x1901), group=0, header=both, **port)
    function(root, "0000:00:01.1", (0x8086, 0x1905), group=0, header=both, **port)
    function(root, "0000:00:02.0", (0x8086, 0x3e98), 0x038000, 1, "i915", express=INTEGRATED,
             reset="flr")
    function(root, "0000:00:14.0", (0x8086, 0xa36d), 0x0c0330, 2, "xhci_hcd")
    function(root, "0000:00:1b.0", (0x8086, 0xa340), group=3, header=BRIDGE, acs=ACS, **port)
    function(root, "0000:00:1c.0", (0x8086, 0xa338), group=4, header=BRIDGE, acs=ACS, **port)
    card = {"header": MULTIFUNCTION, "express": ENDPOINT}
    for number in range(2):
        function(root, f"0000:00:01.0/0000:01:00.{number}", (0x10ee, 0x5000 + number), 0x120000, 0,
                 "vfio-pci", reset="bus", **card)
    function(root, "0000:00:01.1/0000:02:00.0", (0x10de, 0x2489), 0x030000, 0, "nvidia",
             reset="flr bus", **card)
    function(root, "0000:00:01.1/0000:02:00.1", (0x10de, 0x228b), 0x040300, 0, "snd_hda_intel",
             **card)
    function(root, "0000:00:1b.0/0000:03:00.0", (0x144d, 0xa808), 0x010802, 5, "nvme",
             express=ENDPOINT, reset="flr bus")
