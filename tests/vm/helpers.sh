# SPDX-License-Identifier: MIT
# Functions for cases and for a person at the machine's shell (run.py --shell).
# Every one that changes something looks afterwards whether it came true.

PCI=/sys/bus/pci/devices

say_error() {
	echo "helpers: $*" >&2
	return 1
}

# find_device VENDOR:DEVICE   the addresses with these ids, e.g. find_device 1234:11e8
find_device() {
	for device in $PCI/*; do
		[ "$(cat $device/vendor):$(cat $device/device)" = "0x${1%:*}:0x${1#*:}" ] &&
			echo "${device##*/}"
	done
}

# driver_of BDF   the driver that holds a device; nothing when none does
driver_of() {
	driver=$(readlink "$PCI/$1/driver") && echo "${driver##*/}"
}

# group_of BDF   the number of its IOMMU group
group_of() {
	group=$(readlink "$PCI/$1/iommu_group") && echo "${group##*/}"
}

# drivers   who holds what, one line per PCI device; the machine's state for the tests
drivers() {
	for device in $PCI/*; do
		echo "${device##*/} $(driver_of "${device##*/}") $(cat $device/driver_override)"
	done
}

# devices   the machine's PCI devices, for people
devices() {
	for device in $PCI/*; do
		bdf=${device##*/}
		echo "$bdf $(cat $device/vendor):$(cat $device/device) class $(cat $device/class)" \
			"group $(group_of $bdf) driver $(driver_of $bdf)"
	done
}

# give_up BDF   take a device from its driver, if it has one
give_up() {
	[ -e "$PCI/$1/driver" ] || return 0
	echo "$1" > "$PCI/$1/driver/unbind"
	[ ! -e "$PCI/$1/driver" ] || say_error "$1 stays on $(driver_of "$1")"
}

# bind BDF   hand a device to vfio-pci
bind() {
	[ -d "$PCI/$1" ] || { say_error "no device $1"; return 1; }
	give_up "$1" || return 1
	echo vfio-pci > "$PCI/$1/driver_override"
	echo "$1" > /sys/bus/pci/drivers_probe
	[ "$(driver_of "$1")" = vfio-pci ] || say_error "$1 did not go to vfio-pci"
}

# release BDF   give a device back to the driver it had when the machine started
release() {
	[ -d "$PCI/$1" ] || { say_error "no device $1"; return 1; }
	echo > "$PCI/$1/driver_override"
	give_up "$1" || return 1
	echo "$1" > /sys/bus/pci/drivers_probe
	was=$(grep "^$1 " /run/drivers-at-start 2>/dev/null | cut -d' ' -f2)
	[ "$(driver_of "$1")" = "$was" ] ||
		say_error "$1 is on '$(driver_of "$1")', at the start it was on '$was'"
}

# taken BDF… -- COMMAND…   run a command while devices are on vfio-pci, then give them back
taken() {
	taken_devices=
	while [ "$1" != -- ]; do
		bind "$1" || exit 98
		taken_devices="$taken_devices $1"
		shift
	done
	shift
	"$@"
	taken_status=$?
	for taken_device in $taken_devices; do
		release $taken_device || exit 98
	done
	return $taken_status
}

# nvme_node SERIAL NAMESPACE   the kernel's block device, which comes a while after its driver
nvme_node() {
	for try in $(seq 100); do
		for block in /sys/block/nvme*; do
			[ "$(cat $block/device/serial 2>/dev/null | tr -d ' ')" = "$1" ] &&
				[ "$(cat $block/nsid)" = "$2" ] && [ -b "/dev/${block##*/}" ] &&
				echo "/dev/${block##*/}" && return
		done
		usleep 50000
	done
	say_error "no block device of namespace $2 of the NVMe with serial number $1"
}

# unchanged COMMAND…   run a command that must not change which driver holds what
unchanged() {
	drivers > /tmp/before
	"$@"
	unchanged_status=$?
	drivers > /tmp/after
	diff /tmp/before /tmp/after > /tmp/changed ||
		{ echo "helpers: drivers changed:"; cat /tmp/changed; exit 97; } >&2
	return $unchanged_status
}

# fault_log_ready   wait until the kernel will print the next DMA faults in full
#
# VT-d's fault handler prints at most ten times in five seconds and counts three for each
# fault (dmar_fault() in drivers/iommu/intel/dmar.c). A window starts with a line that is
# printed, so it is over five seconds after the last line at most.
fault_log_ready() {
	last=$(dmesg | sed -n 's/^\[ *\([0-9]*\)\..*DMAR: DRHD: handling.*/\1/p' | tail -n 1)
	rest=$((${last:--100} + 7 - $(cut -d. -f1 /proc/uptime)))
	[ $rest -le 0 ] || sleep $rest
}

# as_nobody COMMAND…   run a command as a user without any right
as_nobody() {
	su -s /bin/sh nobody -c 'exec "$0" "$@"' -- "$@"
}
