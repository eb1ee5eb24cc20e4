# SPDX-License-Identifier: MIT
"""The machines, as data: what they are built of and what runs in them."""

import dataclasses

from packages import PackageSet

QEMU = PackageSet("qemu", ("qemu-system-x86", "qemu-system-data", "seabios"),
                  suite="trixie-backports")
LINUX_DEBIAN = PackageSet("linux-debian", ("linux-image-amd64",), suite="trixie",
                          only=r"^linux-image-[0-9]")


@dataclasses.dataclass(frozen=True)
class Machine:
    """One emulated machine.

    `devices` are the addresses that the guest's environment and the cases know by name,
    `settle` those that get a driver by themselves, waited for before the first case.
    `programs` are the guest programs that run in it, each with the devices that it gets.
    `command` says whether the cases of the command weir do, which want X86_DEVICES.
    `host` are the actions that the guest may ask of the host, as QEMU's monitor takes them.
    `iova_last` is the highest IOVA that its IOMMU translates.
    `limit` and `boot_limit` are seconds; `grace` is how long the guest may stay silent
    beyond what it was granted, since an emulated machine on a busy host is slow.
    """

    name: str
    kernel: PackageSet
    program: str
    arguments: tuple
    append: str
    modules: tuple
    devices: dict
    settle: tuple
    programs: dict = dataclasses.field(default_factory=dict)
    command: bool = True
    host: dict = dataclasses.field(default_factory=dict)
    iova_last: int = 0
    limit: int = 900
    boot_limit: int = 180
    grace: int = 45


# Emulated processors' time stamps can differ by minutes: Linux takes them for time until it
# notices, and its cryptographic self-tests, which collect randomness from them, can fail.
EMULATED = "tsc=unstable cryptomgr.notests"

EDU = "edu,dma_mask=0xffffffffffffffff"

# One of each kind on the root bus: an edu and an NVMe alone, and two slots with two
# functions each. Functions of one slot without ACS share a group, so the second of
# these slots has a group that stays unviable while its NVMe is on its own driver.
# And an edu behind a root port without ACS, whose group the port is in, on its driver.
X86_DEVICES = (
    "-device", f"{EDU},addr=4",
    "-drive", "if=none,id=disk0,file=null-co://,file.read-zeroes=on,format=raw",
    "-device", "nvme,drive=disk0,serial=weir0,addr=5",
    "-device", f"{EDU},addr=6.0,multifunction=on",
    "-device", f"{EDU},addr=6.1,multifunction=on",
    "-device", f"{EDU},addr=7.0,multifunction=on",
    "-drive", "if=none,id=disk1,file=null-co://,file.read-zeroes=on,format=raw",
    "-device", "nvme,drive=disk1,serial=weir1,addr=7.1,multifunction=on",
    "-device", "ioh3420,id=port0,slot=1,chassis=1,addr=8",
    "-device", f"{EDU},bus=port0",
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
}


def _vtd(name, bits, options=""):
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
        settle=("0000:00:05.0", "0000:00:07.1"),
        programs={"vfio": ("EDU", "PAIR0", "PAIR1", "NVME")},
        iova_last=(1 << bits) - 1,
    )


MACHINES = {machine.name: machine for machine in (
    _vtd("vtd", 48),
    _vtd("vtd39", 39, ",aw-bits=39"),
)}
