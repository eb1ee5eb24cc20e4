/* SPDX-License-Identifier: MIT */
/*
 * Lines of /etc/default/grub, and of the files in /etc/default/grub.d that Debian's grub-mkconfig
 * reads after it. A shell runs them; what is understood here are plain assignments.
 */
#ifndef WR_HOST_GRUB_H
#define WR_HOST_GRUB_H

enum wr_grub_kind {
	WR_GRUB_SCRIPT,		/* what a shell would have to run: nothing is sure then */
	WR_GRUB_NOTHING,	/* of no concern: empty, a comment, another variable */
	WR_GRUB_OPTIONS,	/* GRUB_CMDLINE_LINUX or GRUB_CMDLINE_LINUX_DEFAULT is set */
};

struct wr_grub_line {
	char *name;		/* of the variable that is set; NULL: none */
	char *value;		/* without its quotes */
	char *after;		/* of options that go on from those before, "$NAME more": what is
				 * behind these, .value being what is in front; else NULL */
	char quote;		/* '\0': none */
};

/* Take one line apart, in place. */
enum wr_grub_kind wr_grub_line(char *line, struct wr_grub_line *out);

#endif
