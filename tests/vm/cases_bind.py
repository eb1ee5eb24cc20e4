# SPDX-License-Identifier: MIT
"""The cases of weir bind and weir release: what they do, and what they refuse."""

import re

from case import Case, bad_input, ended_well, parsed


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


def check_contended(machine, outcome):
    """Each call succeeded or said in one sentence why not, and some waited for others. Who uses
    the function meanwhile isn't disturbed, but may find it gone when it opens it (again)."""
    calls = re.findall(r"^call (\d+): (.*)$", outcome.stdout, re.M)
    if len(calls) != 60:
        return f"{len(calls)} calls ended, not 60"
    waited = r"weir: another process binds or releases \(it holds /var/lib/weir/lock\): waiting\|"
    for status, said in calls:
        said = re.sub(f"^{waited}", "", said)
        if not re.fullmatch(r"0|1weir: [^|]+ is in use: [^|]+ has it open [^|]+\|", status + said):
            return f"a call ended with {status} and said '{said}'"
    if not re.search(waited, outcome.stdout):
        return "no call met another one"
    address = re.escape(machine.devices["WEIR_TEST_EDU"])
    for status, said in re.findall(r"^test (\d+): (.*)$", outcome.stdout, re.M):
        if not re.fullmatch(rf"0|(1release +fail +|2weir: ){address}: [^|]+\|", status + said):
            return f"a selftest ended with {status} and said '{said}'"
    return ended_well(machine, outcome)


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
    Case("bind-contended", """
# told WHO ARGUMENT…   how a call of weir ends and what it says
told() {
	said=/tmp/said-$1
	shift
	weir "$@" > /dev/null 2> $said
	echo "call $?: $(tr '\\n' '|' < $said)"
}
contended() {
	for round in $(seq 10); do
		told 1 -v bind $WEIR_TEST_EDU $WEIR_TEST_NVME
		told 1 -v release $WEIR_TEST_EDU $WEIR_TEST_NVME
	done &
	for round in $(seq 10); do
		told 2 -v bind $WEIR_TEST_NVME $WEIR_TEST_EDU
		told 2 -v release $WEIR_TEST_NVME
	done &
	for round in $(seq 10); do
		told 3 -v bind --group $WEIR_TEST_MIXED_EDU
		told 3 -v release --all
	done &
	binders=$(jobs -p)
	while [ ! -e /tmp/contended ]; do
		weir selftest $WEIR_TEST_EDU > /tmp/tested 2>&1
		echo "test $?: $(grep -e '^weir: ' -e ' fail  ' /tmp/tested | tr '\\n' '|')"
	done &
	wait $binders
	touch /tmp/contended
	wait
	weir release --all && [ ! -e /var/lib/weir/journal ]
}
unchanged contended
""", check_contended, limit=120),
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
