# SPDX-License-Identifier: MIT
"""Cases of the machines that hold topologies: the groups that weir computes are the kernel's own,
and those that it computes for other ports are those of the machine that has them."""

import functools
import json
import re
from pathlib import Path

from case import Case

STORED = Path(__file__).parent / "expected" / "acs.json"

# Where devices are found by a device tree, a function gets its group when a driver is tried.
LATE = """
for device in $PCI/*; do
	[ ! -e $device/iommu_group ] || continue
	echo pci-stub > $device/driver_override
	echo ${device##*/} > /sys/bus/pci/drivers_probe
	[ ! -e $device/driver ] || echo ${device##*/} > $device/driver/unbind
	echo > $device/driver_override
done
"""


def with_vfs(roots, command):
    """The command while those of the PFs are switched on; they get no driver."""
    vfs = {pf: len(found) for root in roots for pf, found in root.vfs.items()}
    on = "".join(f"echo 0 > $PCI/{pf}/sriov_drivers_autoprobe\n"
                 f"echo {count} > $PCI/{pf}/sriov_numvfs || exit 96\n"
                 for pf, count in vfs.items())
    off = "".join(f"echo 0 > $PCI/{pf}/sriov_numvfs\n" for pf in vfs)
    return f"{on}{command}\nstatus=$?\n{off}exit $status"


def partition(groups, addresses):
    """The groups of these addresses, in an order that doesn't depend on how they are numbered:
    of {address: group}, without those that are in none."""
    found = {}
    for address in sorted(addresses):
        if groups.get(address) is not None:
            found.setdefault(groups[address], []).append(address)
    return sorted(found.values())


def difference(want, got):
    """What is otherwise: those groups of each that the other hasn't."""
    def text(groups, others):
        return ", ".join(f"{{{' '.join(group)}}}" for group in groups if group not in others)
    return f"{text(want, got) or 'nothing'}, but computed is {text(got, want) or 'nothing'}"


def kernel_groups(outcome):
    """Of each function, by the links in /sys/kernel/iommu_groups."""
    return {address: int(number) for number, address in re.findall(
        r"^/sys/kernel/iommu_groups/(\d+)/devices/(\S+)$", outcome.stdout, re.M)}


def computed_groups(text):
    """Of each function, by weir's JSON; those that it isn't sure of are none."""
    report = json.loads(text[text.index("{"):])
    return {entry["address"]: None if entry["unsure"] else entry["computed"]
            for entry in report["computed"]}


def stored_groups(which, name, path=STORED):
    """The groups of a topology around a port, with its ACS "on" or "off"."""
    return json.loads(path.read_text())[which][name]


def judge(root, kernel, computed):
    """(result, why, or how much there is that is equal) of one topology."""
    addresses = root.addresses()
    absent = addresses - set(kernel)
    if absent:
        return "fail", f"not in any group: {' '.join(sorted(absent))}"
    want, got = partition(kernel, kernel), partition(computed, kernel)
    # A group of this topology with a function of another would be a difference, too.
    mine = [[group for group in groups if addresses.intersection(group)]
            for groups in (want, got)]
    if mine[0] != mine[1]:
        return "fail", f"the kernel's groups are {difference(*mine)}"
    if root.topology.groups not in (0, len(mine[0])):
        return "fail", (f"the kernel has {len(mine[0])} groups, not {root.topology.groups}: the "
                        "topology isn't what it is meant to be")
    return "pass", f"functions: {len(addresses)}, groups: {len(mine[0])}, all equal"


def check_topologies(machine, outcome):
    """What belongs to no topology, too: chipset, expanders, the IOMMU."""
    kernel, computed = kernel_groups(outcome), computed_groups(outcome.stdout)
    want, got = partition(kernel, kernel), partition(computed, kernel)
    if want != got:
        return f"the kernel's groups are {difference(want, got)}"
    if outcome.status:
        return f"the groups are equal, but the exit status is {outcome.status}"
    if machine.acs:
        for root in machine.board.roots:
            stored = stored_groups(machine.acs, root.topology.name)
            if partition(kernel, root.addresses()) != stored:
                return (f"of {root.topology.name} expected/acs.json has {stored}, the kernel "
                        f"{partition(kernel, root.addresses())}")
    return ""


def split_topologies(machine, outcome):
    """A verdict for each."""
    try:
        kernel, computed = kernel_groups(outcome), computed_groups(outcome.stdout)
    except (LookupError, TypeError, ValueError) as error:
        return [(root.topology.name, "fail", f"not understood: {error}")
                for root in machine.board.roots]
    return [(root.topology.name, *judge(root, kernel, computed)) for root in machine.board.roots]


def check_what_if(machine, outcome):
    """An answer about each port."""
    if outcome.status:
        return f"exit status {outcome.status}"
    answers = what_if_answers(outcome)
    absent = [root.topology.name for root in machine.board.roots
              if root.topology.name not in answers]
    return f"no answer about {', '.join(absent)}" if absent else ""


def what_if_answers(outcome):
    """Of each topology, what weir said: the JSON follows a line with the name."""
    parts = re.split(r"^topology (\S+)$", outcome.stdout, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def judge_what_if(machine, root, answer):
    """(result, why) of one: it is as the kernel has it on the other machine."""
    name, addresses = root.topology.name, root.addresses()
    want = stored_groups(other(machine), name)
    if want == stored_groups(machine.acs, name):
        return "fail", "it is the same with and without: not a port to ask about"
    try:
        got = partition(computed_groups(answer), addresses)
    except (LookupError, TypeError, ValueError) as error:
        return "fail", f"not understood: {error}"
    if want != got:
        return "fail", f"the other machine's groups are {difference(want, got)}"
    return "pass", f"functions: {len(addresses)}, groups: {len(want)}, as on the other machine"


def split_what_if(machine, outcome):
    """A verdict for each."""
    answers = what_if_answers(outcome)
    return [(root.topology.name, *judge_what_if(machine, root, answers.get(root.topology.name, "")))
            for root in machine.board.roots]


def other(machine):
    """What the ports in question have on the other machine."""
    return "off" if machine.acs == "on" else "on"


def what_if_case(machine):
    """The port in question is each topology's first function. With ACS on, `weir` is asked about
    its being left off, as the kernel's pci=config_acs= does. Of today's groups it needn't tell
    but one, to be short."""
    script = ""
    for root in machine.board.roots:
        port = root.placed[0].address
        assume = f"acs={port}" if machine.acs == "off" else f"config_acs=0000000@{port}"
        script += (f"echo topology {root.topology.name}\n"
                   f"weir groups --wake --what-if {assume} --json 0 || exit\n")
    return Case("what-if", with_vfs(machine.board.roots, f"({script})"), check_what_if, limit=120,
                split=functools.partial(split_what_if, machine))


# What a verb says here, and of the capture of this machine.
CAPTURED = """
cd /tmp && weir capture --wake captured.tar.gz || exit 97
for said in "list --json" "groups --wake --check --json" "groups --plain"; do
	weir $said > here
	weir $said --root captured.tar.gz > there
	cmp here there && [ -s here ] || exit 98
done
"""


def check_captured(_machine, outcome):
    """It says what was captured, and the verbs the same of it."""
    if outcome.status == 98:
        return f"weir says otherwise of what it captured: {outcome.stdout}"
    if outcome.status:
        return f"exit status {outcome.status}: {outcome.stderr}"
    return "" if "serial numbers masked" in outcome.stdout else f"stdout is {outcome.stdout}"


def topology_cases(machine):
    """All topologies at once, and each port of which it is known what it changes; and that a
    machine is the same when it is captured."""
    look = ("find /sys/kernel/iommu_groups/*/devices -type l\n"
            "weir groups --wake --check --json 0")
    cases = [Case("topologies", (LATE if machine.late_groups else "") +
                  with_vfs(machine.board.roots, look), check_topologies, limit=120,
                  split=functools.partial(split_topologies, machine))]
    if machine.acs:
        cases.append(what_if_case(machine))
    if machine.captured:
        # That test brings libarchive along, which weir loads by itself.
        cases.append(Case("captured", with_vfs(machine.board.roots, f"({CAPTURED})"),
                          check_captured, limit=120,
                          needs=("tools/weir/weir", "tests/unit/test-unpack")))
    return cases
