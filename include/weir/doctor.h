/* SPDX-License-Identifier: MIT */
/*
 * Why a device can't be given away, or what will go wrong when it is: checks of the machine and of
 * one function, each with what it found, the file that says so, and the cure on this distribution.
 * Nothing is changed, and no sleeping device is woken. All of it reads below the root of the scan,
 * so a captured machine is told the same as it would be itself, but for who has a node open.
 */
#ifndef WEIR_DOCTOR_H
#define WEIR_DOCTOR_H

#include <weir/host.h>

#ifdef __cplusplus
extern "C" {
#endif

/** weir_host_severity - what a finding means, the worse the greater. */
enum weir_host_severity {
	WEIR_HOST_OK,		/**< as it should be */
	WEIR_HOST_NOTE,		/**< good to know */
	WEIR_HOST_WARNING,	/**< it can be given away, but isn't safe or will go wrong */
	WEIR_HOST_UNKNOWN,	/**< what might forbid it can't be read */
	WEIR_HOST_STOP,		/**< as long as this is so it can't be given away */
};

/** weir_host_finding - what one check found. Good until the callback returns. */
struct weir_host_finding {
	const char *id;		/**< of the check: "interrupt-remapping" */
	enum weir_host_severity severity;
	const char *device;	/**< the function's address; "" for the machine */
	const char *text;	/**< one or two sentences: the thing and the cause */
	const char *file;	/**< that it was read from, as it is on that machine */
	const char *cure;	/**< what to do, on that machine's distribution; "" for nothing */
	uint64_t reserved[4];
};

/** weir_host_found - told each finding, in the order of the checks. */
typedef void (*weir_host_found)(void *arg, const struct weir_host_finding *finding);

/**
 * weir_host_check() - run the checks of the machine, or of a function.
 * @host: the scan, which says where to read.
 * @function: one of the scan's; NULL: the machine. What a function can be given away with needs
 *	both.
 * @found: called for each finding. Text in it comes from files: who prints it must clean it.
 * @arg: the caller's, for @found.
 *
 * A file that isn't there or can't be read is no failure: it is a finding, or of no consequence.
 * Of a bridge it is found that it is one, and no more is looked into.
 * What concerns the whole machine is read by the first call for a scan, and as it was then for the
 * later ones. As all that is asked of a scan, not for several threads at the same time.
 *
 * Returns 0; -ENOMEM, in which case some findings may have been told.
 */
WEIR_API int weir_host_check(const struct weir_host *host,
			     const struct weir_host_function *function, weir_host_found found,
			     void *arg);

/** weir_host_check_info - one of the checks. Constant. */
struct weir_host_check_info {
	const char *id;
	bool of_function;	/**< else of the machine */
	enum weir_host_severity worst;	/**< that it can find */
	const char *asks;	/**< what it looks into */
	const char *reads;	/**< the files, separated by blanks */
};

/** weir_host_check_info() - the n-th check; NULL behind the last. */
WEIR_API const struct weir_host_check_info *weir_host_check_info(unsigned int n);

/**
 * weir_host_cause - one of the reasons why devices can't be given away, as they are met in the
 * field, and how it shows. Constant.
 */
struct weir_host_cause {
	const char *cause;
	const char *symptom;	/**< what is printed or seen, and by whom */
	const char *check;	/**< the id of the check that finds it, or NULL */
	const char *why_not;	/**< and then why none can */
};

/** weir_host_cause() - the n-th cause; NULL behind the last. */
WEIR_API const struct weir_host_cause *weir_host_cause(unsigned int n);

/** weir_host_memlock_opts - a guest, or a program that maps as much. Zero what isn't used. */
struct weir_host_memlock_opts {
	uint64_t memory;	/**< of the guest, bytes, without what may be plugged later */
	uint64_t max_memory;	/**< with that; 0: the same */
	unsigned int devices;	/**< that it is given; 0: 1 */
	unsigned int vdpa;	/**< vDPA devices besides */
	bool viommu;		/**< it has an IOMMU of its own: each device maps all memory */
	bool power;		/**< POWER: windows and their tables, else as on x86 and Arm */
	unsigned int bridges;	/**< POWER: PCI host bridges of the guest; 0: 1 */
	uint64_t reserved[4];
};

/**
 * weir_host_memlock() - how much RLIMIT_MEMLOCK must allow a QEMU with such a guest, as libvirt
 * counts it (qemuDomainGetMemLockLimitBytes() in its src/qemu/qemu_domain.c).
 *
 * x86 and Arm: the memory for each device that has an address space of its own, and 1 GiB for
 * registers and what the devices' models lock. POWER: the guest's page table and firmware, then
 * the greater of the default windows and all memory with its tables. What a program needs that uses
 * weir on POWER itself, weir_spapr_locked() says.
 *
 * Returns 0; -EINVAL for no memory, reserved words that aren't zero, or more than 64 bits.
 */
WEIR_API int weir_host_memlock(const struct weir_host_memlock_opts *opts, uint64_t *bytes);

#ifdef __cplusplus
}
#endif

#endif
