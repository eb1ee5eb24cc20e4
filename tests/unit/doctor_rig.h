/* SPDX-License-Identifier: MIT */
/*
 * A machine in a tree with nothing wrong, what weir_host_check() finds in it, and which checks have
 * been seen both ways: finding something, and nothing.
 */
#ifndef DOCTOR_RIG_H
#define DOCTOR_RIG_H

#include <stdbool.h>

#include <weir/doctor.h>

#define PORT "0000:00:1c.0"
#define CARD "0000:01:00.0"
#define GROUP "sys/kernel/iommu_groups/5/"

/* A server of Intel's with Debian: VT-d on, a card behind a root port, alone in group 5. */
int doctor_start(void **state);
int doctor_stop(void **state);

/* The text that its file etc/… holds is what the test writes anew. */
#define CMDLINE "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro intel_iommu=on iommu=pt"

/* A function at its place, "0000:00:1c.0/0000:01:00.0" below the root bus: in a group, with that
 * driver (NULL: none). */
void put_function(const char *root, const char *place, int group, const char *driver);

/* A module that is loaded, with a parameter unless @name is NULL. */
void put_module(const char *root, const char *module, const char *name, const char *value);

/*
 * The check @id of the function @device (NULL: the machine) finds something of that severity, with
 * those parts in its text or cure, and from that file.
 */
void assert_found(const char *root, const char *device, const char *id,
		  enum weir_host_severity severity, const char *part, const char *file);
/* And in its cure. */
void assert_cure(const char *root, const char *device, const char *id, const char *part);
/* It finds something that isn't well, without that in any cure. */
void assert_no_cure(const char *root, const char *device, const char *id, const char *part);
/* It says one thing. */
void assert_once(const char *root, const char *device, const char *id);
/* It says something, but not that. */
void assert_not_said(const char *root, const char *device, const char *id, const char *part);
/* The check finds nothing, or that all is well. */
void assert_well(const char *root, const char *device, const char *id);
/* It says nothing at all. */
void assert_silent(const char *root, const char *device, const char *id);

/* A process's limit of locked memory, in bytes or "unlimited", in a file of /proc/PID/limits. */
void put_limit(const char *root, const char *file, const char *soft);

/* Whether both have been asserted of a check. */
bool seen_both(const char *id);

/* The tests of the other files. */
void run_machine_tests(int *failed);
void run_boot_tests(int *failed);
void run_iommu_tests(int *failed);
void run_device_tests(int *failed);
void run_edge_tests(int *failed);

#endif
