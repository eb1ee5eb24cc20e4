#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/verified.md: what was seen to work in which machine, and what none of them can show.

It is made of the results of the machines' last run, which must be complete and good: each machine
that isn't is named, and nothing is written. What follows here by hand are the sentences; that what
they say has passed, and where, is looked up.
"""

import fnmatch
import json
import re
import sys
import textwrap

import cases
import expected
import tap
from kernels import Kernel
from machines import MACHINES
from results import TOP, Missing, generate, passed, versions

VERIFIED = TOP / "docs/verified.md"

INTRODUCTION = """\
# What was verified, and where

Each line here is a test that passed in a run of the virtual machines of `tests/vm/machines.py`, on
real kernels, with emulated devices and IOMMUs. It is a run on one host, without KVM: it shows what
works, not how fast. What can't be shown this way is at the end. To make this page again, after
`make`:

    python3 tests/vm/run.py
    python3 tests/vm/verified.py --write

The second command refuses when a test of a machine is missing or didn't pass. What a machine can't
do is in a stored list, `tests/vm/expected/`, which the run is held against in both directions: a
step of the list that passes is a failure, too.
"""

# What each machine has that devices stand behind.
IOMMUS = {
    "vtd": "VT-d, 48 bits",
    "vtd39": "VT-d, 39 bits",
    "soak-type1": "VT-d, 48 bits",
    "vtd-hot": "VT-d, 48 bits; root ports with hotplug, two NUMA nodes with hugepages",
    "vtd-bind": "VT-d, 48 bits; what a kernel uses: disks, a network, a screen",
    "vtd-legacy": "VT-d, legacy mode",
    "soak-iommufd": "VT-d, legacy mode",
    "hot-iommufd": "VT-d, legacy mode; root ports with hotplug",
    "vtd-off": "VT-d, switched off (`intel_iommu=off`)",
    "vtd-pt": "VT-d, legacy mode; `iommu=pt`",
    "vtd-second": "VT-d, scalable mode, second-stage tables, device IOTLB",
    "vtd-first": "VT-d, scalable mode, first-stage tables",
    "amd": "AMD-Vi",
    "virtio": "virtio-iommu, interrupts not remapped",
    "none": "none",
    "selftests": "VT-d, legacy mode",
    "vtd-container": "VT-d, legacy mode; `/dev/vfio/vfio` is IOMMUFD's",
    "none-container": "none; `/dev/vfio/vfio` is IOMMUFD's",
    "arm64": "SMMUv3, 48 bits; devices found by a device tree",
    "arm64-nested": "SMMUv3, 48 bits; by UEFI, whose IORT has CANWBS set in addition",
    "groups-ports": "VT-d; PCI hierarchies side by side",
    "groups-cards": "VT-d; PCI hierarchies side by side",
    "groups-bridges": "VT-d; PCI hierarchies side by side",
    "groups-vfs": "VT-d; PCI hierarchies side by side",
    "groups-mixes": "VT-d; PCI hierarchies side by side",
    "groups-amd": "AMD-Vi; PCI hierarchies side by side",
    "groups-virtio": "virtio-iommu; PCI hierarchies side by side",
    "groups-acs-on": "VT-d; PCI hierarchies side by side",
    "groups-acs-off": "VT-d; PCI hierarchies side by side",
    "groups-smmu": "SMMUv3; a PCI hierarchy of many parts",
    "pseries": "sPAPR TCE of a pSeries guest, pages of 4 KiB",
    "pseries-64k": "sPAPR TCE of a pSeries guest, pages of 64 KiB",
    "powernv9": "sPAPR TCE of a bare POWER9, pages of 4 KiB",
    "powernv9-64k": "sPAPR TCE of a bare POWER9, pages of 64 KiB",
}

# What else was seen, and the tests that saw it. A machine is named when all of those that it has
# passed, and it has some; of the programs in guest/, each must be here.
PROVED = {
    "Addresses and devices": (
        ("Two devices in one address space, of one group and of two",
         "guest/vfio/group_and_second_domain", "guest/vfio/two_groups",
         "guest/noiommu/two_devices_in_one_address_space*"),
        ("A device goes to another address space and back, while another goes on",
         "guest/iommufd/device_moves", "guest/iommufd/group_moves_as_one_or_not"),
        ("Memory pinned once for two address spaces",
         "guest/iommufd/copy_*", "guest/iommufd/copies_*"),
        ("Memory mapped by its file", "guest/iommufd/files_are_reached"),
        ("File descriptors that the caller has opened", "guest/iommufd/given_fds_are_used"),
        ("An address space goes to another process while its device is in the middle of a "
         "transfer: by a socket, from a process that is killed, to what it executes, and back",
         "guest/handover/*"),
        ("Page tables made by hand, in front of real DMA: attached, with a whole group; made for "
         "PASIDs and for page faults; what the machine's IOMMU hasn't got is refused, and a device "
         "that can't be attached goes on", "guest/hwpt/*"),
        ("Page tables replaced hundreds of times and more while edus copy, in one address space "
         "and between two: each byte came by the old table or the new one, or was blocked. An NVMe "
         "loses nothing when they are replaced between its commands, nor by mappings that come and "
         "go under them", "guest/replace/*"),
        ("The examples of them: a page table that three devices share, and what the machine's "
         "IOMMU hasn't got said in a sentence", "example-share-stage2", "example-dirty",
         "example-fault"),
        ("On IOMMUFD's mock devices, through the library: nested tables, PASIDs, dirty tracking, "
         "page faults, vIOMMUs and what is made from them, in right and wrong orders; and each "
         "call with each of the kernel's allocations failing", "guest/mock/*"),
        ("A guest's translation nested in the host's, in front of real DMA: by both stages, to the "
         "byte; an entry that changes counts once it is invalidated; faults told to the guest with "
         "its stream id and address, those of stage 2 to the host alone; entries without stage 1",
         "guest/nested/*", "example-nest"),
        ("A device reads and writes another's memory BAR: the contents, both ways; what is mapped "
         "for one direction is closed for the other", "guest/peer/*"),
        ("The last page that the IOMMU translates works, the next is refused; direction, sizes, "
         "replay, refusals that change nothing", "guest/vfio/top_of_the_address_space",
         "guest/vfio/direction", "guest/vfio/sizes", "guest/vfio/replay_conflict",
         "guest/vfio/refusals"),
        ("What the kernel keeps of the IOVAs, for interrupts above all, is in none of weir's "
         "ranges; the rest is", "reserved"),
        ("The other tests of IOMMUFD: ranges, page sizes, how pinned memory is counted, groups and "
         "nodes that exclude each other", "guest/iommufd/*"),
        ("The other tests of VFIO: interrupts, registers, what a killed process leaves",
         "guest/vfio/*"),
        ("Without an IOMMU: consent and capabilities, physical addresses as the kernel has them, "
         "memory that stays where it is while the kernel is told to move it", "guest/noiommu/*",
         "bad-consent*"),
        ("Where interrupts aren't remapped: an interface that refuses makes way for one that "
         "doesn't, and the cure is named when all refuse", "choice-refused",
         "bad-unsafe-interrupts"),
    ),
    "Taking devices, and giving them back": (
        ("`weir doctor` finds what is true there, and nothing else: of the machine, of a device "
         "alone in its group, of one whose group isn't viable, and of one in VFIO's hands",
         "doctor-*"),
        ("`weir bind` and `weir release` killed with -9 before each system call that changes "
         "something: each function gets its driver back", "guest/kill/*"),
        ("A function whose group shows only when it is bound: what is in its way there is named, "
         "and it is given back", "bind-late-group"),
        ("A mounted disk, swap, a network in use, the first graphics, a group's other members and "
         "an open device are refused by name; modules, `--owner`, `--group`, `--force`, two at "
         "once, a restart", "bind-*", "bad-bind-*"),
        ("A slot with two functions is reset: by IOMMUFD, which knows whose they are, and by a "
         "container, to which their groups are named", "guest/reset/*"),
        ("A process killed with -9 while its device writes: the next one finds it reset where that "
         "can be, without bus mastering elsewhere, and is told which", "guest/killed/*"),
        ("A minute of processes that use devices at random, most of them killed: no wrong byte, "
         "nothing that stays pinned or grows, no warning of the kernel", "guest/soak/*"),
    ),
    "Groups": (
        ("The groups that `weir groups --check` computes are the kernel's own: root ports with and "
         "without ACS, switches, cards of several functions, conventional bridges, virtual "
         "functions, expanders, what is integrated, and mixes from a seed", "topologies/*"),
        ("What `weir list` and `weir groups --check` say of the machine's capture is what they say "
         "of the machine", "captured"),
        ("With a port's ACS off, `weir groups --what-if` gives the groups of the machine that has "
         "it on, and the other way round", "what-if/*"),
    ),
    "Devices and memory in trouble": (
        ("POWER's windows of IOVAs: DMA by content in each size of pages, by a command and an NVMe "
         "too; none left, the default one gone and back, one that outlives its device, and a "
         "thousand without a leak of locked memory but the kernel's own", "guest/spapr/*",
         "window-*"),
        ("POWER's locked memory, to the byte as weir says it will be, under both versions; memory "
         "that is registered ahead, and shared by two groups; limits that are too low",
         "guest/register/*"),
        ("EEH's whole sequence by each version of POWER's container, with DMA and interrupts "
         "working after it; a device that isn't frozen", "guest/eeh/*", "eeh-reset"),
        ("The host asks for a device, and it is given back; one is pulled out while in use; "
         "another one in its address space goes on",
         "guest/hotplug/given_back_on_request", "guest/hotplug/pulled_out"),
        ("An uncorrectable error (AER) is reported, and survived",
         "guest/hotplug/reports_an_error"),
        ("A slot's reset; a device put to sleep, and awake again",
         "guest/hotplug/reset_with_its_slot", "guest/hotplug/low_power"),
        ("Hugepages of 2 MiB and 1 GiB, and small pages, on the NUMA node that was asked for; a "
         "pool that is too small", "guest/memory/*_on_each_node", "guest/memory/empty_pool"),
        ("The limits of locked memory and of mappings: refused by name, and what was mapped goes "
         "on", "guest/memory/*_limit"),
        ("Vectors added while others fire; eventfds of the caller's; an eventfd that writes a "
         "register; INTx", "guest/irq/*"),
        ("What weir adds to a mapping, in system calls and instructions (see "
         "[performance.md](performance.md))", "bench-map-iommufd", "bench-map-type1v2"),
    ),
}

NOT_WITNESSED = (
    "**Hardware.** No test has run on a physical IOMMU, device or host, nor with KVM. Times of "
    "mapping haven't been taken either.",
    "**Dirty tracking by hardware**, exact to the page: no IOMMU that QEMU emulates has it. "
    "weir's use of it is held by IOMMUFD's mock devices, whose pages nobody writes but the test; "
    "type1 here reports every mapped page, which the kernel does without the IOMMU's help.",
    "**Nested translation on VT-d and AMD-Vi** (`WEIR_NESTED_VTD_S1`, `WEIR_NESTED_AMD`, "
    "`WEIR_INVALIDATE_VTD_S1`), and NVIDIA's CMDQV "
    "(`WEIR_VIOMMU_TEGRA241_CMDQV`, `WEIR_EVENTQ_TEGRA241_CMDQV`, "
    "`WEIR_HWQUEUE_TEGRA241_CMDQV`, `WEIR_HW_TEGRA241_CMDQV`): written, their layouts held against "
    "the kernel's headers; the objects were driven on mock devices alone.",
    "**Page requests of a device** (PCIe PRI, stalls; `weir_faultq_read()`, "
    "`weir_faultq_answer()`), and **DMA that carries a PASID** (`weir_hwpt_attach_pasid()`): no "
    "device that QEMU emulates makes them. Page tables for both were made, and used without. The "
    "mock devices' requests come one to a group; groups of several are held by unit tests. "
    "Of an SMMUv3's events those without an address, and stalls, are decoded in unit tests alone.",
    "**A page table replaced while DMA runs, without a blocked access**, but on virtio-iommu where "
    "other devices use both tables. Elsewhere the kernel doesn't promise it: some of the edus' "
    "copies were blocked, and an NVMe at work reported a fatal status, or lost a page without a "
    "word. No other IOMMU's driver was tried.",
    "**The address of blocked DMA on AMD-Vi and POWER.** QEMU's AMD-Vi logs the address 0, and "
    "names another device for one behind a bridge; POWER's kernel logs nothing. That memory "
    "stayed unchanged was seen on both.",
    "**A device that POWER has frozen.** QEMU's POWER9 freezes none, and its firmware refuses to "
    "make an error: what brings a device back was seen, on one that works.",
    "**Blocked DMA of anything but an edu.** An NVMe isn't told to reach outside of its mappings.",
    "**Isolation between devices.** No port or switch here redirects or blocks what a device "
    "sends to another one (ACS): peer-to-peer DMA is what QEMU makes of it.",
    "**A device whose reset fails**, or that doesn't come back after one; and firmware's reserved "
    "memory (RMRR), which makes the kernel refuse a device.",
    "**Interrupts that are posted** to a processor without the host, and a host with other loads "
    "on its interrupts.",
    "**Speed and order of real memory.** The processors are emulated on an x86-64, Arm's and "
    "POWER's, too: a missing barrier needn't show.",
    "**Size**: address spaces of hundreds of GiB, and dozens of devices.",
    "**Other kernels** than these, and other architectures.",
)

KINDS = {"edu": "edu", "behind": "edu behind a port", "nvme": "NVMe"}
OUTSIDE = ("DMA outside the mapping is blocked", "DMA after unmap is blocked")


class Notes:
    """Reasons, each with a number in the order in which they come."""

    def __init__(self):
        self._numbers = {}

    def cell(self, text, reasons):
        """A table's cell that has these reasons."""
        numbers = {self._numbers.setdefault(reason, len(self._numbers) + 1) for reason in reasons}
        return f"{text} ({', '.join(map(str, sorted(numbers)))})" if numbers else text

    def text(self):
        """What stands below the tables."""
        return "".join(wrapped(f"{number}. {text}", "   ") for text, number in
                       self._numbers.items())


def wrapped(text, indent=""):
    """Lines of a paragraph, or of a list's item."""
    return textwrap.fill(text, 100, subsequent_indent=indent, break_long_words=False,
                         break_on_hyphens=False) + "\n"


def table(head, rows):
    """In markdown."""
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *rows])


def merged(rows, *columns):
    """Rows that are equal but for one of these columns are one, at the place of the first."""
    for column in columns:
        found = {}
        for row in rows:
            key = (*row[:column], *row[column + 1:])
            found.setdefault(key, []).append(row[column])
        rows = [(*key[:column], ", ".join(cells), *key[column:]) for key, cells in found.items()]
    return rows


def reports(run, machine, interface):
    """The selftest of each kind of device, over one interface."""
    found = {kind: run.outcomes.get(f"selftest-{kind}-{interface}") for kind in KINDS}
    return {kind: json.loads(outcome.stdout) for kind, outcome in found.items() if outcome}


def steps(report, notes):
    """How many passed, and a note for each reason why others are impossible."""
    reasons = {}
    for step in report["steps"]:
        if step["result"] != "pass":
            why = re.sub(r"^[0-9a-f:.]+: ", "", step["why"])
            why = re.sub(r", at physical address 0x[0-9a-f]+", "", why)
            why = why.replace(f"{report['backend']} has", "this interface has, on this IOMMU,")
            reasons.setdefault(why, []).append(step["name"])
    count = len(report["steps"]) - sum(map(len, reasons.values()))
    return notes.cell(f"{count} of {len(report['steps'])}",
                      [f"*{', '.join(names)}*: {why}" for why, names in reasons.items()])


def outside(machine, found):
    """What became of an edu's DMA that must be blocked. What the kernel's log must say of it, the
    run has checked (cases.fault_missing())."""
    got = {step["result"] if step["result"] == "pass" else step["why"].partition(",")[0]
           for kind in ("edu", "behind") if kind in found for step in found[kind]["steps"]
           if step["name"] in OUTSIDE}
    if got != {"pass"}:
        return "**not blocked**" if got == {"NOT BLOCKED"} else "not tried"
    if not machine.faults:
        return "blocked; no fault is logged"
    if "address" not in machine.faults.groupindex:
        return "blocked; a fault is logged, without its address"
    return "blocked; the fault is logged with its address"


def selftest_rows(runs, notes):
    """One for each interface of each machine."""
    for name, run in runs.items():
        machine = MACHINES[name]
        for interface in machine.interfaces if machine.command else ():
            found = reports(run, machine, interface)
            yield (f"`{name}`", f"`{interface}`",
                   *(steps(found[kind], notes) if kind in found else "not tried"
                     for kind in KINDS), outside(machine, found))


def choice_rows(runs, notes):
    """Which interface weir takes, why none that it prefers, and what asking for another gives."""
    for name, run in runs.items():
        machine = MACHINES[name]
        if not machine.command:
            continue
        others = [f"*{other}*: {why}" for other, why in re.findall(
            r"(?m)^weir: \S+: (\S+) doesn't work: (.*)$", run.outcomes["choice"].stderr)]
        absent = [case.removeprefix("bad-absent-") for case in run.outcomes
                  if case.startswith("bad-absent-")]
        yield (f"`{name}`", notes.cell(f"`{machine.interfaces[0]}`", others),
               ", ".join(f"`{interface}`" for interface in machine.interfaces),
               ", ".join(f"`{interface}`" for interface in absent) or "not tried")


def nvme_rows(runs):
    """The NVMe controller, over each interface."""
    for name, run in runs.items():
        machine = MACHINES[name]
        has_one = machine.command and "WEIR_TEST_NVME" in machine.devices
        for interface in machine.interfaces if has_one else ():
            bench = json.loads(run.outcomes[f"nvme-verify-{interface}"].stdout)["verified"]
            yield (f"`{name}`", f"`{interface}`",
                   f"{bench['blocks']} blocks, {bench['wrong']} wrong",
                   *("the same bytes" if f"nvme-{way}-{interface}" in run.outcomes else "not tried"
                     for way in ("to-kernel", "from-kernel")))


def proved_rows(part, tests):
    """The sentences of a part, with the machines in which they were seen; a test that an earlier
    sentence speaks of isn't another one's, too."""
    taken = set()
    for sentence, *patterns in PROVED[part]:
        found = {test for machine, names in tests.items() for test in names
                 if any(fnmatch.fnmatchcase(test, pattern) for pattern in patterns)} - taken
        absent = [pattern for pattern in patterns if not fnmatch.filter(found, pattern)]
        if absent:
            raise Missing(f"no machine has run {absent[0]}: '{sentence}' stands on it")
        taken |= found
        yield (sentence, ", ".join(f"`{name}`" for name in tests if found & set(tests[name])))


def kernel_rows(runs, notes):
    """The kernel's own tests, as the stored list has them."""
    for machine, run in runs.items():
        for name in run.outcomes:
            if not name.startswith("kernel-"):
                continue
            entry = expected.tests_of(name)
            got = [result for _, result, _ in tap.parse_kernel(run.outcomes[name].stdout)[0]]
            program, _, device = name.removeprefix("kernel-").partition("-")
            yield (f"`{machine}`", f"`{program}`", device or "none", str(got.count("pass")),
                   *(notes.cell(str(got.count(result)), entry[result].values())
                     for result in ("skip", "fail")))


def kernels_text(runs, made):
    """Which kernels they were, and how they came to be."""
    lines = {}
    for name, run in runs.items():
        kernel, package = MACHINES[name].kernel, made[name]["kernel"]
        how = f"Debian's package {package}"
        if isinstance(kernel, Kernel):
            how = f"built from Debian's {package}, with " + " and ".join(
                f"`tests/vm/configs/{fragment}`" for fragment in kernel.fragments)
        lines[wrapped(f"- `{run.release}`: {how}", "  ")] = None
    return "".join(lines)


def everything(build):
    """(what each machine has said, the tests that it passed, its packages), or what is missing."""
    runs, tests, made, missing = {}, {}, {}, []
    for name in MACHINES:
        try:
            runs[name], tests[name] = passed(build, name)
            made[name] = versions(build, name)
        except Missing as why:
            missing.append(str(why))
    qemus = {packages["qemu"] for packages in made.values()}
    if len(qemus) > 1:
        missing.append(f"the machines ran on several QEMUs, {', '.join(sorted(qemus))}: run all")
    if missing:
        raise Missing("\n  ".join(missing))
    return runs, tests, made


def text(build):
    """The whole page."""
    runs, tests, made = everything(build)
    notes, kernel_notes = Notes(), Notes()
    parts = [INTRODUCTION, "## Machines\n", table(("machine", "kernel", "IOMMU"), merged(
        [(f"`{name}`", f"`{run.release}`", IOMMUS[name]) for name, run in runs.items()], 0))]
    parts += [f"All in Debian's {made[next(iter(made))]['qemu']}, on these kernels:\n",
              kernels_text(runs, made),
              "## The interface that is taken\n",
              wrapped("By itself, as `weir -v info` explains it; by `WEIR_IOMMU`; and what is "
                      "refused when `WEIR_IOMMU` asks for it, with the reason and without another "
                      "in its place."),
              table(("machines", "by itself", "by choice", "refused"),
                    merged(choice_rows(runs, notes), 0)),
              "## weir selftest\n",
              wrapped(f"How many of {len(expected.STEPS)} steps passed, and, by their numbers "
                      "below, why the others are impossible there; none failed. Outside: what "
                      "became of an edu's reads and writes of memory that wasn't mapped, and of "
                      "memory that wasn't mapped any more."),
              table(("machines", "interface", *KINDS.values(), "outside"),
                    merged(selftest_rows(runs, notes), 0, 1)), notes.text()]
    parts += ["## weir nvme\n",
              wrapped("`weir nvme bench --verify` at random places of a namespace with blocks of "
                      "4096 bytes; what weir wrote, read by the kernel's own driver after the "
                      "release, and the other way round, in blocks of 512 and of 4096 bytes."),
              table(("machines", "interface", "bench --verify", "weir to kernel",
                     "kernel to weir"), merged(nvme_rows(runs), 0, 1))]
    for part in PROVED:
        parts += [f"## {part}\n", table(("what", "machines"), proved_rows(part, tests))]
    parts += ["## The kernel's own tests\n",
              wrapped("Of Linux's `tools/testing/selftests`, without weir: what they skip, and "
                      "where they fail, isn't weir's fault."),
              table(("machines", "program", "device", "passed", "skipped", "failed"),
                    merged(kernel_rows(runs, kernel_notes), 0, 2)), kernel_notes.text()]
    parts += ["## Not witnessed\n",
              "".join(wrapped(f"- {sentence}", "  ") for sentence in NOT_WITNESSED)]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(generate(__doc__, VERIFIED, r"(?s)\A.*\Z", text))
