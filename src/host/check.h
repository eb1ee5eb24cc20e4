/* SPDX-License-Identifier: MIT */
/*
 * The checks. Each is one entry in the table of its file, and one function that reports what it
 * finds; one that doesn't apply reports nothing.
 */
#ifndef WR_HOST_CHECK_H
#define WR_HOST_CHECK_H

#include <weir/doctor.h>

#include "host/machine.h"

#define WR_CURE_MAX 1024
#define WR_NOIOMMU_MODE "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

struct wr_exam {
	const struct weir_host *host;
	const struct weir_host_function *fn;	/* NULL: of the machine */
	struct wr_machine *m;
	const char *id;				/* of the check that runs */
	enum weir_host_severity worst;
	bool settled;				/* the checks that follow have no more to say */
	weir_host_found found;
	void *arg;
	unsigned char header[64];		/* of its config space, once a check asked */
	int header_len;				/* or -errno */
	char cure[WR_CURE_MAX];			/* for the next report */
};

struct wr_check {
	struct weir_host_check_info info;
	void (*run)(struct wr_exam *exam);
};

/* The tables, each of which ends with an entry without an id. */
extern const struct wr_check wr_checks_iommu[];
extern const struct wr_check wr_checks_boot[];
extern const struct wr_check wr_checks_vfio[];
extern const struct wr_check wr_checks_memory[];
extern const struct wr_check wr_checks_guest[];
extern const struct wr_check wr_checks_group[];
extern const struct wr_check wr_checks_driver[];
extern const struct wr_check wr_checks_reset[];
extern const struct wr_check wr_checks_device[];

/* Report a finding with the cure that was put together before. */
void wr_report(struct wr_exam *exam, enum weir_host_severity severity, const char *file,
	       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* @file can't be read: unknown where the check could find what forbids, else a note. */
void wr_unread(struct wr_exam *exam, const char *file, int err);

/* Add a sentence to the cure; or one for this distribution: */
void wr_cure(struct wr_exam *exam, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* how an option gets into the kernel's command line, or out of it, */
void wr_cure_option(struct wr_exam *exam, const char *option);
void wr_cure_no_option(struct wr_exam *exam, const char *option);
/* how a module gets an option, */
void wr_cure_module(struct wr_exam *exam, const char *module, const char *option);
/* how vfio-pci is there before other drivers, */
void wr_cure_early(struct wr_exam *exam);
/* how the initramfs is made again, and what makes the boot loader's configuration again. */
void wr_cure_initramfs(struct wr_exam *exam);
void wr_cure_refresh(struct wr_exam *exam);

/*
 * Whether the boot loader's files give the kernel an option, @key, with @item in its list: file[]
 * gets the one that does. False also when that can't be told.
 */
bool wr_boot_sets(struct wr_exam *exam, const char *key, const char *item, char file[WR_LINE_MAX]);

/* The text of a record of the kernel's log, without what /dev/kmsg has in front of it. */
const char *wr_log_text(const char *line);

/* Whether the machine has an IOMMU that is on. */
bool wr_has_iommu(const struct wr_exam *exam);
/* Whether the kernel's command line switches VT-d on. */
bool wr_intel_told_on(const struct wr_machine *m);
/* Whether devices are given without: the mode is on, or off, as file[] says. */
bool wr_noiommu_mode(const struct wr_exam *exam, char file[WR_LINE_MAX]);
/* The kernel has no such mode: the module is there, and the parameter isn't. */
bool wr_noiommu_missing(const struct wr_exam *exam);
/* How it is switched on, as what is left when there is no better cure. */
void wr_cure_noiommu(struct wr_exam *exam);

/* An attribute of the function: path[] gets its file. Returns the length or -errno. */
int wr_attr(const struct wr_exam *exam, const char *name, char path[WR_LINE_MAX], char *value,
	    size_t size);

/*
 * As weir_host_config(), but -EBUSY, without a message, for a device that sleeps: it isn't woken.
 */
int wr_peek_config(const struct weir_host *host, const struct weir_host_function *fn, void *buf,
		   size_t size);

/* Whether its class is a bridge's. For VFIO its header counts: a class 06 may be a device's. */
bool wr_has_bridge_class(const struct weir_host_function *fn);

#endif
