#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A big machine's /sys, as the kernel would show it: always the same for the same size.

Two processors with four root buses each, an IOMMU per root bus. Behind each root bus's ports are a
network card with two functions and most of the VFs, a switch with SSDs, an accelerator and a
graphics card, a network card with four functions and seven VFs each, and an SSD. The chipset's
ports have no ACS, so that all behind them is one group, a conventional bus among it. Ids are those
of real devices, config spaces hold what decides about groups, and the groups are those that the
kernel would make of them.

usage: machine.py FOLDER [FUNCTIONS]    makes FOLDER
"""

import os
import struct
import sys

ROOT_BUSES = 8
FIXED = 485             # functions besides the first network cards' VFs
VFS_MAX = 126           # of each of their functions: one bus has no room for more

# Device/port types of the PCI Express capability (PCIe 7.5.3.2)
ENDPOINT, ROOT_PORT, UPSTREAM, DOWNSTREAM, TO_PCI, INTEGRATED = 0, 4, 5, 6, 7, 9
CONVENTIONAL = -1

ACS_ALL = 0x1d          # SV, RR, CR, UF: what the kernel switches on (pci_std_enable_acs())
DIRECT = "0x000000007b800000 0x000000007fffffff direct-relaxable\n"
RELEASE = "6.12.0-bench"
MSI = "0x00000000fee00000 0x00000000feefffff msi\n"


class Function:
    def __init__(self, bus, devfn, ids, class_code, driver="", **more):
        self.bus, self.devfn = bus, devfn
        self.vendor, self.device = ids
        self.class_code, self.driver = class_code, driver
        self.kind = more.get("kind", ENDPOINT)
        self.multi = more.get("multi", False)
        self.acs = more.get("acs")          # (capability, control), None: it has none
        self.buses = more.get("buses")      # of a bridge: (secondary, subordinate)
        self.with_ = more.get("with_")      # the function whose group it shares
        self.pf = more.get("pf")
        self.vfs = []
        self.vfs_max = more.get("vfs_max", 0)
        self.slot = more.get("slot")
        self.parent = None
        self.group = None

    @property
    def address(self):
        return f"0000:{self.bus:02x}:{self.devfn >> 3:02x}.{self.devfn & 7}"

    @property
    def root_bus(self):
        return self.bus & ~31

    def path(self):
        above = self.parent.path() if self.parent else f"devices/pci0000:{self.root_bus:02x}"
        return f"{above}/{self.address}"


def devfn(device, function=0):
    return device << 3 | function


# ---- what is in the machine ----

def network_card(bus, vfs):
    """Two functions, with their VFs on the same bus."""
    pfs = [Function(bus, devfn(0, f), (0x15b3, 0x101d), 0x020000, "mlx5_core", multi=True,
                    acs=(0, 0), vfs_max=VFS_MAX, slot=bus) for f in range(2)]
    for i in range(vfs):
        pf = pfs[i % 2]
        pf.vfs.append(Function(bus, 2 + i, (0x15b3, 0x101e), 0x020000, "mlx5_core", pf=pf))
    return pfs + [vf for pf in pfs for vf in pf.vfs]


def four_ports(bus):
    """Four functions, with their VFs on the next bus, which no bridge leads to."""
    pfs = [Function(bus, devfn(0, f), (0x8086, 0x1521), 0x020000, "igb", multi=True, vfs_max=7,
                    slot=bus) for f in range(4)]
    for f, pf in enumerate(pfs):
        pf.vfs = [Function(bus + 1, 0x80 + f + 4 * i, (0x8086, 0x1520), 0x020000, "igbvf", pf=pf)
                  for i in range(7)]
    return pfs + [vf for pf in pfs for vf in pf.vfs]


def ssd(bus):
    return [Function(bus, 0, (0x144d, 0xa808), 0x010802, "nvme", slot=bus)]


def pair(bus, first, second):
    """Two functions that nothing keeps apart."""
    one = Function(bus, 0, *first, multi=True, slot=bus)
    return [one, Function(bus, 1, *second, multi=True, with_=one)]


def switch(bus):
    """A switch with four ports, the buses behind it, and what is there."""
    plx = (0x10b5, 0x8747)
    down = [Function(bus + 1, devfn(8 + i), plx, 0x060400, "pcieport", kind=DOWNSTREAM,
                     acs=(0x5f, ACS_ALL), buses=(bus + 2 + i, bus + 2 + i)) for i in range(4)]
    behind = [ssd(bus + 2), ssd(bus + 3),
              pair(bus + 4, ((0x10ee, 0x5000), 0x120000, "vfio-pci"),
                   ((0x10ee, 0x5001), 0x120000, "vfio-pci")),
              pair(bus + 5, ((0x10de, 0x2235), 0x030000, "nvidia"),
                   ((0x10de, 0x1aef), 0x040300, "snd_hda_intel"))]
    up = Function(bus, 0, plx, 0x060400, "pcieport", kind=UPSTREAM, buses=(bus + 1, bus + 5))
    return [up] + down + [function for port in behind for function in port]


def chipset():
    """The first root bus's own: ports without ACS, and a conventional bus behind one of them."""
    ports = [Function(0, devfn(0x1c, f), (0x8086, 0xa190 + f), 0x060400, "pcieport",
                      kind=ROOT_PORT, multi=True, buses=buses)
             for f, buses in enumerate([(1, 2), (3, 3), (4, 4)])]
    bridge = Function(1, 0, (0x104c, 0x8240), 0x060400, kind=TO_PCI, buses=(2, 2))
    tv = [Function(2, devfn(4, f), ids, code, kind=CONVENTIONAL, multi=True)
          for f, (ids, code) in enumerate([((0x109e, 0x036e), 0x040000),
                                           ((0x109e, 0x0878), 0x048000)])]
    for function in ports[1:] + [bridge] + tv:
        function.with_ = ports[0]
    vga = Function(3, 0, (0x1a03, 0x2000), 0x030000, "ast", with_=ports[0])
    lpc = [Function(0, devfn(0x1f, f), (0x8086, device), code, driver, kind=CONVENTIONAL,
                    multi=True)
           for f, device, code, driver in [(0, 0xa1c1, 0x060100, ""), (2, 0xa1a1, 0x058000, ""),
                                           (4, 0xa1a3, 0x0c0500, "i801_smbus")]]
    lpc[1].with_ = lpc[2].with_ = lpc[0]
    usb = Function(0, devfn(0x14), (0x8086, 0xa1af), 0x0c0330, "xhci_hcd", kind=CONVENTIONAL)
    sata = Function(0, devfn(0x17), (0x8086, 0xa182), 0x010601, "ahci", kind=CONVENTIONAL)
    dmi = Function(0, devfn(6), (0x8086, 0x2020), 0x060000, kind=CONVENTIONAL)
    return ports + [bridge] + tv + [vga] + lpc + [usb, sata, dmi]


def root_bus(bus, vfs):
    """Its own functions, four ports, and what is behind them."""
    ports = [Function(bus, devfn(i), (0x8086, 0x2030 + i), 0x060400, "pcieport", kind=ROOT_PORT,
                      acs=(0x5f, ACS_ALL)) for i in range(4)]
    first = [bus + n for n in (8, 10, 18, 22)]
    for port, secondary, subordinate in zip(ports, first, [bus + n for n in (8, 15, 19, 22)]):
        port.buses = (secondary, subordinate)
    own = [Function(bus, devfn(4, f), (0x8086, 0x2021), 0x088000, "ioatdma", kind=INTEGRATED,
                    multi=True) for f in range(8)]
    own.append(Function(bus, devfn(5), (0x8086, 0x2024), 0x088000, kind=INTEGRATED))
    return (ports + own + network_card(first[0], vfs) + switch(first[1]) + four_ports(first[2]) +
            ssd(first[3]))


def machine(functions):
    """All functions, in the order in which the kernel finds them."""
    share, rest = divmod(functions - FIXED, ROOT_BUSES)
    if share < 0 or share + (rest > 0) > 2 * VFS_MAX:
        raise SystemExit(f"machine.py: it has {FIXED} to {FIXED + ROOT_BUSES * 2 * VFS_MAX} "
                         "functions")
    found = chipset()
    for i in range(ROOT_BUSES):
        found += root_bus(32 * i, share + (i < rest))
    found.sort(key=lambda f: (f.bus, f.devfn))
    return found


def connect(functions):
    """Who is behind whom, and in which group."""
    owner = {f.buses[0]: f for f in functions if f.buses}
    groups = 0
    for function in functions:
        function.parent = owner.get((function.pf or function).bus)
    for function in functions:
        if function.with_ is None:
            function.group, groups = groups, groups + 1
    for function in functions:
        if function.with_ is not None:
            function.group = function.with_.group
    return groups


# ---- what the kernel shows of it ----

def capabilities(function, config):
    """PCI Express, ACS and SR-IOV."""
    if function.kind == CONVENTIONAL:
        return
    struct.pack_into("<H", config, 0x06, 0x10)
    config[0x34] = 0x40
    struct.pack_into("<BBH", config, 0x40, 0x10, 0, 2 | function.kind << 4)
    at, before = 0x100, None
    for kind, data in [(0x0d, struct.pack("<HH", *function.acs) if function.acs else None),
                       (0x10, sriov(function) if function.vfs_max else None)]:
        if data is None:
            continue
        struct.pack_into("<I", config, at, 0x10000 | kind)
        config[at + 4:at + 4 + len(data)] = data
        if before:
            struct.pack_into("<I", config, before[0], 0x10000 | before[1] | at << 20)
        before, at = (at, kind), at + 0x48


def sriov(function):
    """From its Capabilities register on (PCIe 9.3.3)."""
    vfs = function.vfs
    offset = (vfs[0].bus << 8 | vfs[0].devfn) - (function.bus << 8 | function.devfn) if vfs else 1
    stride = vfs[1].devfn - vfs[0].devfn if len(vfs) > 1 else 1
    device = vfs[0].device if vfs else 0
    return struct.pack("<IHHHHHBBHHHH", 0, 0x19 if vfs else 0, 0, function.vfs_max,
                       function.vfs_max, len(vfs), 0, 0, offset, stride, 0, device)


def config_space(function):
    config = bytearray(4096 if function.kind != CONVENTIONAL else 256)
    ids = (0xffff, 0xffff) if function.pf else (function.vendor, function.device)
    struct.pack_into("<HHHH", config, 0, *ids, 0x0406, 0)
    struct.pack_into("<I", config, 8, function.class_code << 8 | 1)
    config[0x0e] = (1 if function.buses else 0) | (0x80 if function.multi else 0)
    if function.buses:
        config[0x18:0x1b] = bytes([function.bus, *function.buses])
    elif not function.pf:
        struct.pack_into("<HH", config, 0x2c, function.vendor, function.device)
    capabilities(function, config)
    return bytes(config)


def resources(function):
    none = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    start = 0xc000000000 + (function.bus << 8 | function.devfn) * 0x10000
    bar = f"0x{start:016x} 0x{start + 0x3fff:016x} 0x0000000000140204\n"
    return (none if function.buses else bar) + none * (16 if function.vfs_max else 12)


def attributes(function):
    ids = (f"{function.vendor:04X}:{function.device:04X}")
    first = f"DRIVER={function.driver}\n" if function.driver else ""
    c = function.class_code
    bars = {"resource": resources(function), "config": config_space(function)}
    return bars | {
        "uevent": f"{first}PCI_CLASS={c:04X}\nPCI_ID={ids}\nPCI_SUBSYS_ID={ids}\n"
                  f"PCI_SLOT_NAME={function.address}\nMODALIAS={modalias(function)}\n",
        "modalias": modalias(function) + "\n",
        "vendor": f"0x{function.vendor:04x}\n", "device": f"0x{function.device:04x}\n",
        "subsystem_vendor": f"0x{function.vendor:04x}\n",
        "subsystem_device": f"0x{function.device:04x}\n",
        "class": f"0x{c:06x}\n", "revision": "0x01\n", "irq": "0\n",
        "numa_node": f"{function.root_bus // 128}\n", "power_state": "D0\n",
        "power/runtime_status": "active\n", "driver_override": "(null)\n",
    } | extras(function)


def modalias(function):
    c, ids = function.class_code, f"v{function.vendor:08X}d{function.device:08X}"
    return (f"pci:{ids}s{ids[:9]}sd{function.device:08X}"
            f"bc{c >> 16:02X}sc{c >> 8 & 0xff:02X}i{c & 0xff:02X}")


def extras(function):
    more = {}
    if function.vfs_max:
        more["sriov_totalvfs"] = f"{function.vfs_max}\n"
        more["sriov_numvfs"] = f"{len(function.vfs)}\n"
    if not function.buses and function.kind == ENDPOINT:
        more["reset_method"] = "bus\n" if function.multi and not function.vfs_max else "flr bus\n"
    if function.class_code >> 8 == 0x0300:
        more["boot_vga"] = f"{int(function.driver == 'ast')}\n"
    return more


def links(function):
    up = "../" * (function.path().count("/") + 1)
    found = {"iommu_group": f"{up}kernel/iommu_groups/{function.group}",
             "iommu": f"{up}devices/virtual/iommu/dmar{function.root_bus // 32}",
             "subsystem": f"{up}bus/pci"}
    if function.driver:
        found["driver"] = f"{up}bus/pci/drivers/{function.driver}"
    if function.pf:
        found["physfn"] = f"../{function.pf.address}"
    return found | {f"virtfn{i}": f"../{vf.address}" for i, vf in enumerate(function.vfs)}


class Tree:
    def __init__(self, folder):
        self.folder = folder

    def write(self, path, what):
        path = f"{self.folder}/{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(what if isinstance(what, bytes) else what.encode())

    def link(self, path, target):
        path = f"{self.folder}/{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)


def show(tree, function):
    path = function.path()
    for name, what in attributes(function).items():
        tree.write(f"sys/{path}/{name}", what)
    for name, target in links(function).items():
        tree.link(f"sys/{path}/{name}", target)
    tree.link(f"sys/bus/pci/devices/{function.address}", f"../../../{path}")
    group = f"sys/kernel/iommu_groups/{function.group}"
    tree.link(f"{group}/devices/{function.address}", f"../../../../{path}")
    if function.driver:
        tree.link(f"sys/bus/pci/drivers/{function.driver}/{function.address}",
                  f"../../../../{path}")
    if function.slot and not function.devfn & 7:
        tree.write(f"sys/bus/pci/slots/{function.slot}/address", function.address[:-2] + "\n")
    if function.driver == "vfio-pci":
        tree.write(f"dev/vfio/{function.group}", "")
        name = f"vfio{function.bus << 8 | function.devfn}"
        tree.write(f"sys/{path}/vfio-dev/{name}/dev", "511:0\n")
        tree.link(f"sys/class/vfio-dev/{name}", f"../../{path}/vfio-dev/{name}")


def kernel_config():
    """As large as those of distributions, and what is looked for stands behind the rest."""
    options = [f"CONFIG_OPTION_NUMBER_{i}={'ym'[i % 2]}" for i in range(11000)]
    return "\n".join([*options, "CONFIG_INTEL_IOMMU=y", "CONFIG_VFIO=m", "CONFIG_VFIO_PCI=m",
                      "CONFIG_VFIO_DEVICE_CDEV=y"]) + "\n"


def build(folder, functions=2000):
    """Returns the functions."""
    found = machine(functions)
    tree = Tree(folder)
    tree.write("proc/sys/kernel/osrelease", RELEASE + "\n")
    tree.write(f"boot/config-{RELEASE}", kernel_config())
    for group in range(connect(found)):
        tree.write(f"sys/kernel/iommu_groups/{group}/type", "DMA-FQ\n")
        tree.write(f"sys/kernel/iommu_groups/{group}/reserved_regions",
                   (DIRECT if any(f.group == group and f.driver == "xhci_hcd" for f in found[:40])
                    else "") + MSI)
    for i in range(ROOT_BUSES):
        registers = {"cap": "8d2078c106f0466", "ecap": "f020df", "version": "1:0",
                     "address": f"{0xd0000000 + i * 0x1000:x}"}
        for name, value in registers.items():
            tree.write(f"sys/devices/virtual/iommu/dmar{i}/intel-iommu/{name}", value + "\n")
        tree.link(f"sys/class/iommu/dmar{i}", f"../../devices/virtual/iommu/dmar{i}")
    for function in found:
        show(tree, function)
    return found


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or os.path.exists(sys.argv[1]):
        raise SystemExit(__doc__.rsplit("\n\n", 1)[1].strip())
    build(sys.argv[1], *map(int, sys.argv[2:]))
