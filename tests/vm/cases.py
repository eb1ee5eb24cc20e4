# SPDX-License-Identifier: MIT
"""The cases: what runs in the guest, and what must have come of it.

A case's script runs in busybox's shell with helpers.sh loaded; its check looks at the
outcome on the host and returns why it is wrong, or nothing. What goes for every case
(time, kernel trouble, the machine left as it was found) is in verdicts.py.
"""

import dataclasses
import functools
import json
import re
from collections.abc import Callable
from pathlib import Path

import expected
import tap

BDF = r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]"
DMAR_FAULT = re.compile(r"DMAR: \[DMA (?:Read|Write)[^\]]*\] Request device \[([0-9a-f:.]+)\] "
                        r"fault addr (0x[0-9a-f]+)")
PAGE = 12


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing that runs in a machine.

    `split` makes further verdicts, (name, result, why), out of one outcome; `needs` are the
    executables of the build that it runs.
    """

    name: str
    script: str
    check: Callable
    limit: int = 60
    split: Callable = None
    needs: tuple = ("tools/weir/weir",)


# What several checks ask.

def ended_well(_machine, outcome):
    """The script's last word was 0."""
    if outcome.status:
        return f"exit status {outcome.status}"
    return ""


def parsed(outcome, *statuses):
    """(the JSON on stdout, why it isn't there); the exit status must be 0 or one of those."""
    if outcome.status not in (statuses or (0,)):
        return None, f"exit status {outcome.status}"
    try:
        return json.loads(outcome.stdout), ""
    except ValueError as error:
        return None, f"stdout is not JSON: {error}"


def strings(value):
    """Every string and number of a JSON value, numbers also as hex."""
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in strings(part)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [str(value)] + ([f"{value:#06x}"] if isinstance(value, int) else [])


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


# weir nvme: data, through weir and through the kernel's own driver.

def check_identify(machine, outcome):
    """What QEMU was told, and its controller says."""
    value, why = parsed(outcome)
    if why:
        return why
    want = {"device": machine.devices["WEIR_TEST_NVME"], "backend": "type1v2",
            "model": "QEMU NVMe Ctrl", "serial": "weir0"}
    for key, expect in want.items():
        if value.get(key) != expect:
            return f"{key} is {value.get(key)}, not {expect}"
    got = [(ns["id"], ns["block_size"], ns["blocks"]) for ns in value["namespaces"]]
    if got != [(1, 512, 131072), (2, 4096, 16384)]:
        return f"namespaces (number, block size, blocks) are {got}"
    return ""


def check_readme(_machine, outcome):
    """README.md shows what is printed, but for the version of QEMU."""
    def without_version(text):
        return re.sub(r"(?m)^(firmware +)\S+$", r"\1", text)
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    shown = re.search(r"^<!-- the output of: weir nvme identify .*-->\n```\n(.*?)^```$", readme,
                      re.M | re.S)
    if outcome.status or not shown:
        return f"exit status {outcome.status}" if shown else "README.md has no such output"
    if without_version(shown[1]) != without_version(outcome.stdout):
        return "README.md shows something else"
    return ""


def check_bench(interface, phases, blocks, _machine, outcome):
    """It ran over that interface, and what was read is what was written."""
    value, why = parsed(outcome)
    if why:
        return why
    got = [phase["op"] for phase in value["phases"] if phase["commands"]]
    if value["backend"] != interface or got != phases:
        return f"{value['backend']}: {got}, not {interface}: {phases}"
    if value["irq"] and value["phases"][-1]["latency_us"]["p50"] > 50000:
        return "without interrupts the driver looks every 100 ms, and this is what it did"
    want = {"blocks": blocks, "wrong": 0, "first_wrong": None} if blocks else None
    return "" if value["verified"] == want else f"verified is {value['verified']}, not {want}"


def nvme_case(name, interface, script, check=ended_well):
    """One with the NVMe on vfio-pci for the commands after `by_weir`."""
    return Case(f"nvme-{name}-{interface}", f"""
by_weir() {{
	WEIR_IOMMU={interface} taken $WEIR_TEST_NVME -- "$@" || exit
}}
{script}
""", check, limit=120)


def bench_case(name, interface, options, phases, blocks):
    """weir nvme bench with these options."""
    return nvme_case(name, interface,
                     f"by_weir weir nvme bench {options} --json $WEIR_TEST_NVME",
                     functools.partial(check_bench, interface, phases, blocks))


# One writes, the other reads, at odd places and over a length that isn't a power of two.
NVME_TO_KERNEL = """
for namespace in 1:512 2:4096; do
	size=${namespace#*:} namespace=${namespace%:*}
	dd if=/dev/urandom of=/tmp/data bs=$size count=777 2>/dev/null || exit
	by_weir weir nvme write --namespace $namespace --lba 13 --yes --file /tmp/data \\
		$WEIR_TEST_NVME
	dd if=$(nvme_node weir0 $namespace) bs=$size skip=13 count=777 2>/dev/null |
		cmp - /tmp/data || exit
done
"""
NVME_FROM_KERNEL = """
for namespace in 1:512 2:4096; do
	size=${namespace#*:} namespace=${namespace%:*}
	dd if=/dev/urandom of=/tmp/data bs=$size count=999 2>/dev/null || exit
	node=$(nvme_node weir0 $namespace) || exit
	dd if=/tmp/data of=$node bs=$size seek=1001 conv=fsync 2>/dev/null || exit
	by_weir weir nvme read --irq --namespace $namespace --lba 1001 --blocks 999 \
		--file /tmp/back $WEIR_TEST_NVME
	cmp /tmp/data /tmp/back || exit
done
"""
# What bench has written, too; and it must have been something.
NVME_BENCH_KERNEL = """
by_weir weir nvme bench --verify --yes --blocks 2048 --block-size 64K $WEIR_TEST_NVME
by_weir weir nvme read --lba 0 --blocks 2048 --file /tmp/back $WEIR_TEST_NVME
dd if=$(nvme_node weir0 1) bs=512 count=2048 2>/dev/null | cmp - /tmp/back || exit
[ $(tr -d '\\0' < /tmp/back | wc -c) -gt 1000000 ]
"""

NVME_CASES = [case for interface in ("type1v2", "type1") for case in (
    bench_case("verify", interface, "--verify --yes --blocks 8192", ["write", "read"], 8192),
    bench_case("verify-irq", interface, "--verify --yes --random --irq --namespace 2 --lba 100 "
               "--blocks 4096 --block-size 128K --depth 7", ["write", "read"], 4096),
    bench_case("read", interface, "--random --time 1 --depth 64", ["read"], 0),
    nvme_case("to-kernel", interface, NVME_TO_KERNEL),
    nvme_case("from-kernel", interface, NVME_FROM_KERNEL),
)]
NVME_CASES += [
    nvme_case("identify", "type1v2", "by_weir weir nvme identify --json $WEIR_TEST_NVME",
              check_identify),
    nvme_case("readme", "type1v2", "by_weir weir nvme identify $WEIR_TEST_NVME", check_readme),
    nvme_case("bench-kernel", "type1v2", NVME_BENCH_KERNEL),
]


# Bad input: exit 2, one sentence that names the thing, the cause and the cure, nothing done.

def complaint(outcome, *parts):
    """Why stderr isn't that one sentence; `parts` are patterns that must be in it."""
    if outcome.status != 2:
        return f"exit status {outcome.status}, not 2"
    lines = outcome.stderr.strip("\n").split("\n")
    if len(lines) != 1 or not lines[0].startswith("weir: "):
        return "stderr is not one sentence that starts with 'weir: '"
    for part in parts:
        if not re.search(part, lines[0], re.I):
            return f"stderr doesn't say '{part}'"
    return ""


def unopened(outcome):
    """A program is told the same: the step 'open' failed, and no other was tried."""
    try:
        steps = json.loads(outcome.stdout)["steps"]
    except ValueError as error:
        return f"stdout is not JSON: {error}"
    if steps[0]["result"] != "fail" or f"weir: {steps[0]['why']}" != outcome.stderr.strip():
        return f"the step 'open' is {steps[0]}"
    if any(step["result"] != "impossible" for step in steps[1:]):
        return "a step after 'open' was tried"
    return ""


def bad_input(name, script, *parts):
    """A case whose complaint needs only text and the machine's addresses."""
    def check(machine, outcome):
        why = complaint(outcome, *(re.escape(machine.devices[part]) if part in machine.devices
                                   else part for part in parts))
        return why or (unopened(outcome) if "--json" in script else "")
    return Case(f"bad-{name}", script, check)


def bad_nvme(name, what, *parts):
    """A case of weir nvme; whatever it was told, the disk is as before."""
    command = what if "weir nvme" in what else (
        f"taken $WEIR_TEST_NVME -- weir nvme {what} $WEIR_TEST_NVME")
    return bad_input(f"nvme-{name}", f"""
dd if=/dev/urandom of=/tmp/data bs=512 count=9 2>/dev/null
dd if=/tmp/data of=/tmp/odd bs=1000 count=1 2>/dev/null
dd if=$(nvme_node weir0 1) of=/tmp/disk bs=1M count=2 2>/dev/null || exit 94
{command}
status=$?
dd if=$(nvme_node weir0 1) bs=1M count=2 2>/dev/null | cmp - /tmp/disk >&2 || exit 95
exit $status
""", *parts)


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
    bad_input("nvme-edu", "taken $WEIR_TEST_EDU -- weir nvme identify $WEIR_TEST_EDU",
              "WEIR_TEST_EDU", r"class is 0x00ff00"),
    bad_nvme("not-bound", "unchanged weir nvme identify $WEIR_TEST_NVME",
             "WEIR_TEST_NVME", "vfio-pci"),
    bad_nvme("namespace", "read --namespace 9 --lba 0 --blocks 1",
             "WEIR_TEST_NVME", r"no namespace 9"),
    bad_nvme("lba", "read --lba 131072 --blocks 1",
             "WEIR_TEST_NVME", r"LBA 131072", r"ends at LBA 131071"),
    bad_nvme("end", "read --lba 131071 --blocks 2",
             "WEIR_TEST_NVME", r"2 blocks", r"LBA 131071"),
    bad_nvme("depth", "bench --depth 5000", "WEIR_TEST_NVME", r"5000", r"1 to \d+"),
    bad_nvme("block-size", "bench --namespace 2 --block-size 512",
             "WEIR_TEST_NVME", r"512", r"4096"),
    bad_nvme("transfer", "bench --block-size 4M", "WEIR_TEST_NVME", r"4194304"),
    bad_nvme("consent", "write --lba 3 --file /tmp/data",
             "WEIR_TEST_NVME", r"LBA 3 to 11", r"4608 B", r"--yes"),
    bad_nvme("consent-bench", "bench --verify --blocks 100",
             "WEIR_TEST_NVME", r"LBA 0 to 95", r"--yes"),
    bad_nvme("odd-file", "write --lba 0 --yes --file /tmp/odd", r"/tmp/odd", r"1000 bytes"),
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


# weir bind, weir release: what they do, and what they refuse.

def refused(name, script, *parts):
    """Exit 1, one sentence with these parts, nothing changed."""
    def check(machine, outcome):
        if outcome.status != 1:
            return f"exit status {outcome.status}, not 1"
        lines = outcome.stderr.strip("\n").split("\n")
        for part in parts:
            part = re.escape(machine.devices[part]) if part in machine.devices else part
            if len(lines) != 1 or not re.search(part, lines[0]):
                return f"stderr isn't one sentence with '{part}'"
        return ""
    return Case(f"bind-{name}", script, check)


def done(name, script, *parts):
    """Exit 0, and these parts on stdout."""
    def check(_machine, outcome):
        absent = [part for part in parts if not re.search(part, outcome.stdout)]
        return ended_well(_machine, outcome) or (f"stdout lacks {absent}" if absent else "")
    return Case(f"bind-{name}", "set -e\n" + script, check)


def check_steps(machine, outcome):
    """The steps for programs: that of the NVMe in their order, and nothing done."""
    value, why = parsed(outcome)
    if why:
        return why
    nvme = machine.devices["WEIR_TEST_NVME"]
    want = [("override", nvme, None, "vfio-pci"), ("unbind", nvme, "nvme", None),
            ("bind", nvme, None, "vfio-pci")]
    steps = [(step["action"], step["subject"], step["from"], step["to"])
             for step in value["steps"] if step["action"] != "load"]
    return "" if (steps, value["done"]) == (want, False) else f"the steps are {value}"


def check_owned(_machine, outcome):
    """The user opens the device, and nobody's rights outlive the release."""
    value, why = parsed(outcome)
    return why or ("" if value["weir"]["opened"] else f"not opened: {value['weir']['why']}")


# With a file system or swap on the disk; whatever came of it, that is ended again.
BUSY_DISK = """
disk=$(ls -d $PCI/$WEIR_TEST_NVME/nvme/nvme*/nvme*n1) && disk=/dev/${disk##*/}
mkdir -p /mnt
"""
INTERFACE = "net=$(ls $PCI/$WEIR_TEST_NIC/net)\n"

BIND_CASES = [
    done("modules", """
[ ! -e /sys/module/vfio ]
taken $WEIR_TEST_EDU -- test -c /dev/vfio/$(group_of $WEIR_TEST_EDU)
[ -e /sys/module/vfio_pci ] && [ -e /sys/module/vfio_iommu_type1 ]
"""),
    done("none", """
weir bind $WEIR_TEST_EDU
[ "$(driver_of $WEIR_TEST_EDU)" = vfio-pci ]
weir bind $WEIR_TEST_EDU
weir release $WEIR_TEST_EDU
weir release $WEIR_TEST_EDU
[ ! -e /var/lib/weir/journal ]
""", "nothing is to be done", "isn't bound by 'weir bind'"),
    done("nvme", BUSY_DISK + """
echo what was there > $disk
weir bind $WEIR_TEST_NVME
[ "$(driver_of $WEIR_TEST_NVME)" = vfio-pci ] && [ ! -e $disk ]
weir release $WEIR_TEST_NVME
[ "$(driver_of $WEIR_TEST_NVME)" = nvme ]
tries=50
until [ -e $disk ] || [ $tries = 0 ]; do usleep 100000; tries=$((tries - 1)); done
head -n 1 $disk
""", "what was there"),
    Case("bind-json", "unchanged weir bind --dry-run --json $WEIR_TEST_NVME", check_steps),
    done("info", "weir info $WEIR_TEST_MIXED_EDU", r"weir bind 0000:00:06\.0 --group"),
    refused("group-needed", "unchanged weir bind $WEIR_TEST_MIXED_EDU",
            "WEIR_TEST_MIXED_NVME", r"\(nvme\)", "--group"),
    done("group", """
weir bind --group $WEIR_TEST_MIXED_EDU
[ "$(driver_of $WEIR_TEST_MIXED_NVME)" = vfio-pci ]
weir selftest $WEIR_TEST_MIXED_EDU
weir release --all
""", r"0 failed"),
    refused("mounted", BUSY_DISK + """
mke2fs $disk > /dev/null && mount -t ext2 $disk /mnt || exit 96
unchanged weir bind $WEIR_TEST_NVME
status=$?
umount /mnt
exit $status
""", "WEIR_TEST_NVME", r"nvme\dn1 is mounted on /mnt \(/proc/self/mountinfo\)"),
    refused("partition", BUSY_DISK + """
dd if=/dev/zero of=$disk bs=1M count=4 2> /dev/null
printf 'n\\np\\n1\\n\\n\\nw\\n' | fdisk $disk > /dev/null 2>&1
mke2fs ${disk}p1 > /dev/null && mount -t ext2 ${disk}p1 /mnt || exit 96
unchanged weir bind $WEIR_TEST_NVME
status=$?
umount /mnt
exit $status
""", r"nvme\dn1p1 is mounted on /mnt"),
    refused("swap", BUSY_DISK + """
mkswap $disk > /dev/null && swapon $disk || exit 96
unchanged weir bind $WEIR_TEST_NVME
status=$?
swapoff $disk
exit $status
""", r"nvme\dn1 is swap \(/proc/swaps\)"),
    refused("namespace", BUSY_DISK + """
mke2fs $disk > /dev/null || exit 96
unshare -m sh -c "mount -t ext2 $disk /mnt && touch /tmp/mounted && exec sleep 1000" &
holder=$!
for try in 1 2 3 4 5 6 7 8 9; do [ -e /tmp/mounted ] || sleep 1; done
unchanged weir bind $WEIR_TEST_NVME
status=$?
kill $holder
wait $holder 2> /dev/null
exit $status
""", r"/dev/nvme\dn1(p1)? is held exclusively"),
    refused("network", INTERFACE + """
ip addr add 192.0.2.1/32 dev $net && ip link set $net up || exit 96
unchanged weir bind $WEIR_TEST_NIC
status=$?
ip addr flush dev $net
ip link set $net down
exit $status
""", "WEIR_TEST_NIC", "has an address", r"net/\w+/flags"),
    refused("route", INTERFACE + """
ip addr add 192.0.2.1/24 dev $net && ip link set $net up || exit 96
ip route add default via 192.0.2.2 || exit 96
unchanged weir bind $WEIR_TEST_NIC
status=$?
ip addr flush dev $net
ip link set $net down
exit $status
""", "WEIR_TEST_NIC", r"default route.*\(/proc/net/route\)"),
    done("network-down", INTERFACE + """
ip link set $net up
ip link set $net down
taken $WEIR_TEST_NIC -- true
ip addr add 192.0.2.1/24 dev $(ls $PCI/$WEIR_TEST_NIC/net)
ip link set $(ls $PCI/$WEIR_TEST_NIC/net) up
taken --force $WEIR_TEST_NIC -- true
"""),
    refused("console", "unchanged weir bind $WEIR_TEST_SCREEN",
            "WEIR_TEST_SCREEN", "first graphics", "boot_vga"),
    done("console-forced", "taken --force $WEIR_TEST_SCREEN -- true"),
    Case("bind-owner", """
weir bind --owner nobody $WEIR_TEST_EDU > /dev/null || exit 96
as_nobody weir info --json $WEIR_TEST_EDU
status=$?
ls -ln /dev/vfio/$(group_of $WEIR_TEST_EDU) | grep -q '^crw------- .* 65534  *0 ' || status=95
weir release $WEIR_TEST_EDU > /dev/null || exit 96
exit $status
""", check_owned),
    done("owner-group", """
weir bind --owner :nogroup $WEIR_TEST_EDU
ls -ln /dev/vfio/$(group_of $WEIR_TEST_EDU) | grep '^crw-rw---- .* 0  *65534 '
weir release --all
"""),
    done("at-once", """
for round in 1 2 3; do
	for device in $WEIR_TEST_EDU $WEIR_TEST_NVME $WEIR_TEST_NVME; do
		(weir bind $device || echo failed > /tmp/failed) &
	done
	wait
	[ ! -e /tmp/failed ]
	[ "$(driver_of $WEIR_TEST_EDU)$(driver_of $WEIR_TEST_NVME)" = vfio-pcivfio-pci ]
	for device in $WEIR_TEST_EDU $WEIR_TEST_NVME $WEIR_TEST_NVME; do
		(weir release $device || echo failed > /tmp/failed) &
	done
	wait
	[ ! -e /tmp/failed ]
	[ "$(driver_of $WEIR_TEST_EDU)$(driver_of $WEIR_TEST_NVME)" = nvme ]
done
"""),
    refused("open", """
weir bind $WEIR_TEST_EDU > /dev/null || exit 96
sleep 1000 3<> /dev/vfio/$(group_of $WEIR_TEST_EDU) &
holder=$!
usleep 300000
unchanged weir release $WEIR_TEST_EDU
status=$?
kill $holder
wait $holder 2> /dev/null
weir release $WEIR_TEST_EDU > /dev/null || exit 96
exit $status
""", "WEIR_TEST_EDU", r"process \d+ \(sleep\) has it open"),
    done("restarted", """
weir bind $WEIR_TEST_EDU
sed -i 's/^boot .*/boot another/' /var/lib/weir/journal
weir release --all
[ ! -e /var/lib/weir/journal ]
echo > $PCI/$WEIR_TEST_EDU/driver_override
echo $WEIR_TEST_EDU > /sys/bus/pci/drivers/vfio-pci/unbind
""", "forget .*the machine was restarted"),
    bad_input("bind-bridge", "unchanged weir bind $WEIR_TEST_PORT", "WEIR_TEST_PORT", "bridge"),
    bad_input("bind-nobody", "unchanged as_nobody weir bind $WEIR_TEST_EDU", "/var/lib/weir"),
    bad_input("bind-owner", "unchanged weir bind --owner ghost $WEIR_TEST_EDU", "ghost"),
]


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
               + BAD_INPUT_CASES
               if machine.command else [])
    return ((BIND_CASES if machine.bind else MACHINE_CASES) + command
            + [program_case(name, devices) for name, devices in machine.programs.items()]
            + LAST_CASES)
