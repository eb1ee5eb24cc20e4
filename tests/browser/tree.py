# SPDX-License-Identifier: MIT
"""Trees like a machine's sysfs and procfs, for --root."""

import os


class Tree:
    """A machine below a folder."""

    def __init__(self, root):
        self.root = root
        self.addresses = []

    def text(self, path, text):
        """A file, with the folders above it."""
        path = self.root / path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def link(self, path, target):
        """A link to another path of the machine, relative as sysfs has them."""
        here = self.root / path.lstrip("/")
        here.parent.mkdir(parents=True, exist_ok=True)
        here.symlink_to(os.path.relpath(self.root / target.lstrip("/"), here.parent))

    def function(self, address, behind="pci0000:00", ids=(0x8086, 0x1572), class_code=0x020000,
                 driver=None, group=None, **attributes):
        """A PCI function, and the path by which others are behind it."""
        path = f"{behind}/{address}"
        folder = f"/sys/devices/{path}"
        words = {"vendor": f"0x{ids[0]:04x}", "device": f"0x{ids[1]:04x}",
                 "class": f"0x{class_code:06x}", "subsystem_vendor": "0x1af4",
                 "subsystem_device": "0x1100", "revision": "0x01", "numa_node": "0",
                 "uevent": f"PCI_CLASS={class_code:X}\nPCI_ID={ids[0]:04X}:{ids[1]:04X}\n"
                           f"PCI_SUBSYS_ID=1AF4:1100\nPCI_SLOT_NAME={address}", **attributes}
        for name, value in words.items():
            self.text(f"{folder}/{name}", f"{value}\n")
        if driver:
            (self.root / f"sys/bus/pci/drivers/{driver}").mkdir(parents=True, exist_ok=True)
            self.link(f"{folder}/driver", f"/sys/bus/pci/drivers/{driver}")
        if group is not None:
            home = f"/sys/kernel/iommu_groups/{group}"
            self.text(f"{home}/type", "DMA-FQ\n")
            self.text(f"{home}/reserved_regions",
                      "0x00000000fee00000 0x00000000feefffff msi\n")
            self.link(f"{home}/devices/{address}", folder)
            self.link(f"{folder}/iommu_group", home)
            self.link(f"{folder}/iommu", "/sys/devices/virtual/iommu/dmar0")
        self.link(f"/sys/bus/pci/devices/{address}", folder)
        self.addresses.append(address)
        return path

    def bridge(self, address, behind="pci0000:00", ids=(0x8086, 0xa338), **more):
        """A PCI Express port."""
        return self.function(address, behind, ids, 0x060400, "pcieport", **more)

    def with_iommu(self):
        """VT-d is on, and the kernel has VFIO."""
        unit = "/sys/devices/virtual/iommu/dmar0"
        for name, value in {"address": "fed90000", "version": "1:0", "cap": "d2008c40660462",
                            "ecap": "f020df"}.items():
            self.text(f"{unit}/intel-iommu/{name}", f"{value}\n")
        self.link("/sys/class/iommu/dmar0", unit)
        self.text("/sys/firmware/acpi/tables/DMAR", "")
        self.text("/proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro intel_iommu=on\n")
        self.text("/sys/class/dmi/id/sys_vendor", "Gigabyte Technology Co., Ltd.\n")
        self.text("/sys/class/dmi/id/product_name", "Z390 M\n")
        self.text("/proc/sys/kernel/osrelease", "6.12.107\n")
        self.text("/proc/meminfo", "MemTotal:       16000000 kB\n")
        self.text("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
        for module in ("vfio", "vfio_pci", "vfio_iommu_type1"):
            self.text(f"/sys/module/{module}/refcnt", "0\n")

    @classmethod
    def desktop(cls, root):
        """Two cards that share a group, a switch with four network cards, and more."""
        tree = cls(root)
        tree.with_iommu()
        tree.function("0000:00:00.0", ids=(0x8086, 0x3ec2), class_code=0x060000, group=0)
        first = tree.bridge("0000:00:01.0", ids=(0x8086, 0x1901), group=1)
        second = tree.bridge("0000:00:01.1", ids=(0x8086, 0x1905), group=1)
        for number in range(2):
            tree.function(f"0000:01:00.{number}", first, (0x10ee, 0x5000 + number), 0x120000,
                          "vfio-pci", 1, reset_method="bus")
        tree.function("0000:02:00.0", second, (0x10de, 0x2489), 0x030000, "nvidia", 1, boot_vga=1,
                      reset_method="flr bus")
        tree.function("0000:02:00.1", second, (0x10de, 0x228b), 0x040300, "snd_hda_intel", 1)
        tree.function("0000:00:14.0", ids=(0x8086, 0xa36d), class_code=0x0c0330, driver="xhci_hcd",
                      group=4)
        tree.function("0000:00:14.2", ids=(0x8086, 0xa36f), class_code=0x050000, group=4)
        port = tree.bridge("0000:00:1b.0", group=6)
        tree.function("0000:03:00.0", port, (0x144d, 0xa808), 0x010802, "nvme", 7,
                      reset_method="flr bus")
        port = tree.bridge("0000:00:1c.0", group=8)
        switch = tree.bridge("0000:04:00.0", port, (0x10b5, 0x8747), group=9)
        for number in range(4):
            port = tree.bridge(f"0000:05:{8 + number:02x}.0", switch, (0x10b5, 0x8747),
                               group=10 + number)
            tree.function(f"0000:{6 + number:02x}:00.0", port, group=20 + number,
                          driver="i40e" if number else "vfio-pci", reset_method="flr bus")
        tree.function("0000:00:1f.3", ids=(0x8086, 0xa348), class_code=0x040300)
        return tree
