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

# node_of BDF   the node of its group, when it is bound to vfio-pci
node_of() {
	case $(cat "$PCI/$1/iommu_group/name" 2>/dev/null) in
	vfio-noiommu) echo "/dev/vfio/noiommu-$(group_of "$1")" ;;
	*) echo "/dev/vfio/$(group_of "$1")" ;;
	esac
}

# drivers   who holds what, one line per PCI device; the machine's state for the tests
#
# Each case asks at its end, and a process costs an emulated machine milliseconds: there is none
# here. A uevent starts with the driver, if there is one (dev_uevent() in drivers/base/core.c).
drivers() {
	for device in $PCI/*; do
		driver= override=
		read -r driver < $device/uevent
		read -r override < $device/driver_override
		case $driver in
		DRIVER=*) driver=${driver#DRIVER=} ;;
		*) driver= ;;
		esac
		echo "${device##*/} $driver $override"
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

# taken [OPTION…] BDF… -- COMMAND…   run a command while 'weir bind' has devices, then release them
taken() {
	taken_arguments=
	while [ "$1" != -- ]; do
		taken_arguments="$taken_arguments $1"
		shift
	done
	shift
	weir bind $taken_arguments > /dev/null ||
		{ say_error "not bound: $taken_arguments"; exit 98; }
	"$@"
	taken_status=$?
	weir release --all > /dev/null || { say_error "not given back: $taken_arguments"; exit 98; }
	return $taken_status
}

# nvme_node SERIAL NAMESPACE   the kernel's block device, which comes a while after its driver
nvme_node() {
	for try in $(seq 100); do
		for block in /sys/block/nvme*; do
			{ read -r serial < $block/device/serial && read -r nsid < $block/nsid; } \
				2>/dev/null || continue
			[ "$serial $nsid" = "$1 $2" ] && [ -b "/dev/${block##*/}" ] &&
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
# fault (dmar_fault() in drivers/iommu/intel/dmar.c), AMD's as often for each device
# (amd_iommu_report_page_fault() in drivers/iommu/amd/iommu.c), and those of SMMUv3 and
# virtio-iommu as often (drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c, drivers/iommu/virtio-iommu.c).
# A window starts with a line that is printed, so it is over five seconds after the last line at
# most.
fault_log_ready() {
	last=$(dmesg | grep -e 'DMAR: DRHD: handling' -e 'AMD-Vi: Event logged' \
		-e 'event 0x[0-9a-f]* received:' -e 'page fault from EP' | tail -n 1 |
		sed 's/^\[ *\([0-9]*\)\..*/\1/')
	rest=$((${last:--100} + 7 - $(cut -d. -f1 /proc/uptime)))
	[ $rest -le 0 ] || sleep $rest
}

# as_nobody COMMAND…   run a command as a user without any right
as_nobody() {
	su -s /bin/sh nobody -c 'exec "$0" "$@"' -- "$@"
}
