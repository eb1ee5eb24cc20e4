/* SPDX-License-Identifier: MIT */
/*
 * libarchive, loaded when an archive is made or read. It brings some forty megabytes of other
 * libraries along, for formats that aren't used here.
 */
#ifndef WR_HOST_LIBARCHIVE_H
#define WR_HOST_LIBARCHIVE_H

#include <archive.h>
#include <archive_entry.h>

#include "host/late.h"

#define WR_LIBARCHIVE(FUNCTION)                                                                    \
	FUNCTION(archive_entry_clear)                                                              \
	FUNCTION(archive_entry_filetype)                                                           \
	FUNCTION(archive_entry_free)                                                               \
	FUNCTION(archive_entry_hardlink)                                                           \
	FUNCTION(archive_entry_new)                                                                \
	FUNCTION(archive_entry_pathname)                                                           \
	FUNCTION(archive_entry_set_filetype)                                                       \
	FUNCTION(archive_entry_set_pathname)                                                       \
	FUNCTION(archive_entry_set_perm)                                                           \
	FUNCTION(archive_entry_set_size)                                                           \
	FUNCTION(archive_entry_set_symlink)                                                        \
	FUNCTION(archive_entry_symlink)                                                            \
	FUNCTION(archive_error_string)                                                             \
	FUNCTION(archive_read_data)                                                                \
	FUNCTION(archive_read_free)                                                                \
	FUNCTION(archive_read_new)                                                                 \
	FUNCTION(archive_read_next_header)                                                         \
	FUNCTION(archive_read_open_fd)                                                             \
	FUNCTION(archive_read_support_filter_gzip)                                                 \
	FUNCTION(archive_read_support_format_tar)                                                  \
	FUNCTION(archive_write_add_filter_gzip)                                                    \
	FUNCTION(archive_write_close)                                                              \
	FUNCTION(archive_write_data)                                                               \
	FUNCTION(archive_write_free)                                                               \
	FUNCTION(archive_write_header)                                                             \
	FUNCTION(archive_write_new)                                                                \
	FUNCTION(archive_write_open_fd)                                                            \
	FUNCTION(archive_write_set_filter_option)                                                  \
	FUNCTION(archive_write_set_format_gnutar)

struct wr_libarchive {
	WR_LIBARCHIVE(WR_LATE_POINTER)
};

/* Returns NULL, with a message for -ENOTSUP, when it can't be loaded. */
const struct wr_libarchive *wr_libarchive(void);

#endif
