/* SPDX-License-Identifier: MIT */
/* The parts of weir_host_capture(): what there is, what of it is told, and how it is kept. */
#ifndef WR_HOST_CAPTURE_H
#define WR_HOST_CAPTURE_H

#include <stdio.h>

#include <weir/host.h>

/* One thing in the archive; with neither data nor target it is a folder. */
struct wr_captured {
	char *path;	/* without the slash in front */
	char *target;	/* a link's */
	char *data;	/* a file's */
	size_t len;
};

struct wr_entries {
	struct wr_captured *list;
	size_t n, room;
};

/* Takes all three pointers over, also when it fails: -ENOMEM, with a message. */
int wr_entries_add(struct wr_entries *entries, struct wr_captured entry);
void wr_entries_free(struct wr_entries *entries);

/*
 * Write them as a tar archive with gzip, sorted and without times, so that the same entries give
 * the same bytes. What is there twice is written once. @file is complete or isn't there.
 */
int wr_entries_write(struct wr_entries *entries, const char *file,
		     const struct weir_host_capture_opts *opts);

/*
 * What identifies a machine or its network, and what stands for it: the n-th of its kind that was
 * met. So what was equal stays equal, and what differed differs.
 */
#define WR_MASK_KEY 160

struct wr_mask {
	bool off;
	char (*met)[WR_MASK_KEY];
	size_t n;
	bool failed;	/* no memory */
};

/* Writes one line of a file, without its newline, as it may be told, or doesn't. */
typedef void (*wr_mask_line)(struct wr_mask *mask, char *line, FILE *out);

void wr_mask_args(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_cmdline(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_iomem(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_grub(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_initramfs(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_log(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_modprobe(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_modules(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_mounts(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_route(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_route6(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_swaps(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_volume(struct wr_mask *mask, char *line, FILE *out);
void wr_mask_version(struct wr_mask *mask, char *line, FILE *out);

/* Line by line; with NULL all that has the form of a MAC address or of a UUID. NULL: no memory. */
char *wr_mask_text(struct wr_mask *mask, wr_mask_line line, char *text, size_t *len);

/* The same in a path or a link's target; takes @path over. */
char *wr_mask_path(struct wr_mask *mask, char *path);

/* Config space: its serial number (PCI Express Base, 7.9.3), and what was last read of its VPD. */
void wr_mask_config(struct wr_mask *mask, uint8_t *config, size_t len);

void wr_mask_free(struct wr_mask *mask);

#endif
