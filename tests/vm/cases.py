# SPDX-License-Identifier: MIT
"""The cases: what runs in the guest, and what must have come of it.

A case's script runs in busybox's shell with helpers.sh loaded; its check looks at the
outcome on the host and returns why it is wrong, or nothing. What goes for every case
(time, kernel trouble, the machine left as it was found) is in verdicts.py.
"""

import functools
import re

import expected
import tap
from case import Case, bad_input, complaint, ended_well, parsed, strings
from cases_bind import BIND_CASES
from cases_nvme import BAD_NVME_CASES, NVME_CASES

PAGE = 12
DMAR_FAULT = re.compile(r"DMAR: \[DMA (?:Read|Write)[^\]]*\] Request device \[([0-9a-f:.]+)\] "
                        r"fault addr (0x[0-9a-f]+)")


# The machine itself.

def check_kernel(_machine, outcome):
    """A Debian kernel runs, with VFIO and an IOMMU."""
    if outcome.status:
        return f"exit status {outcome.status}"
    lines = outcome.stdout.split()
    if not lines or "deb13" not in lines[0]:
        return f"not a packaged kernel of Debian 13: {lines[:1]}"
    return ""


def check_groups(machine, outcome):
    """Each device in the group that its slot must give."""
    groups = {name: set(members.split()) for name, _, members in
              (line.partition(" ") for line in outcome.stdout.splitlines())}
    names = machine.devices
    alone = (("WEIR_TEST_EDU",), ("WEIR_TEST_NVME",),
             ("WEIR_TEST_PAIR0", "WEIR_TEST_PAIR1"),
             ("WEIR_TEST_MIXED_EDU", "WEIR_TEST_MIXED_NVME"),
             ("WEIR_TEST_PORT", "WEIR_TEST_BEHIND"))
    for together in alone:
        want = {names[name] for name in together}
        for name in together:
            if groups.get(name) != want:
                return f"{name}'s group holds {groups.get(name)}, not {want}"
    return ended_well(machine, outcome)


MACHINE_CASES = [
    Case("kernel", "uname -r; ls /sys/kernel/iommu_groups | grep -q . && [ -c /dev/vfio/vfio ]",
         check_kernel, needs=()),
]

COMMAND_MACHINE_CASES = [
    Case("groups", """
for name in EDU NVME PAIR0 PAIR1 MIXED_EDU MIXED_NVME PORT BEHIND; do
	eval address=\\$WEIR_TEST_$name
	echo WEIR_TEST_$name $(ls $PCI/$address/iommu_group/devices)
done
""", check_groups, needs=()),
    Case("take-edu", "taken $WEIR_TEST_EDU -- test -c /dev/vfio/$(group_of $WEIR_TEST_EDU)",
         ended_well),
    Case("take-nvme", "taken $WEIR_TEST_NVME -- test -c /dev/vfio/$(group_of $WEIR_TEST_NVME)",
         ended_well),
]


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
    want = {"opened": True, "backend": "type1v2", "isolation": True, "dirty_tracking": "all",
            "faults": False}
    for key, expect in want.items():
        if weir.get(key) != expect:
            return f"weir.{key} is {weir.get(key)}, not {expect}"
    last = int(weir["iova_ranges"][-1]["last"], 16)
    if last != machine.iova_last:
        return f"IOVAs end at {last:#x}, not at {machine.iova_last:#x}"
    return ""


def check_choice(_machine, outcome):
    """-v says which interface it was, and why not another."""
    if outcome.status:
        return f"exit status {outcome.status}"
    for part in ("type1v2 not tried: type1 is asked for", "attached by type1"):
        if part not in outcome.stderr:
            return f"stderr doesn't say '{part}'"
    return ""


LOOKING_CASES = [
    Case("info-taken", "taken $WEIR_TEST_EDU -- weir info $WEIR_TEST_EDU --json",
         check_interface),
    Case("choice", "WEIR_IOMMU=type1 taken $WEIR_TEST_EDU -- weir -v info $WEIR_TEST_EDU",
         check_choice),
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


def fault_missing(report, address, kernel):
    """Why the kernel's log doesn't confirm that the IOMMU stopped the device; the
    selftest alone could be fooled, the IOMMU's own report can't."""
    named = blocked_addresses(report)
    if not named:
        return "'DMA outside the mapping is blocked' names no address"
    faults = [(device, int(text, 16)) for device, text in
              DMAR_FAULT.findall("\n".join(kernel))]
    for device, fault in faults:
        if address.endswith(device) and fault >> PAGE in {value >> PAGE for value in named}:
            return ""
    seen = ", ".join(f"{device} at {fault:#x}" for device, fault in faults) or "none"
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
    if "DMA outside the mapping is blocked" in impossible:
        return ""
    return fault_missing(report, address, outcome.kernel)


def selftest_case(kind, device, interface):
    """One device over one interface."""
    name = f"selftest-{kind}-{interface}"
    wait = "" if kind == "nvme" else "fault_log_ready\n"
    script = f"{wait}WEIR_IOMMU={interface} taken ${device} -- weir selftest ${device} --json"
    return Case(name, script, functools.partial(check_selftest, name, device, interface),
                limit=120)


SELFTEST_CASES = [selftest_case(kind, device, interface)
                  for interface in ("type1v2", "type1")
                  for kind, device in (("edu", "WEIR_TEST_EDU"), ("nvme", "WEIR_TEST_NVME"),
                                       ("behind", "WEIR_TEST_BEHIND"))]


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


# The machine is as it was: the last case.

def check_given_back(machine, outcome):
    """Each on the kernel's own driver if it has one, no override left."""
    state = {}
    for line in outcome.stdout.splitlines():
        address, _, rest = line.partition(" ")
        state[address] = rest.split()
    for name, address in machine.devices.items():
        drivers = {"NVME": ["nvme"], "PORT": ["pcieport"], "NET": ["virtio-pci"],
                   "NIC": ["e1000e"]}
        want = drivers.get(name.rpartition("_")[2], []) + ["(null)"]
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


def program_case(name, devices):
    """One program of the build, with the devices that it wants at hand, if any."""
    taken = f"taken {' '.join(f'$WEIR_TEST_{device}' for device in devices)} -- "
    return Case(f"guest/{name}",
                f"export CMOCKA_MESSAGE_OUTPUT=TAP\n{taken if devices else ''}/tests/{name}",
                check_program, limit=300, split=split_tap,
                needs=("tools/weir/weir", f"tests/vm/guest/{name}"))


def of_machine(machine):
    """Its cases, in the order in which they run."""
    command = (COMMAND_MACHINE_CASES + LOOKING_CASES + SELFTEST_CASES + NVME_CASES
               + BAD_INPUT_CASES + BAD_NVME_CASES
               if machine.command else [])
    return ((BIND_CASES if machine.bind else MACHINE_CASES) + command
            + [program_case(name, devices) for name, devices in machine.programs.items()]
            + LAST_CASES)
