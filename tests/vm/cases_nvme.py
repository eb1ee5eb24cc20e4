# SPDX-License-Identifier: MIT
"""The cases of weir nvme: data, through weir and through the kernel's own driver."""

import functools
import re
from pathlib import Path

from case import Case, bad_input, ended_well, parsed


def check_identify(interface, machine, outcome):
    """What QEMU was told, and its controller says."""
    value, why = parsed(outcome)
    if why:
        return why
    want = {"device": machine.devices["WEIR_TEST_NVME"], "backend": interface,
            "model": "QEMU NVMe Ctrl", "serial": "weir0"}
    for key, expect in want.items():
        if value.get(key) != expect:
            return f"{key} is {value.get(key)}, not {expect}"
    got = [(ns["id"], ns["block_size"], ns["blocks"]) for ns in value["namespaces"]]
    if got != [(1, 512, 131072), (2, 4096, 16384)]:
        return f"namespaces (number, block size, blocks) are {got}"
    return ""


def check_readme(_machine, outcome):
    """README.md shows what is printed, but for the interface and the version of QEMU."""
    def specific_to_none(text):
        text = re.sub(r"(?m)^(controller .* by ).*$", r"\1", text)
        return re.sub(r"(?m)^(firmware +)\S+$", r"\1", text)
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    shown = re.search(r"^<!-- the output of: weir nvme identify .*-->\n```\n(.*?)^```$", readme,
                      re.M | re.S)
    if outcome.status or not shown:
        return f"exit status {outcome.status}" if shown else "README.md has no such output"
    if specific_to_none(shown[1]) != specific_to_none(outcome.stdout):
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


def nvme_case(name, interface, consent, script, check=ended_well):
    """One with the NVMe on vfio-pci for the commands after `by_weir`, each with `consent`."""
    return Case(f"nvme-{name}-{interface}", f"""
by_weir() {{
	WEIR_IOMMU={interface} taken $WEIR_TEST_NVME -- "$@"{consent} || exit
}}
{script}
""", check, limit=120)


def bench_case(name, interface, consent, options, phases, blocks):
    """weir nvme bench with these options."""
    return nvme_case(name, interface, consent,
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


def nvme_cases(machine):
    """What bench writes, over each interface; to and from the kernel's driver over those that
    share least, which are the one that weir takes by itself, type1v2 and noiommu; and the rest
    once."""
    consent = machine.consent
    found = [bench_case("verify", interface, consent, "--verify --yes --random --irq --namespace 2 "
                        "--lba 100 --blocks 4096 --block-size 128K --depth 7",
                        ["write", "read"], 4096) for interface in machine.interfaces]
    for interface in machine.interfaces:
        if interface in (machine.interfaces[0], "type1v2", "noiommu"):
            found += [nvme_case("to-kernel", interface, consent, NVME_TO_KERNEL),
                      nvme_case("from-kernel", interface, consent, NVME_FROM_KERNEL)]
    for interface in machine.interfaces[:machine.thorough]:
        found += [
            bench_case("polling", interface, consent, "--verify --yes --blocks 8192",
                       ["write", "read"], 8192),
            bench_case("read", interface, consent, "--random --time 1 --depth 64", ["read"], 0),
            nvme_case("identify", interface, consent,
                      "by_weir weir nvme identify --json $WEIR_TEST_NVME",
                      functools.partial(check_identify, interface)),
            nvme_case("readme", interface, consent, "by_weir weir nvme identify $WEIR_TEST_NVME",
                      check_readme),
            nvme_case("bench-kernel", interface, consent, NVME_BENCH_KERNEL),
        ]
    return found


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


BAD_NVME_CASES = [
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
]
