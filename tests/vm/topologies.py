# SPDX-License-Identifier: MIT
"""PCI hierarchies for QEMU: some with a name for what is special about them, some from a seed.

Each is what is below one root bus, and no IOMMU group crosses root buses. So a machine holds
several side by side: one on its own root bus, the others on expanders (pxb-pcie), which have root
buses of their own.
"""

import dataclasses
import random

# Both are root ports: QEMU's generic one has ACS, Intel's 3420 has none.
ACS_PORT = "pcie-root-port"
PLAIN_PORT = "ioh3420"
UPSTREAM = "x3130-upstream"
DOWNSTREAM = "xio3130-downstream"
PCIE_BRIDGE = "pcie-pci-bridge"
PCI_BRIDGE = "pci-bridge"
# A conventional bridge of which Linux knows that it sends DMA by the number of the bus behind it
# when it is behind a port (quirk_use_pcie_bridge_dma_alias() in drivers/pci/quirks.c).
DMI_BRIDGE = "i82801b11-bridge"

PORTS = (ACS_PORT, PLAIN_PORT, DOWNSTREAM)     # Each has a link behind it: one slot.
CONVENTIONAL = (PCIE_BRIDGE, PCI_BRIDGE, DMI_BRIDGE)
BRIDGES = (*PORTS, UPSTREAM, *CONVENTIONAL)

# How far the first VF's number is from the PF's, and each from the one before.
VF_NUMBERS = {"igb": (0x80, 2), "nvme": (1, 1)}


@dataclasses.dataclass(frozen=True)
class Function:
    """QEMU's name of a device, its options, how many VFs the guest switches on, and what is
    behind it: slots, each a tuple of functions."""

    driver: str
    options: str = ""
    vfs: int = 0
    below: tuple = ()


@dataclasses.dataclass(frozen=True)
class Topology:
    """The slots of a root bus, and how many groups Linux must make of them: what the name says
    about the ports and cards is true then. 0: whatever it makes."""

    name: str
    slots: tuple
    groups: int = 0


@dataclasses.dataclass(frozen=True)
class Placed:
    """Where a function will be: `bus` is QEMU's name of the bus that it is on, `address` Linux's
    name of it."""

    function: Function
    name: str
    bus: str
    slot: int
    number: int
    multifunction: bool
    address: str


def address_of(bus, devfn):
    """A function's name; a device function number of more than 8 bits is on a later bus."""
    bus += devfn >> 8
    return f"0000:{bus:02x}:{devfn >> 3 & 0x1f:02x}.{devfn & 7}"


class Root:
    """A topology on a root bus. `bus` is its number, `name` QEMU's name of it, `first` the slot
    where the topology begins; `placed` its functions, in the order in which QEMU wants them."""

    def __init__(self, topology, bus, name, first=0):
        self.topology = topology
        self.bus = self.last = bus
        self.name = name
        self.placed = []
        self.vfs = {}       # of each PF: the VFs' addresses
        self._place(topology.slots, bus, name, first)

    def _place(self, slots, bus, name, first=0):
        """Firmware, and Linux where there is none, gives buses their numbers depth first, in the
        order of the bridges; there are no spare ones, since ports can't hotplug."""
        for slot, functions in enumerate(slots, first):
            for number, function in enumerate(functions):
                devfn = slot << 3 | number
                here = Placed(function, f"{self.name}-{len(self.placed)}", name, slot, number,
                              len(functions) > 1, address_of(bus, devfn))
                self.placed.append(here)
                if function.vfs:
                    offset, stride = VF_NUMBERS[function.driver]
                    self.vfs[here.address] = [address_of(bus, devfn + offset + stride * i)
                                              for i in range(function.vfs)]
                if function.driver in BRIDGES:
                    self.last += 1
                    # Conventional slot 0 may be a hotplug controller's.
                    self._place(function.below, self.last, here.name,
                                1 if function.driver in CONVENTIONAL else 0)

    def addresses(self):
        """All its functions, VFs too."""
        return ({here.address for here in self.placed}
                | {address for vfs in self.vfs.values() for address in vfs})

    def arguments(self, chassis):
        """QEMU's. A slot of a chassis has one port: the `chassis` is this root's own."""
        found = []
        for index, here in enumerate(self.placed):
            driver = here.function.driver
            options = [driver, f"id={here.name}", f"bus={here.bus}",
                       f"addr={here.slot:#x}.{here.number}"]
            if here.multifunction:
                options.append("multifunction=on")
            if driver in PORTS:
                options += [f"chassis={chassis}", f"slot={index}", "hotplug=off"]
            if driver == PCI_BRIDGE:
                # 0 is not a chassis's number, and each bridge's must be its own.
                options.append(f"chassis_nr={chassis * 16 + index % 16}")
            if driver == "nvme":
                options.append("serial=weir")
            if driver == "nvme" and here.function.vfs:
                found += ["-device", f"nvme-subsys,id={here.name}-subsys"]
                options += [f"subsys={here.name}-subsys", f"sriov_max_vfs={here.function.vfs}",
                            f"max_ioqpairs={2 * here.function.vfs + 2}",
                            f"sriov_vq_flexible={2 * here.function.vfs}",
                            f"sriov_vi_flexible={here.function.vfs}"]
            if driver == "igb" and here.multifunction and not here.number:
                # It says itself which function is next (ARI), and can name none but the second.
                options.append("x-pcie-ari-nextfn-1=on")
            if here.function.options:
                options.append(here.function.options)
            found += ["-device", ",".join(options)]
        return found


def f(driver, *below, options="", vfs=0):    # short: the tables below are made of it
    """A function with slots behind it; a slot that is one function needs no tuple around it."""
    return Function(driver, options, vfs, slots(*below))


def slots(*items):
    """Slots, each a function or a tuple of several."""
    return tuple(item if isinstance(item, tuple) else (item,) for item in items)


# What is plugged in. edu is a conventional device wherever it is, the others are PCI Express ones
# behind a port. None has ACS; Linux knows that functions of igb (an 82576) don't reach each other
# (pci_dev_acs_enabled[] in drivers/pci/quirks.c), and that those that Intel integrates don't.
EDU = f("edu")
NVME = f("nvme")
INTEL_NVME = f("nvme", options="use-intel-id=on")
RNG = f("virtio-rng-pci", options="disable-legacy=on")
USB = f("qemu-xhci")
NIC = f("e1000e")
IGB = f("igb")
ENDPOINTS = (EDU, NVME, INTEL_NVME, RNG, USB, NIC, IGB)


def acs(*below):
    """A root port with ACS."""
    return f(ACS_PORT, *below)


def plain(*below):
    """A root port without."""
    return f(PLAIN_PORT, *below)


def switch(*below):
    """A switch: its downstream ports, each with one slot behind it. They have no ACS; one that
    is its slot's only function still has a group of its own, with what is behind it, as long as
    there is ACS above it."""
    return f(UPSTREAM, *(f(DOWNSTREAM, *([item] if item else [])) for item in below))


def _topology(name, groups, *items):
    return Topology(name, slots(*items), groups)


# On an expander's root bus there are only bridges.
NAMED = (
    # Root ports.
    _topology("ports-acs", 6, acs(RNG), acs(EDU), acs(NVME)),
    _topology("ports-plain", 3, plain(RNG), plain(EDU), plain(USB)),
    _topology("ports-mixed", 6, acs(RNG), plain(EDU), acs(USB), plain()),
    _topology("ports-multifunction-acs", 6, (acs(RNG), acs(EDU), acs(USB))),
    _topology("ports-multifunction-plain", 1, (plain(RNG), plain(EDU), plain(USB))),
    _topology("ports-multifunction-mixed", 5,
              (acs(RNG), plain(EDU), acs(NVME), plain(USB))),
    # Switches.
    _topology("switch-below-acs", 5, acs(switch(RNG, EDU, None))),
    _topology("switch-below-plain", 1, plain(switch(RNG, EDU))),
    _topology("switch-below-switch", 4, acs(switch(RNG, switch(EDU, USB)))),
    _topology("switch-multifunction", 4,
              (acs(f(UPSTREAM, (f(DOWNSTREAM, RNG), f(DOWNSTREAM, (EDU, USB))))), acs())),
    # Cards of several functions.
    _topology("card-below-acs", 2, acs((NVME, RNG, USB))),
    _topology("card-below-plain", 1, plain((NVME, RNG))),
    _topology("card-isolated", 3, acs((IGB, IGB))),
    _topology("card-partly-isolated", 4, acs((RNG, IGB, IGB, NVME))),
    _topology("card-isolated-below-plain", 1, plain((IGB, IGB))),
    # Conventional bridges.
    _topology("bridge-below-acs", 2, acs(f(PCIE_BRIDGE, EDU, (EDU, EDU)))),
    _topology("bridge-below-plain", 1, plain(f(PCIE_BRIDGE, EDU, EDU))),
    _topology("bridge-below-bridge", 2, acs(f(PCIE_BRIDGE, EDU, f(PCI_BRIDGE, EDU, EDU)))),
    _topology("bridge-on-root", 2, f(PCI_BRIDGE, EDU, EDU), f(DMI_BRIDGE, EDU)),
    _topology("bridge-alias", 2, acs(f(DMI_BRIDGE, EDU, f(PCI_BRIDGE, EDU)))),
    _topology("bridge-below-switch", 4, acs(switch(f(PCIE_BRIDGE, EDU), RNG))),
    _topology("bridge-in-card", 2, acs((RNG, f(PCIE_BRIDGE, EDU)))),
    # Cards with virtual functions.
    _topology("vfs-below-acs", 6, acs(f("igb", vfs=4))),
    _topology("vfs-below-plain", 1, plain(f("igb", vfs=4))),
    _topology("vfs-below-switch", 4, acs(switch(f("igb", vfs=2), RNG))),
    _topology("vfs-of-two", 7, acs((f("igb", vfs=2), f("igb", vfs=2)))),
    _topology("vfs-nvme", 5, acs(f("nvme", vfs=3))),
)


def named(*names):
    """Those of these names, or whose names begin so."""
    return tuple(topology for topology in NAMED
                 if any(f"{topology.name}-".startswith(f"{name}-") for name in names))


def joined(name, groups, *topologies):
    """One of several, on one root bus."""
    return Topology(name, sum((topology.slots for topology in topologies), ()), groups)


# What a root complex of its own can have besides: what is integrated is on the root bus.
INTEGRATED = _topology(
    "integrated", 11, RNG, (NVME, NVME), (INTEL_NVME, INTEL_NVME), (EDU, USB), (NIC, EDU),
    acs(EDU), plain(EDU), f(PCIE_BRIDGE, EDU))


def around(port):
    """Topologies around one port, which is the first function of each: `port` is acs or plain.
    The last one's has ACS anyway: there it is the kernel that is told to leave it off."""
    return (
        _topology("port-above-device", 0, port(EDU), acs(RNG)),
        _topology("port-of-several", 0, (port(EDU), plain(RNG), acs(USB))),
        _topology("port-above-switch", 0, port(switch(RNG, (EDU, USB))), plain(RNG)),
        _topology("port-above-bridge", 0, port(f(PCIE_BRIDGE, EDU, f(PCI_BRIDGE, EDU)))),
        _topology("port-above-card", 0, (port((NVME, IGB)), plain())),
        _topology("port-above-vfs", 0, port(f("igb", vfs=2)), acs()),
        _topology("port-left-off", 0, (acs((RNG, USB)), acs(EDU))),
    )


class Mix:
    """A topology from a seed, of the same parts."""

    SIZE = 10       # functions, more or less

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._left = self.SIZE
        # How many devices may have I/O ports: each makes all bridges above it forward 4 KiB of the
        # machine's 64.
        self._with_ports = 1
        self.topology = Topology(f"mix-{seed}", self._some(self._root_slot, 2, 4))

    def _pick(self, *choices):
        """One of them, the same in each version of Python: only random() promises that."""
        return choices[int(self._random.random() * len(choices))]

    def _some(self, make, least, most):
        """As many as there is room for."""
        count = self._pick(*range(least, most + 1))
        return tuple(make() for i in range(count) if i < least or self._left > 0)

    def _function(self, driver, below=(), vfs=0, options=""):
        self._left -= 1 + vfs
        return Function(driver, options, vfs, tuple(below))

    def _root_slot(self):
        return self._some(self._root_function, 1, self._pick(1, 1, 3))

    def _root_function(self):
        kind = self._pick(ACS_PORT, ACS_PORT, PLAIN_PORT, PLAIN_PORT, DMI_BRIDGE)
        return self._bridge(kind) if kind == DMI_BRIDGE else self._port(kind, 0)

    def _port(self, driver, depth):
        """With a card, a switch or a bridge in its slot, or nothing."""
        behind = self._pick(*[self._card] * 4, *[self._switch, self._converter] * (2 - depth),
                            None)
        return self._function(driver, [behind(depth)] if behind and self._left > 0 else [])

    def _card(self, _depth):
        card = self._some(self._endpoint, 1, self._pick(1, 1, 2, 3))
        # An igb has VFs only where the first function has, and names none but the second.
        card = sorted(card, key=lambda function: function.driver != "igb")
        return tuple(card[:2] if card[0].driver == "igb" else card)

    def _endpoint(self):
        found = self._pick(*ENDPOINTS)
        if found in (NIC, IGB):
            found = found if self._with_ports else RNG
            self._with_ports -= 1
        if found == IGB:
            return self._function("igb", vfs=self._pick(0, 1, 3))
        return self._function(found.driver, options=found.options)

    def _switch(self, depth):
        def ports():
            return self._some(lambda: self._port(DOWNSTREAM, depth + 1), 1, self._pick(1, 1, 2))
        return (self._function(UPSTREAM, self._some(ports, 1, 3)),)

    def _converter(self, _depth):
        return (self._bridge(self._pick(PCIE_BRIDGE, PCIE_BRIDGE, DMI_BRIDGE)),)

    def _bridge(self, driver):
        def behind():
            if self._pick(True, False, False) and self._left > 2:
                return (self._bridge(PCI_BRIDGE),)
            return self._some(lambda: self._function("edu"), 1, self._pick(1, 1, 2))
        return self._function(driver, self._some(behind, 1, 2))


class Board:
    """Topologies side by side: the first on the machine's own root bus, if that isn't None, each
    of the others on an expander's."""

    FIRST = 2           # the first slot of the machine's own that is free
    EXPANDERS = 0x16    # and the expanders'

    def __init__(self, own, *others):
        self.roots = [Root(own, 0, "pcie.0", self.FIRST)] if own else []
        bus = 1 + (self.roots[0].last if own else 0)
        for topology in others:
            self.roots.append(Root(topology, bus, topology.name))
            bus = self.roots[-1].last + 1

    def arguments(self):
        """QEMU's, all devices."""
        found = []
        for index, root in enumerate(self.roots):
            if root.bus:
                found += ["-device", f"pxb-pcie,id={root.name},bus=pcie.0,bus_nr={root.bus},"
                                     f"addr={self.EXPANDERS + index:#x}"]
            found += root.arguments(index + 1)
        return tuple(found)

    def drivers(self):
        """Of each PF, the driver that switches them on."""
        return {here.address: here.function.driver for root in self.roots for here in root.placed
                if here.address in root.vfs}
