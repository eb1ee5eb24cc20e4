# SPDX-License-Identifier: MIT
"""The cases: what runs in the guest, and what must have come of it.

A case's script runs in busybox's shell with helpers.sh loaded; its check looks at the
outcome on the host and returns why it is wrong, or nothing. What goes for every case
(time, kernel trouble, the machine left as it was found) is in verdicts.py.
"""

import fnmatch
import functools
import json
import re

import expected
import kernels
import tap
from case import Case, bad_input, complaint, ended_well, parsed, strings
from cases_bench import bench_cases
from cases_bind import BIND_CASES, refused
from cases_doctor import doctor_cases
from cases_hwpt import check_iommu, hwpt_cases
from cases_nvme import BAD_NVME_CASES, nvme_cases
from cases_topologies import topology_cases
from cases_windows import window_cases

PAGE = 12
# In the order in which weir tries them, for devices with and without an IOMMU; and what is said
# where the kernel hasn't got them.
INTERFACES = {"iommufd": ("/dev/iommu", "CONFIG_IOMMUFD"),
              "type1v2": ("type1 IOMMU", "vfio_iommu_type1"),
              "type1": ("type1 IOMMU", "vfio_iommu_type1"),
              "compat": ("/dev/iommu", "CONFIG_IOMMUFD"),
              "spaprv2": ("is for POWER alone",),
              "spapr": ("is for POWER alone",)}
NOT_ON_POWER = ("type1v2", "type1", "compat")
BARE_INTERFACES = ("iommufd-noiommu", "noiommu")


def is_elsewhere(machine, interface):
    """No kernel of such a machine can have it: it isn't even tried."""
    if "spaprv2" in machine.interfaces:
        return interface in NOT_ON_POWER
    return interface in ("spaprv2", "spapr")


# The machine itself.

def check_kernel(machine, outcome):
    """The kernel that is meant runs, with VFIO, and with an IOMMU if there is one."""
    if outcome.status:
        return f"exit status {outcome.status}"
    release, groups = outcome.stdout.split()
    if not re.search(machine.release, release):
        return f"not the machine's kernel: {release}"
    if machine.iommu != (int(groups) > 0):
        return f"it has {groups} IOMMU groups"
    return ""


def check_groups(machine, outcome):
    """Each device in the group that its slot must give."""
    groups = {name: set(members.split()) for name, _, members in
              (line.partition(" ") for line in outcome.stdout.splitlines())}
    for together in machine.groups:
        together = [f"WEIR_TEST_{name}" for name in together]
        want = {machine.devices[name] for name in together}
        for name in together:
            if groups.get(name) != want:
                return f"{name}'s group holds {groups.get(name)}, not {want}"
    return ended_well(machine, outcome)


MACHINE_CASES = [
    Case("kernel", "uname -r; ls /sys/kernel/iommu_groups | wc -l; [ -c /dev/vfio/vfio ]",
         check_kernel, needs=()),
]

# Where nothing is bound to VFIO.
BOARD_CASES = [Case("kernel", "uname -r; ls /sys/kernel/iommu_groups | wc -l", check_kernel,
                    needs=())]


def check_reserved(machine, outcome):
    """Where interrupts are written to nothing can be mapped; everything else is left."""
    regions, _, report = outcome.stdout.partition("{")
    kept = [tuple(int(text, 16) for text in line.split()[:2]) for line in regions.splitlines()
            if line.split()[2] != "direct-relaxable"]
    if machine.msi and machine.msi not in kept:
        return f"the kernel keeps {kept}, not {machine.msi}"
    ranges = [(int(found["first"], 16), int(found["last"], 16))
              for found in json.loads("{" + report)["weir"]["iova_ranges"]]
    for first, last in kept:
        if any(start <= last and first <= end for start, end in ranges):
            return f"{first:#x} to {last:#x} is in weir's {ranges}"
        if not any(end == first - 1 for _, end in ranges):
            return f"nothing ends before {first:#x}: {ranges}"
    return ended_well(machine, outcome)


def group_cases(machine):
    """Groups, and what the IOMMU keeps. Where devices are found by a device tree, a function gets
    its group when the first driver is tried with it."""
    names = " ".join(name for together in machine.groups for name in together)
    return [
        Case("groups", f"""
for name in {names}; do
	eval address=\\$WEIR_TEST_$name
	[ -e $PCI/$address/iommu_group ] || taken --force $address -- true
done
for name in {names}; do
	eval address=\\$WEIR_TEST_$name
	echo WEIR_TEST_$name $(ls $PCI/$address/iommu_group/devices)
done
""", check_groups),
        Case("reserved", """
kept_and_left() {
	cat $PCI/$WEIR_TEST_EDU/iommu_group/reserved_regions &&
		weir info --json $WEIR_TEST_EDU
}
taken $WEIR_TEST_EDU -- kept_and_left
""", check_reserved),
    ]


# A function whose group isn't known before it is bound; so it is only the first time.
LATE_GROUP_CASES = [refused("late-group", """
[ ! -e $PCI/$WEIR_TEST_MIXED_EDU/iommu_group ] || exit 96
weir info $WEIR_TEST_MIXED_EDU | grep -q 'weir bind' || exit 95
unchanged weir bind $WEIR_TEST_MIXED_EDU
""", "WEIR_TEST_MIXED_NVME", r"\(nvme\)", "--group", "was undone")]

TAKE_CASES = [Case(f"take-{name.lower()}", f"""
node_is_there() {{ test -c $(node_of $WEIR_TEST_{name}); }}
taken $WEIR_TEST_{name} -- node_is_there
""", ended_well) for name in ("EDU", "NVME")]


# weir list, weir info.

def check_list(machine, outcome):
    """A table that holds every device we put there."""
    absent = [address for address in machine.devices.values() if address not in outcome.stdout]
    if absent:
        return f"the table lacks {', '.join(absent)}"
    return ended_well(machine, outcome)


def check_list_json(machine, outcome):
    """The same, for programs."""
    value, why = parsed(outcome)
    if why:
        return why
    absent = set(machine.devices.values()) - set(strings(value))
    return f"the JSON lacks {', '.join(sorted(absent))}" if absent else ""


def check_info(machine, outcome):
    """The edu's ids are there."""
    value, why = parsed(outcome)
    if why:
        return why
    text = " ".join(strings(value)).lower()
    for part in ("1234", "11e8", machine.devices["WEIR_TEST_EDU"]):
        if part not in text:
            return f"the JSON lacks {part}"
    return ""


def check_interface(machine, outcome):
    """What the IOMMU can do: by the kernel, through weir, as the machine was built."""
    value, why = parsed(outcome)
    if why:
        return why
    weir = value["weir"]
    want = {"opened": True, "backend": machine.interfaces[0], "isolation": machine.iommu,
            "dirty_tracking": machine.dirty_tracking, "faults": False}
    for key, expect in want.items():
        if weir.get(key) != expect:
            return f"weir.{key} is {weir.get(key)}, not {expect}"
    features = ["low-power", "low-power-wakeup"]
    if (isinstance(machine.kernel, kernels.Kernel)
            and "CONFIG_VFIO_PCI_DMABUF" in kernels.fragment(machine.kernel)):
        features.append("dma-buf")
    if weir["features"] != features:
        return f"the features are {weir['features']}, not {features}"
    last = int(weir["iova_ranges"][-1]["last"], 16)
    if last != machine.iova_last:
        return f"IOVAs end at {last:#x}, not at {machine.iova_last:#x}"
    return check_iommu(machine, weir["iommu"])


def check_choice(interface, forced, machine, outcome):
    """-v says which interface it was, and why it wasn't one of those before."""
    if outcome.status:
        return f"exit status {outcome.status}"
    reason = f"not tried: {interface} is asked for" if forced else "doesn't work: "
    tried = [other for other in (INTERFACES if machine.iommu else BARE_INTERFACES)
             if not is_elsewhere(machine, other)]
    want = [f"{other} {reason}" for other in tried[:tried.index(interface)]]
    want.append(f"attached by {interface}")
    if machine.container == "iommufd" and interface.startswith("type1"):
        want.append("/dev/vfio/vfio is IOMMUFD's")
    for part in want:
        if part not in outcome.stderr:
            return f"stderr doesn't say '{part}'"
    return ""


def choice_cases(machine):
    """By itself, each by choice, and those that aren't there."""
    edu = f"$WEIR_TEST_EDU{machine.consent}"
    cases = [Case("info-taken", f"taken $WEIR_TEST_EDU -- weir info {edu} --json",
                  check_interface),
             Case("choice", f"taken $WEIR_TEST_EDU -- weir -v info {edu}",
                  functools.partial(check_choice, machine.interfaces[0], False)),
             bad_input("interface", "WEIR_IOMMU=type3 unchanged weir selftest $WEIR_TEST_EDU",
                       "WEIR_IOMMU", "type3", *INTERFACES, *BARE_INTERFACES)]
    for interface in (*INTERFACES, *BARE_INTERFACES):
        by_choice = f"WEIR_IOMMU={interface} taken $WEIR_TEST_EDU -- weir"
        if interface in machine.interfaces:
            cases.append(Case(f"choice-{interface}", f"{by_choice} -v info {edu}",
                              functools.partial(check_choice, interface, True)))
            continue
        why = INTERFACES.get(interface)
        if interface in NOT_ON_POWER and is_elsewhere(machine, interface):
            why = ("isn't on POWER",)
        elif (machine.iommu != (interface in INTERFACES)
              and not is_elsewhere(machine, interface)):
            why = (f"{interface}, which is asked for, is for devices "
                   f"{'without' if machine.iommu else 'with'} an IOMMU",)
        cases.append(bad_input(f"absent-{interface}", f"{by_choice} selftest {edu} --json", *why))
    return cases


# Without an IOMMU: neither by itself nor by the choice of the interface.
CONSENT_CASES = [bad_input(f"consent{name}", f"""
{choice}taken $WEIR_TEST_EDU -- unchanged weir selftest $WEIR_TEST_EDU --json
""", "WEIR_TEST_EDU", "all of this machine's memory", "--unsafe-noiommu")
    for name, choice in [("", "")] + [(f"-{interface}", f"WEIR_IOMMU={interface} ")
                                      for interface in BARE_INTERFACES]]


# Where interrupts aren't remapped, the administrator decides for each interface: what refuses a
# device makes way for what doesn't.
UNSAFE_INTERRUPT_CASES = [
    Case("choice-refused", """
switch=/sys/module/iommufd/parameters/allow_unsafe_interrupts
echo N > $switch
taken $WEIR_TEST_EDU -- weir -v info $WEIR_TEST_EDU
status=$?
echo Y > $switch
exit $status
""", functools.partial(check_choice, "type1v2", False)),
    bad_input("unsafe-interrupts", """
switches=$(ls /sys/module/*/parameters/allow_unsafe_interrupts)
for switch in $switches; do echo N > $switch; done
taken $WEIR_TEST_EDU -- unchanged weir selftest $WEIR_TEST_EDU --json
status=$?
for switch in $switches; do echo Y > $switch; done
exit $status
""", "WEIR_TEST_EDU", "allow_unsafe_interrupts"),
]

LOOKING_CASES = [
    Case("list", "unchanged weir list", check_list),
    Case("list-json", "unchanged weir list --json", check_list_json),
    Case("info-json", "unchanged weir info $WEIR_TEST_EDU --json", check_info),
    Case("info-json-nvme", "unchanged weir info $WEIR_TEST_NVME --json",
         lambda machine, outcome: parsed(outcome)[1]),
]


# weir selftest, over every interface.

def blocked_addresses(report):
    """The addresses that the step about blocked DMA names."""
    for step in report["steps"]:
        if step["name"] == "DMA outside the mapping is blocked":
            return [int(text, 16) for text in re.findall(r"0x[0-9a-f]+", step["why"], re.I)]
    return []


def not_loud(report):
    """Why a report from a machine without an IOMMU doesn't say that what must be blocked is not."""
    silent = [step["name"] for step in report["steps"] if step["name"].endswith("is blocked")
              and not step["why"].startswith("NOT BLOCKED")]
    return f"'{silent[0]}' doesn't say that it isn't" if silent else ""


def located(fault):
    """A fault whose device is told as a number, with the device's name for it."""
    if "number" not in fault:
        return fault
    number = int(fault["number"], 0)
    return {"device": f"{number >> 8:02x}:{number >> 3 & 0x1f:02x}.{number & 7}",
            "address": fault["address"]}


# What could be about a fault where the log is known not to tell.
LOUD = re.compile(r"fault|frozen|EEH|blocked|denied|invalid", re.I)


def fault_missing(report, address, kernel, pattern):
    """Why the kernel's log doesn't confirm that the IOMMU stopped the device; the
    selftest alone could be fooled, the IOMMU's own report can't."""
    named = blocked_addresses(report)
    if not named:
        return "'DMA outside the mapping is blocked' names no address"
    if not pattern:
        loud = [line for line in kernel if LOUD.search(line)]
        return f"the kernel's log, which says nothing here, says '{loud[0]}'" if loud else ""
    faults = [located(match.groupdict()) for match in pattern.finditer("\n".join(kernel))]
    for fault in faults:
        where = int(fault["address"], 16) >> PAGE if "address" in fault else None
        if address.endswith(fault.get("device", "")) and (
                where is None or where in {value >> PAGE for value in named}):
            return ""
    seen = ", ".join(" at ".join(fault.values()) for fault in faults) or "none"
    return (f"the kernel reported no DMA fault of {address} at "
            f"{' or '.join(f'{value:#x}' for value in named)} (reported: {seen})")


def check_selftest(test, device, interface, machine, outcome):
    """All steps pass but the listed ones, and the kernel saw the DMA that was stopped."""
    report, why = parsed(outcome, 0, 1)
    if why:
        return why
    impossible = expected.load(machine.name).get(test, {})
    why = expected.judge(report, interface, impossible)
    if why or outcome.status:
        return why or "exit status 1 though no step failed"
    address = machine.devices[device]
    if report.get("device") != address:
        return f"the report is about '{report.get('device')}', not {address}"
    if not machine.iommu and device != "WEIR_TEST_NVME":
        return not_loud(report)
    if "DMA outside the mapping is blocked" in impossible:
        return ""
    return fault_missing(report, address, outcome.kernel, machine.faults)


def selftest_case(kind, device, interface, consent=""):
    """One device over one interface."""
    name = f"selftest-{kind}-{interface}"
    wait = "" if kind == "nvme" or consent else "fault_log_ready\n"
    script = (f"{wait}WEIR_IOMMU={interface} taken ${device} -- "
              f"weir selftest ${device} --json{consent}")
    return Case(name, script, functools.partial(check_selftest, name, device, interface),
                limit=120)


def selftest_cases(machine, kinds=("edu", "nvme", "behind")):
    """Each kind of device over each interface that the machine has."""
    return [selftest_case(kind, f"WEIR_TEST_{kind.upper()}", interface, machine.consent)
            for interface in machine.interfaces for kind in kinds]


# Bad input.

def check_open_elsewhere(machine, outcome):
    """The complaint names the process that is in the way."""
    holder = re.search(r"^holder (\d+)$", outcome.stdout, re.M)
    if not holder:
        return "the background process did not start"
    return complaint(outcome, re.escape(machine.devices["WEIR_TEST_EDU"]), rf"\b{holder[1]}\b")


BAD_INPUT_CASES = [
    bad_input("address", "unchanged weir info 00:zz", r"00:zz"),
    bad_input("absent", "unchanged weir info 0000:7f:1f.7", r"0000:7f:1f\.7"),
    bad_input("not-pci", "[ -e /sys/bus/platform/devices/serial8250 ] || exit 96\n"
              "unchanged weir info serial8250", r"serial8250", r"\bPCI\b"),
    bad_input("not-bound", "unchanged weir selftest $WEIR_TEST_EDU --json",
              "WEIR_TEST_EDU", "vfio-pci"),
    bad_input("other-driver", "unchanged weir selftest $WEIR_TEST_NVME --json",
              "WEIR_TEST_NVME", r"\bbound to nvme\b", "vfio-pci"),
]

GROUP_BAD_INPUT_CASES = [
    bad_input("not-viable", "taken --force $WEIR_TEST_MIXED_EDU -- "
              "unchanged weir selftest $WEIR_TEST_MIXED_EDU --json",
              "WEIR_TEST_MIXED_EDU", "WEIR_TEST_MIXED_NVME", r"\bnvme\b"),
    bad_input("not-allowed", "taken $WEIR_TEST_EDU -- "
              "unchanged as_nobody weir selftest $WEIR_TEST_EDU --json",
              "WEIR_TEST_EDU", r"\broot\b|\bmode\b"),
    Case("bad-open-elsewhere", """
blocked() {
	sleep 1000 3<> /dev/vfio/$(group_of $WEIR_TEST_EDU) &
	holder=$!
	echo "holder $holder"
	usleep 300000
	unchanged weir selftest $WEIR_TEST_EDU --json
	blocked_status=$?
	kill $holder
	wait $holder 2>/dev/null
	return $blocked_status
}
taken $WEIR_TEST_EDU -- blocked
""", check_open_elsewhere),
]


# POWER's extended error handling.

def check_eeh(machine, outcome):
    """The device works after the reset."""
    value, why = parsed(outcome)
    want = {"device": machine.devices["WEIR_TEST_EDU"], "backend": machine.interfaces[0],
            "state": "normal", "reset": "hot"}
    return why or ("" if value == want else f"{value}, not {want}")


def eeh_cases(machine):
    """Where there is POWER's IOMMU: a reset by it, or that it can't."""
    if "spaprv2" not in machine.interfaces:
        return []
    if machine.eeh:
        return [Case("eeh-reset", "taken $WEIR_TEST_EDU -- "
                     "weir eeh --reset hot --json $WEIR_TEST_EDU", check_eeh)]
    return [bad_input("eeh", "taken $WEIR_TEST_EDU -- unchanged weir eeh $WEIR_TEST_EDU",
                      "WEIR_TEST_EDU", "this host has no EEH")]


# The machine is as it was: the last case.

def check_given_back(machine, outcome):
    """Each on the kernel's own driver if it has one, no override left."""
    state = {}
    for line in outcome.stdout.splitlines():
        address, _, rest = line.partition(" ")
        state[address] = rest.split()
    for name, address in machine.devices.items():
        want = [machine.settle[address]] if address in machine.settle else []
        want.append("(null)")
        if state.get(address) != want:
            return f"{name} {address}: driver and override are {state.get(address)}, not {want}"
    return ""


LAST_CASES = [Case("given-back", "drivers", check_given_back, needs=())]


# Programs of the build that test from inside, one case each, one verdict per test in it.

def split_tap(outcome):
    """Each test of a cmocka program."""
    return tap.parse(outcome.stdout)[0]


def check_program(_machine, outcome):
    """The program itself: it ran to its end and reported what it planned."""
    results, planned = tap.parse(outcome.stdout)
    why = tap.missing(results, planned)
    failed = [name for name, result, _ in results if result == "fail"]
    if outcome.status and not failed:
        why = f"exit status {outcome.status} though no test failed; {why}".rstrip("; ")
    if failed and not outcome.status:
        why = f"exit status 0 though {len(failed)} tests failed"
    return why


def taken(devices):
    """What a command is to be started by to have these devices at hand."""
    return f"taken {' '.join(f'$WEIR_TEST_{device}' for device in devices)} -- " if devices else ""


def program_case(name, devices):
    """One program of the build, with the devices that it wants at hand, if any."""
    return Case(f"guest/{name}",
                f"export CMOCKA_MESSAGE_OUTPUT=TAP\n{taken(devices)}/tests/{name}",
                check_program, limit=300, split=split_tap,
                needs=("tools/weir/weir", f"tests/vm/guest/{name}"))


# The kernel's own tests, one case for each device that a program is tried with.

def kernel_results(name, outcome):
    """[(test, result, why)], and why the whole isn't as the stored list has it."""
    return expected.judge_tests(name, tap.parse_kernel(outcome.stdout), outcome.status)


def kernel_case(command, device):
    """One program. What its tests must come to is in expected/kernel-tests.json."""
    devices = [device] if device else []
    name = "-".join(["kernel", command.split()[0], *map(str.lower, devices)])
    arguments = " ".join([command, *(f"$WEIR_TEST_{device}" for device in devices)])
    return Case(name, f"cd /tmp && {taken(devices)}/tests/kernel/{arguments}",
                lambda _machine, outcome: kernel_results(name, outcome)[1], limit=120,
                split=lambda outcome: kernel_results(name, outcome)[0])


def spread(waiting, others):
    """Those that wait until the kernel's log is quiet, with others between them meanwhile."""
    found = []
    for i, case in enumerate(waiting):
        found += [case, *others[i * len(others) // len(waiting):
                                (i + 1) * len(others) // len(waiting)]]
    return found or others


def command_cases(machine):
    """Those of the command weir."""
    found = TAKE_CASES + LOOKING_CASES
    if machine.thorough:
        found += BAD_INPUT_CASES + GROUP_BAD_INPUT_CASES + BAD_NVME_CASES
    if machine.iommu:
        found += group_cases(machine)
    found += window_cases(machine)
    found += choice_cases(machine) + ([] if machine.iommu else CONSENT_CASES)
    if machine.unsafe_interrupts:
        found += UNSAFE_INTERRUPT_CASES
    found += selftest_cases(machine, ("nvme",)) + nvme_cases(machine) + bench_cases(machine)
    found += eeh_cases(machine) + hwpt_cases(machine)
    return spread(selftest_cases(machine, ("edu", "behind")), found)


def of_machine(machine):
    """Its cases, in the order in which they run."""
    found = every_case(machine)
    if not machine.only:
        return found
    return [case for case in found
            if any(fnmatch.fnmatchcase(case.name, pattern) for pattern in machine.only)]


def every_case(machine):
    """Those that it could run."""
    if machine.board:
        return BOARD_CASES + topology_cases(machine) + LAST_CASES
    found = list(BIND_CASES if machine.bind else MACHINE_CASES)
    found += doctor_cases(machine)      # before a driver is tried, where that makes groups
    if machine.late_groups:
        found += LATE_GROUP_CASES
    if machine.command:
        found += command_cases(machine)
    found += [program_case(name, devices) for name, devices in machine.programs.items()]
    found += [kernel_case(command, device) for command, devices in machine.selftests.items()
              for device in devices]
    return found + LAST_CASES
