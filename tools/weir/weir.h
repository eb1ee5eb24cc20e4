/* SPDX-License-Identifier: MIT */
/*
 * The command: one file per verb, in the manner of kvmtool. A verb gets its own name as argv[0]
 * and returns the exit status.
 */
#ifndef WEIR_TOOL_WEIR_H
#define WEIR_TOOL_WEIR_H

enum {
	EXIT_YES,
	EXIT_NO,
	EXIT_UNKNOWN,	/* could not tell, bad input */
};

int cmd_bench(int argc, char **argv);
int cmd_bind(int argc, char **argv);
int cmd_capture(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_eeh(int argc, char **argv);
int cmd_groups(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_nvme(int argc, char **argv);
int cmd_release(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_selftest(int argc, char **argv);

#endif
