# SPDX-License-Identifier: MIT
"""The machines, as data: what they are built of and what runs in them."""

import dataclasses
import re

import topologies
from kernels import LINUX, LINUX_ARM64, LINUX_CONTAINER, Kernel
from packages import PackageSet
from topologies import Board

QEMU = PackageSet("qemu", ("qemu-system-x86", "qemu-system-arm", "qemu-system-ppc",
                           "qemu-system-data", "seabios"), suite="trixie-backports")
UEFI = PackageSet("uefi", ("qemu-efi-aarch64",), suite="trixie", suites=("trixie",),
                  only="^qemu-efi-aarch64$")
LINUX_DEBIAN = PackageSet("linux-debian", ("linux-image-amd64",), suite="trixie",
                          only=r"^linux-image-[0-9]")


def _debian(flavour, arch):
    """Debian's kernel for another architecture; of POWER's there are two sizes of pages."""
    return PackageSet(f"linux-debian-{flavour}", (f"linux-image-{flavour}",), suite="trixie",
                      suites=("trixie",), only=r"^linux-image-[0-9]", arch=arch)


# What an IOMMU says in the kernel's log when it stops a device, with groups named `device` or
# `number` and `address` where it tells; the number is bus, device and function in 16 bits.
# POWER's says nothing. QEMU's AMD-Vi says 0 for every address, and for a device behind a bridge
# names another.
DMAR = re.compile(r"DMAR: \[DMA (?:Read|Write)[^\]]*\] Request device \[(?P<device>[0-9a-f:.]+)\] "
                  r"fault addr (?P<address>0x[0-9a-f]+)")
AMD_VI = re.compile(r"AMD-Vi: Event logged \[IO_PAGE_FAULT ")
# A record of 4 x 64 bits (Arm SMMU v3 specification, 7.3.12 F_TRANSLATION), one a line.
SMMU = re.compile(r"event 0x10 received:\n.*\t(?P<number>0x[0-9a-f]{8})[0-9a-f]{8}\n"
                  r".*\t0x[0-9a-f]{16}\n.*\t(?P<address>0x[0-9a-f]{16})\n")
VIRTIO = re.compile(r"virtio_iommu virtio\d+: page fault from EP (?P<number>\d+) "
                    r"at (?P<address>0x[0-9a-f]+)")


GROUPS = (("EDU",), ("NVME",), ("PAIR0", "PAIR1"), ("MIXED_EDU", "MIXED_NVME"),
          ("PORT", "BEHIND"))


@dataclasses.dataclass(frozen=True)
class Machine:
    """One emulated machine.

    `kernel` is a packaged one, maybe of another architecture than the host's, or one that is
    built here; `release` a pattern for its name.
    `results` is the guest's name of the second serial port, and `port` QEMU's arguments for one
    where the machine itself has only one. `bare` says that QEMU adds nothing to the arguments by
    itself; a machine may need what it adds.
    `devices` are the addresses that the guest's environment and the cases know by name,
    `settle` those that get a driver by themselves, and which: they are waited for before the
    first case, and given back to it after the last.
    `programs` are the guest programs that run in it, each with the devices that it gets;
    `selftests` the kernel's own with their options, each with the devices that it is tried with.
    `groups` are the devices whose groups hold them and no other.
    `late_groups` says that they show only when their first device is bound.
    `only` are patterns of the cases that run in it, of those that could; without any, all do.
    `command` says whether the cases of the command weir do, which want X86_DEVICES, and `thorough`
    whether those do that don't depend on the IOMMU.
    `bind` says whether the cases of binding do, and `index` are the modules that the kernel finds
    when they are asked for, rather than from the start.
    `host` are the actions that the guest may ask of the host, as QEMU's monitor takes them.
    `iommu` says whether there is one, `interfaces` which ones weir finds its devices by: the
    first is the one that it takes by itself. `container` is who provides /dev/vfio/vfio, and
    `eeh` says whether POWER can stop a device and have it back, and
    `unsafe_interrupts` says that they aren't remapped, but allowed.
    `nests` says that it is Arm's, starts by UEFI, and has an IORT that lets its IOMMU nest.
    `msi` are the first and the last address that the IOMMU keeps for interrupts, if it does.
    `iova_last` is the highest IOVA that it translates, `dirty_tracking` what the first of its
    interfaces has of that, and `faults` how the kernel's log tells of blocked DMA, if it does.
    `windows` are the pages of windows that POWER makes, and that it has memory for.
    `limit` and `boot_limit` are seconds; `grace` is how long the guest may stay silent
    beyond what it was granted, since an emulated machine on a busy host is slow.
    `soak` is the interface that the soak test uses, if it is one of the programs.
    `board` are the topologies that it holds, and `acs` says whether the ports in question have
    ACS on or off, if they do in another machine otherwise. `captured` has it captured.
    """

    name: str
    kernel: PackageSet | Kernel
    program: str
    arguments: tuple
    append: str
    modules: tuple
    devices: dict
    settle: dict
    release: str = "deb13"
    results: str = "ttyS1"
    port: tuple = ()
    bare: bool = True
    programs: dict = dataclasses.field(default_factory=dict)
    selftests: dict = dataclasses.field(default_factory=dict)
    groups: tuple = GROUPS
    late_groups: bool = False
    only: tuple = ()
    command: bool = True
    thorough: bool = False
    bind: bool = False
    index: tuple = ()
    host: dict = dataclasses.field(default_factory=dict)
    iommu: bool = True
    interfaces: tuple = ("type1v2", "type1")
    container: str = "vfio"
    eeh: bool = False
    unsafe_interrupts: bool = False
    nests: bool = False
    msi: tuple = (0xfee00000, 0xfeefffff)
    iova_last: int = 0
    dirty_tracking: str = "all"
    faults: re.Pattern | None = DMAR
    windows: tuple = ()
    limit: int = 900
    boot_limit: int = 180
    grace: int = 45
    soak: str = ""
    board: Board | None = None
    acs: str = ""
    captured: bool = False

    @property
    def arch(self):
        """Debian's name of its architecture; empty, it is the host's own."""
        return self.kernel.arch

    def second_port(self, path):
        """QEMU's arguments for the port that the results come by, into a file."""
        if self.port:
            return "-chardev", f"file,id=results,path={path}", *self.port
        return "-serial", f"file:{path}"

    @property
    def consent(self):
        """What a command must be told besides that opens a device here."""
        return "" if self.iommu else " --unsafe-noiommu"


# Emulated processors' time stamps can differ by minutes: Linux takes them for time until it
# notices, and its cryptographic self-tests, which collect randomness from them, can fail. On a
# busy host the timer can miss what the kernel counts on while it starts (timer_irq_works() in
# arch/x86/kernel/apic/io_apic.c), and it panics.
EMULATED = "tsc=unstable cryptomgr.notests no_timer_check"

EDU = "edu,dma_mask=0xffffffffffffffff"


def _disk(name):
    """A disk that keeps what is written to it as long as the machine runs: in a file of QEMU's
    own, which has no name, over zeros."""
    return ("-drive", f"if=none,id={name},file=null-co://,file.size=64M,file.read-zeroes=on,"
                      "format=raw,snapshot=on")


# One of each kind on the root bus: an edu alone, an NVMe alone, which has two namespaces, of 512
# and of 4096 bytes a block, and two slots with two functions each. Functions of one slot without
# ACS share a group, so the second of these slots has a group that stays unviable while its NVMe
# is on its own driver. An edu behind a root port without ACS, whose group the port is in, on its
# driver. And shared memory behind a BAR, which other devices' DMA can go to.
X86_DEVICES = (
    "-device", f"{EDU},addr=4",
    *_disk("disk0"), *_disk("disk2"),
    "-device", "nvme,id=nvme0,drive=disk0,serial=weir0,addr=5",
    "-device", "nvme-ns,bus=nvme0,nsid=2,drive=disk2,logical_block_size=4096,"
               "physical_block_size=4096",
    "-device", f"{EDU},addr=6.0,multifunction=on",
    "-device", f"{EDU},addr=6.1,multifunction=on",
    "-device", f"{EDU},addr=7.0,multifunction=on",
    "-drive", "if=none,id=disk1,file=null-co://,file.read-zeroes=on,format=raw",
    "-device", "nvme,drive=disk1,serial=weir1,addr=7.1,multifunction=on",
    "-device", "ioh3420,id=port0,slot=1,chassis=1,addr=8",
    "-device", f"{EDU},bus=port0",
    "-object", "memory-backend-ram,id=shared,size=1M,share=on",
    "-device", "ivshmem-plain,memdev=shared,addr=9",
)
X86_NAMES = {
    "WEIR_TEST_EDU": "0000:00:04.0",
    "WEIR_TEST_NVME": "0000:00:05.0",
    "WEIR_TEST_PAIR0": "0000:00:06.0",
    "WEIR_TEST_PAIR1": "0000:00:06.1",
    "WEIR_TEST_MIXED_EDU": "0000:00:07.0",
    "WEIR_TEST_MIXED_NVME": "0000:00:07.1",
    "WEIR_TEST_PORT": "0000:00:08.0",
    "WEIR_TEST_BEHIND": "0000:01:00.0",
    "WEIR_TEST_SHARED": "0000:00:09.0",
}
X86_SETTLE = {"0000:00:05.0": "nvme", "0000:00:07.1": "nvme", "0000:00:08.0": "pcieport"}


# A slot with two functions, which are reset together. By ACPI's hotplug QEMU doesn't say that its
# link is active, which the kernel waits for after the reset.
SLOT_DEVICES = (
    "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
    "-device", "pcie-root-port,id=port1,slot=2,chassis=2,addr=0xa",
    "-device", "e1000e,bus=port1,addr=0.0,multifunction=on",
    "-device", "e1000e,bus=port1,addr=0.1,multifunction=on",
)
SLOT_NAMES = {"WEIR_TEST_SLOT_PORT": "0000:00:0a.0",
              "WEIR_TEST_SLOT0": "0000:02:00.0", "WEIR_TEST_SLOT1": "0000:02:00.1"}
SLOT_SETTLE = {"0000:00:0a.0": "pcieport", "0000:02:00.0": "e1000e", "0000:02:00.1": "e1000e"}

BUILT_PROGRAMS = {"vfio": ("EDU", "PAIR0", "PAIR1", "NVME"), "iommufd": ("EDU", "PAIR0", "PAIR1"),
                  "hwpt": ("EDU", "PAIR0", "PAIR1"),
                  "replace": ("EDU", "PAIR0", "PAIR1", "BEHIND", "NVME")}
# That one device reaches another's memory is each vendor's IOMMU's business, not each table's.
PEER_PROGRAMS = {**BUILT_PROGRAMS, "handover": ("EDU",), "peer": ("EDU", "SHARED")}
# Whoever provides /dev/vfio/vfio, tables are replaced by IOMMUFD's own node.
CONTAINER_PROGRAMS = {name: devices for name, devices in PEER_PROGRAMS.items()
                      if name != "replace"}


def _built(name, unit=(), append="", **more):
    """A q35 with a kernel that is built here, an IOMMU, and the devices above."""
    return Machine(**{**dict(
        name=name,
        kernel=LINUX,
        release="-weir$",
        program="qemu-system-x86_64",
        arguments=("-M", "q35,kernel-irqchip=split", "-cpu", "max", "-smp", "2", "-m", "2G",
                   *unit, *X86_DEVICES),
        append=f"console=ttyS0 {EMULATED} {append}".strip(),
        modules=(),
        devices=X86_NAMES,
        settle=X86_SETTLE,
        programs=BUILT_PROGRAMS,
        interfaces=("iommufd", "compat", "type1v2", "type1"),
        iova_last=(1 << 48) - 1,
        dirty_tracking="none"), **more})


def _intel(options=""):
    return "-device", f"intel-iommu,intremap=on{options}"


# QEMU's tables say that the interrupt controller of an AMD machine is behind function 14.0, and
# since Linux 7.3 interrupts are only remapped when that is a southbridge: an SMBus or an ISA
# bridge (check_sb_ioapic() in drivers/iommu/amd/init.c). QEMU has none there; this looks like one.
SOUTHBRIDGE = ("-drive", "if=none,id=none,file=null-co://,format=raw",
               "-device", "virtio-blk-pci,drive=none,class=0x0c05,addr=14")


# No IOMMU: the kernel hands devices out only when it is told to, and it is in hugepages that a
# driver's memory is in pieces of a useful length.
_NO_IOMMU = {"append": "vfio.enable_unsafe_noiommu_mode=1 hugepages=64", "iommu": False,
             "interfaces": ("iommufd-noiommu", "noiommu"), "iova_last": (1 << 64) - 1,
             "programs": {"noiommu": ("EDU", "NVME", "PAIR0")}, "faults": None}


# The kernel's own tests, and the devices that they are tried with: all kinds where that takes
# a moment. memcpy_storm takes minutes in an emulated machine.
SELFTESTS = {
    "iommufd": ("",),
    "iommufd_fail_nth": ("",),
    "vfio_iommufd_setup_test": ("EDU",),
    "vfio_pci_device_test": ("EDU", "NVME", "E1000E", "IGB"),
    "vfio_pci_device_init_perf_test": ("EDU", "NVME", "E1000E", "IGB"),
    "vfio_dma_mapping_mmio_test": ("EDU", "NVME", "E1000E", "IGB"),
    "vfio_dma_mapping_test": ("EDU",),
    "vfio_pci_driver_test -T memcpy_storm -T init_remove -v iommufd": ("IGB",),
    "vfio_pci_sriov_uapi_test": ("IGB",),
}
SELFTEST_DEVICES = (
    "-device", f"{EDU},addr=4",
    "-drive", "if=none,id=disk0,file=null-co://,file.read-zeroes=on,format=raw",
    "-device", "nvme,drive=disk0,serial=weir0,addr=5",
    "-device", "e1000e,addr=6",
    "-device", "pcie-root-port,id=port0,slot=1,chassis=1,addr=7",
    "-device", "igb,bus=port0",
)


def _selftests():
    """Linux's tests of VFIO and IOMMUFD, for what is the kernel's fault and not weir's."""
    return _built(
        "selftests",
        arguments=("-M", "q35,kernel-irqchip=split", "-cpu", "max", "-smp", "2", "-m", "4G",
                   *_intel(",caching-mode=on"), *SELFTEST_DEVICES),
        append=f"console=ttyS0 {EMULATED} nokaslr vfio_pci.enable_sriov=1 "
               "hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=64",
        devices={"WEIR_TEST_EDU": "0000:00:04.0",
                 "WEIR_TEST_NVME": "0000:00:05.0",
                 "WEIR_TEST_E1000E": "0000:00:06.0",
                 "WEIR_TEST_IGB": "0000:01:00.0"},
        settle={"0000:00:05.0": "nvme", "0000:00:06.0": "e1000e", "0000:01:00.0": "igb"},
        programs={"mock": ()},
        selftests=SELFTESTS,
        command=False,
    )


def _vtd(name, bits, options="", thorough=False):
    """A q35 with Intel's VT-d, whose tables have that many bits of IOVA."""
    return Machine(
        name=name,
        kernel=LINUX_DEBIAN,
        program="qemu-system-x86_64",
        arguments=("-M", "q35,kernel-irqchip=split", "-cpu", "max", "-smp", "2", "-m", "2G",
                   "-device", f"intel-iommu,intremap=on,caching-mode=on{options}",
                   *X86_DEVICES),
        append=f"console=ttyS0 {EMULATED} intel_iommu=on",
        modules=("vfio-pci", "vfio_iommu_type1", "nvme"),
        devices=X86_NAMES,
        settle=X86_SETTLE,
        programs={"vfio": BUILT_PROGRAMS["vfio"],
                  **({"peer": PEER_PROGRAMS["peer"]} if thorough else {})},
        iova_last=(1 << bits) - 1,
        thorough=thorough,
    )


# Root ports with native hotplug (pciehp), and what can be unplugged, break or vanish below them.
HOT_DEVICES = (
    "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
    "-device", f"{EDU},addr=4",
    "-device", "pcie-root-port,id=port0,slot=1,chassis=1,addr=5",
    "-device", f"{EDU},bus=port0,id=hot",
    "-device", "pcie-root-port,id=port1,slot=2,chassis=2,addr=6",
    "-device", "e1000e,bus=port1,id=lost",
    "-device", "pcie-root-port,id=port2,slot=3,chassis=3,addr=7",
    "-device", "virtio-net-pci,bus=port2,id=net,aer=on,disable-legacy=on,iommu_platform=on",
    "-device", "pcie-root-port,id=port3,slot=4,chassis=4,addr=8",
    "-device", "igb,bus=port3",
)


# What the machines have in common that have these.
HOT = {
    "devices": {"WEIR_TEST_EDU": "0000:00:04.0",
                "WEIR_TEST_HOT_PORT": "0000:00:05.0",
                "WEIR_TEST_LOST_PORT": "0000:00:06.0",
                "WEIR_TEST_NET_PORT": "0000:00:07.0",
                "WEIR_TEST_IGB_PORT": "0000:00:08.0",
                "WEIR_TEST_HOT": "0000:01:00.0",
                "WEIR_TEST_LOST": "0000:02:00.0",
                "WEIR_TEST_NET": "0000:03:00.0",
                "WEIR_TEST_IGB": "0000:04:00.0"},
    "settle": {"0000:00:05.0": "pcieport", "0000:00:06.0": "pcieport", "0000:00:07.0": "pcieport",
               "0000:00:08.0": "pcieport", "0000:03:00.0": "virtio-pci"},
    "programs": {"hotplug": ("HOT", "LOST", "NET", "EDU"), "irq": ("IGB", "EDU")},
    "command": False,
    "host": {"unplug": {"execute": "device_del", "arguments": {"id": "hot"}},
             "plug": {"execute": "device_add", "arguments": {
                 "driver": "edu", "dma_mask": (1 << 64) - 1, "id": "hot", "bus": "port0"}},
             "plug-lost": {"execute": "device_add", "arguments": {
                 "driver": "e1000e", "id": "lost", "bus": "port1"}},
             "error": {"execute": "human-monitor-command",
                       "arguments": {"command-line": "pcie_aer_inject_error net COMP_ABORT"}}},
}


def _hot():
    """The machine for what happens to devices while they are in use, and for memory: two NUMA
    nodes, each with hugepages of both sizes from the start."""
    return Machine(**{**HOT, **dict(
        name="vtd-hot",
        kernel=LINUX_DEBIAN,
        program="qemu-system-x86_64",
        arguments=("-M", "q35,kernel-irqchip=split", "-cpu", "max", "-smp", "2,sockets=2",
                   "-m", "8G",
                   "-object", "memory-backend-ram,id=ram0,size=4G",
                   "-object", "memory-backend-ram,id=ram1,size=4G",
                   "-numa", "node,nodeid=0,cpus=0,memdev=ram0",
                   "-numa", "node,nodeid=1,cpus=1,memdev=ram1",
                   "-device", "intel-iommu,intremap=on,caching-mode=on", *HOT_DEVICES),
        # A kernel that lies anywhere may leave no whole GiB on a node: nokaslr.
        append=f"console=ttyS0 {EMULATED} intel_iommu=on nokaslr hugepagesz=1G hugepages=0:1,1:1 "
               "hugepagesz=2M hugepages=0:4,1:4",
        modules=("vfio-pci", "vfio_iommu_type1"),
        programs={"memory": ("EDU",), **HOT["programs"]})})


def _bind():
    """The machine for bind and release, with what a kernel uses: disks that keep what is written
    to them, a network, a screen. VFIO's modules are there to be loaded."""
    return Machine(
        name="vtd-bind",
        kernel=LINUX_DEBIAN,
        program="qemu-system-x86_64",
        arguments=("-M", "q35,kernel-irqchip=split", "-cpu", "max", "-smp", "2", "-m", "2G",
                   "-device", "intel-iommu,intremap=on,caching-mode=on",
                   "-device", "VGA,addr=3",
                   "-device", f"{EDU},addr=4",
                   "-drive", "if=none,id=disk0,file=null-co://,file.read-zeroes=on,format=raw,"
                   "snapshot=on",
                   "-device", "nvme,drive=disk0,serial=weir0,addr=5",
                   "-device", f"{EDU},addr=6.0,multifunction=on",
                   "-drive", "if=none,id=disk1,file=null-co://,file.read-zeroes=on,format=raw",
                   "-device", "nvme,drive=disk1,serial=weir1,addr=6.1,multifunction=on",
                   "-device", "e1000e,addr=7",
                   "-device", "ioh3420,slot=1,chassis=1,addr=8"),
        append=f"console=ttyS0 {EMULATED} intel_iommu=on",
        modules=("nvme", "e1000e", "crc32c_generic", "ext4"),
        index=("vfio-pci", "vfio_iommu_type1"),
        devices={"WEIR_TEST_SCREEN": "0000:00:03.0",
                 "WEIR_TEST_EDU": "0000:00:04.0",
                 "WEIR_TEST_NVME": "0000:00:05.0",
                 "WEIR_TEST_MIXED_EDU": "0000:00:06.0",
                 "WEIR_TEST_MIXED_NVME": "0000:00:06.1",
                 "WEIR_TEST_NIC": "0000:00:07.0",
                 "WEIR_TEST_PORT": "0000:00:08.0"},
        settle={"0000:00:05.0": "nvme", "0000:00:06.1": "nvme", "0000:00:07.0": "e1000e",
                "0000:00:08.0": "pcieport"},
        programs={"kill": ()},
        command=False,
        bind=True,
    )


def _board(name, board, unit=("-device", "intel-iommu,intremap=on"), append="", **more):
    """A q35 with topologies: nothing else, and no more memory than it needs, since each starts
    anew. Drivers are there to switch VFs on."""
    drivers = board.drivers()
    return _built(name, **{**dict(
        arguments=("-M", "q35,kernel-irqchip=split", "-cpu", "max", "-smp", "1", "-m", "512M",
                   *unit, *board.arguments()),
        append=f"console=ttyS0 {EMULATED} {append}".strip(),
        devices={f"WEIR_TEST_PF{number}": address for number, address in enumerate(drivers)},
        settle=drivers,
        programs={},
        command=False,
        board=board), **more})


# The same board twice, but for one port of each topology: it has ACS, or it hasn't. The last one's
# is there on both, and one kernel is told to leave it off.
WITH_ACS = Board(None, *topologies.around(topologies.acs))
WITHOUT_ACS = Board(None, *topologies.around(topologies.plain))
LEFT_OFF = f"pci=config_acs=0000000@{WITHOUT_ACS.roots[-1].placed[0].address}"


def _boards():
    """Machines for their IOMMU groups, with several IOMMUs and both kernels.

    QEMU's virtio-iommu knows no device behind a conventional bridge, and Linux gives up on all when
    one is refused; SMMUv3's driver refuses those behind two such bridges."""
    named = topologies.named
    mixes = [topologies.Mix(seed).topology for seed in range(1, 14)]
    # Where devices are found by a device tree, Linux 6.12 leaves ACS off (of_iommu_configure() in
    # drivers/iommu/of_iommu.c asks for it when ports are set up already).
    smmu = Board(topologies.joined("one-root-bus", 13, topologies.INTEGRATED, *named(
        "ports-multifunction-mixed", "switch-below-switch", "card-partly-isolated")))
    debian = {"kernel": LINUX_DEBIAN, "release": "deb13"}
    return (
        _board("groups-ports", Board(topologies.INTEGRATED, *named("ports")),
               append="intel_iommu=on", **debian),
        _board("groups-cards", Board(None, *named("switch", "card-below", "card-isolated")),
               append="intel_iommu=on", **debian),
        _board("groups-bridges", Board(None, *named("bridge"))),
        _board("groups-vfs", Board(None, *named("vfs", "card-partly")), captured=True),
        _board("groups-mixes", Board(None, *mixes[:7])),
        _board("groups-amd", Board(topologies.INTEGRATED, *mixes[7:]),
               unit=("-device", "amd-iommu,intremap=on,dma-remap=on", *SOUTHBRIDGE)),
        _board("groups-virtio", Board(None, *named(
            "ports-mixed", "ports-multifunction-mixed", "switch-multifunction",
            "card-partly-isolated", "vfs-below-switch", "vfs-of-two", "vfs-nvme")),
               unit=("-device", "virtio-iommu-pci,addr=0x15")),
        _board("groups-acs-on", WITH_ACS, acs="on"),
        _board("groups-acs-off", WITHOUT_ACS, append=LEFT_OFF, acs="off"),
        # A device tree tells Linux of one root bus, no expander's.
        _board("groups-smmu", smmu, kernel=_debian("arm64", "arm64"), release="deb13-arm64$",
               program="qemu-system-aarch64",
               arguments=("-M", "virt,iommu=smmuv3,gic-version=3", "-cpu", "max", "-smp", "1",
                          "-m", "512M", *smmu.arguments()),
               append="console=ttyAMA0 cryptomgr.notests", results="ttyAMA1",
               modules=("pci-stub",), late_groups=True),
    )


# For the soak test, and what it stands on. The machine should have hugepages.
SOAK = {"programs": {"killed": ("EDU", "BEHIND", "NVME"),
                     "soak": ("EDU", "PAIR0", "PAIR1", "BEHIND", "NVME")},
        "command": False}


def _arm64():
    """Arm's SMMUv3. The kernel finds the devices by a device tree, and so they get their groups
    when the first driver is tried with them (drivers/iommu/of_iommu.c)."""
    return Machine(
        name="arm64",
        kernel=_debian("arm64", "arm64"),
        release="deb13-arm64$",
        program="qemu-system-aarch64",
        arguments=("-M", "virt,iommu=smmuv3,gic-version=3", "-cpu", "max", "-smp", "2", "-m", "1G",
                   *X86_DEVICES),
        append="console=ttyAMA0 cryptomgr.notests",
        results="ttyAMA1",
        modules=("vfio-pci", "vfio_iommu_type1", "nvme"),
        devices=X86_NAMES,
        settle=X86_SETTLE,
        late_groups=True,
        programs={"vfio": ("EDU", "PAIR0", "PAIR1", "NVME")},
        msi=(0x8000000, 0x80fffff),
        iova_last=(1 << 48) - 1,
        faults=SMMU,
    )


def _smmu_nested():
    """The same IOMMU for what Debian's kernel can't do with it: IOMMUFD, and a guest's table nested
    in the host's."""
    return Machine(
        name="arm64-nested",
        kernel=LINUX_ARM64,
        release="-weir-arm64$",
        program="qemu-system-aarch64",
        arguments=("-M", "virt,iommu=smmuv3,gic-version=3", "-cpu", "max", "-smp", "2", "-m", "2G",
                   "-device", f"{EDU},addr=4",
                   "-device", f"{EDU},addr=6.0,multifunction=on",
                   "-device", f"{EDU},addr=6.1,multifunction=on"),
        append="console=ttyAMA0 hugepages=64",
        results="ttyAMA1",
        modules=(),
        devices={name: X86_NAMES[name]
                 for name in ("WEIR_TEST_EDU", "WEIR_TEST_PAIR0", "WEIR_TEST_PAIR1")},
        settle={},
        programs={"iommufd": ("EDU", "PAIR0", "PAIR1"), "hwpt": ("EDU", "PAIR0", "PAIR1"),
                  "nested": ("EDU", "PAIR0", "PAIR1"), "mock": ()},
        selftests={"iommufd": ("",), "iommufd_fail_nth": ("",)},
        groups=(("EDU",), ("PAIR0", "PAIR1")),
        only=("kernel", "doctor-*", "groups", "reserved", "info-taken", "choice*",
              "bad-absent-*", "selftest-edu-*", "guest/*", "example-*", "kernel-*", "given-back"),
        nests=True,
        interfaces=("iommufd", "compat", "type1v2", "type1"),
        msi=(0x8000000, 0x80fffff),
        iova_last=(1 << 48) - 1,
        dirty_tracking="none",
        faults=SMMU,
    )


# On pSeries a group is all that is behind a host bridge: one bridge for each of the groups above,
# the last with a bridge to a bus of its own.
PSERIES_DEVICES = (
    "-device", f"{EDU},addr=4",
    *(argument for index in range(1, 5)
      for argument in ("-device", f"spapr-pci-host-bridge,index={index},id=phb{index}")),
    *_disk("disk0"), *_disk("disk2"),
    "-device", "nvme,id=nvme0,drive=disk0,serial=weir0,bus=phb1.0,addr=5",
    "-device", "nvme-ns,bus=nvme0,nsid=2,drive=disk2,logical_block_size=4096,"
               "physical_block_size=4096",
    "-device", f"{EDU},bus=phb2.0,addr=6",
    "-device", f"{EDU},bus=phb2.0,addr=7",
    "-device", f"{EDU},bus=phb3.0,addr=6",
    "-drive", "if=none,id=disk1,file=null-co://,file.read-zeroes=on,format=raw",
    "-device", "nvme,drive=disk1,serial=weir1,bus=phb3.0,addr=7",
    "-device", "pci-bridge,id=port0,chassis_nr=1,bus=phb4.0,addr=8",
    "-device", f"{EDU},bus=port0,addr=1",
)
PSERIES_NAMES = {
    "WEIR_TEST_EDU": "0000:00:04.0",
    "WEIR_TEST_NVME": "0001:00:05.0",
    "WEIR_TEST_PAIR0": "0002:00:06.0",
    "WEIR_TEST_PAIR1": "0002:00:07.0",
    "WEIR_TEST_MIXED_EDU": "0003:00:06.0",
    "WEIR_TEST_MIXED_NVME": "0003:00:07.0",
    "WEIR_TEST_PORT": "0004:00:08.0",
    "WEIR_TEST_BEHIND": "0004:01:01.0",
}


def _pseries(name, kernel, **more):
    """POWER as a guest of a hypervisor sees it: a window of 1 GiB, and one group a container."""
    return Machine(**{**dict(
        name=name,
        kernel=_debian(kernel, "ppc64el"),
        release=f"deb13-{kernel}$",
        program="qemu-system-ppc64",
        arguments=("-M", "pseries", "-cpu", "power9", "-smp", "2", "-m", "1G", *PSERIES_DEVICES),
        append="console=hvc0 cryptomgr.notests",
        results="hvc1",
        modules=("vfio-pci", "vfio_iommu_spapr_tce", "nvme"),
        devices=PSERIES_NAMES,
        settle={"0001:00:05.0": "nvme", "0003:00:07.0": "nvme"},
        programs={"register": ("EDU", "PAIR0", "NVME"), "spapr": ("EDU",)},
        windows=("4K", "64K", "2M"),
        interfaces=("spaprv2", "spapr"),
        msi=(),
        iova_last=(1 << 30) - 1,
        dirty_tracking="none",
        faults=None), **more})


# On a POWER9 each of its host bridges' root ports has a bus of its own, and a bus is a group.
POWERNV_DEVICES = (
    "-device", f"{EDU},bus=pcie.0",
    *_disk("disk0"), *_disk("disk2"),
    "-device", "nvme,id=nvme0,drive=disk0,serial=weir0,bus=pcie.1",
    "-device", "nvme-ns,bus=nvme0,nsid=2,drive=disk2,logical_block_size=4096,"
               "physical_block_size=4096",
    "-device", f"{EDU},bus=pcie.2,addr=0.0,multifunction=on",
    "-device", f"{EDU},bus=pcie.2,addr=0.1,multifunction=on",
    "-device", f"{EDU},bus=pcie.3,addr=0.0,multifunction=on",
    "-drive", "if=none,id=disk1,file=null-co://,file.read-zeroes=on,format=raw",
    "-device", "nvme,drive=disk1,serial=weir1,bus=pcie.3,addr=0.1,multifunction=on",
    "-device", "pcie-pci-bridge,id=port0,bus=pcie.4",
    "-device", f"{EDU},bus=port0,addr=1",
)
POWERNV_NAMES = {
    "WEIR_TEST_EDU": "0000:01:00.0",
    "WEIR_TEST_NVME": "0001:01:00.0",
    "WEIR_TEST_PAIR0": "0002:01:00.0",
    "WEIR_TEST_PAIR1": "0002:01:00.1",
    "WEIR_TEST_MIXED_EDU": "0003:01:00.0",
    "WEIR_TEST_MIXED_NVME": "0003:01:00.1",
    "WEIR_TEST_PORT": "0004:01:00.0",
    "WEIR_TEST_BEHIND": "0004:02:01.0",
}


# The device is reset as it is opened and closed, which takes seconds each time: that much and no
# more. The machine has one serial port, and QEMU's own host bridges.
POWERNV_CASES = ("kernel", "list", "doctor-*", "groups", "info-taken", "choice", "selftest-edu-*",
                 "nvme-verify-*", "nvme-to-kernel-*", "window-*",
                 "eeh-*", "guest/*", "given-back")
# With pages of 64 KiB: what depends on their size.
LARGE_PAGE_CASES = ("kernel", "doctor-*", "info-taken", "choice", "selftest-edu-*", "nvme-verify-*",
                    "window-*", "given-back")


def _powernv(name, kernel, windows, only):
    """POWER without a hypervisor: a window of 2 GiB."""
    return _pseries(
        name, kernel,
        arguments=("-M", "powernv9", "-smp", "1", "-m", "1G", *POWERNV_DEVICES),
        bare=False,
        results="vport0p1",
        port=("-device", "virtio-serial-pci,bus=pcie.5",
              "-device", "virtserialport,chardev=results"),
        devices=POWERNV_NAMES,
        groups=(*GROUPS[:-1], ("BEHIND",)),
        settle={"0001:01:00.0": "nvme", "0003:01:00.1": "nvme"},
        programs={"eeh": ("EDU",), "register": ("EDU", "PAIR0", "NVME"), "spapr": ("EDU",)},
        windows=windows,
        only=only,
        eeh=True,
        iova_last=(1 << 31) - 1)


MACHINES = {machine.name: machine for machine in (
    _vtd("vtd", 48, thorough=True),
    _vtd("vtd39", 39, ",aw-bits=39"),
    dataclasses.replace(_vtd("soak-type1", 48), **SOAK, soak="type1v2",
                        append=f"console=ttyS0 {EMULATED} intel_iommu=on hugepages=16"),
    _hot(),
    _bind(),
    _built("vtd-legacy", (*_intel(",caching-mode=on"), *SLOT_DEVICES),
           devices={**X86_NAMES, **SLOT_NAMES}, settle={**X86_SETTLE, **SLOT_SETTLE},
           programs={**PEER_PROGRAMS, "reset": ("SLOT0", "SLOT1")}, thorough=True),
    _built("soak-iommufd", _intel(",caching-mode=on"), "hugepages=16", soak="iommufd", **SOAK),
    _built("hot-iommufd", arguments=("-M", "q35,kernel-irqchip=split", "-cpu", "max", "-smp", "2",
                                     "-m", "2G", *_intel(",caching-mode=on"), *HOT_DEVICES),
           **{**HOT, "settle": {**HOT["settle"], "0000:02:00.0": "e1000e", "0000:04:00.0": "igb"}}),
    # VT-d that is off, and that lets pass what isn't given away: for weir doctor alone.
    _built("vtd-off", _intel(), "intel_iommu=off", iommu=False, programs={}, command=False,
           interfaces=_NO_IOMMU["interfaces"]),
    _built("vtd-pt", _intel(), "intel_iommu=on iommu=pt", programs={}, command=False),
    _built("vtd-second", _intel(",scalable-mode=on,device-iotlb=on")),
    _built("vtd-first", _intel(",scalable-mode=on,fsts=on"), iova_last=(1 << 47) - 1),
    _built("amd", ("-device", "amd-iommu,intremap=on,dma-remap=on", *SOUTHBRIDGE),
           iova_last=(1 << 64) - 1, faults=AMD_VI, programs=PEER_PROGRAMS),
    # x86 remaps no interrupts behind a virtio-iommu.
    _built("virtio", ("-device", "virtio-iommu-pci,addr=3"),
           "vfio_iommu_type1.allow_unsafe_interrupts=1 iommufd.allow_unsafe_interrupts=1",
           iova_last=(1 << 39) - 1, faults=VIRTIO, unsafe_interrupts=True,
           programs=PEER_PROGRAMS),
    _built("none", **_NO_IOMMU),
    _selftests(),
    _built("vtd-container", _intel(",caching-mode=on"), kernel=LINUX_CONTAINER,
           release="-weir-container$", container="iommufd", programs=CONTAINER_PROGRAMS),
    _built("none-container", kernel=LINUX_CONTAINER, release="-weir-container$", **_NO_IOMMU),
    _arm64(),
    _smmu_nested(),
    *_boards(),
    _pseries("pseries", "powerpc64le"),
    _pseries("pseries-64k", "powerpc64le-64k", only=(*LARGE_PAGE_CASES, "guest/*")),
    _powernv("powernv9", "powerpc64le", ("4K",), POWERNV_CASES),
    _powernv("powernv9-64k", "powerpc64le-64k", ("4K", "64K"), (*LARGE_PAGE_CASES, "guest/spapr")),
)}
