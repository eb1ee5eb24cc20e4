/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/sys.h"

int wr_read_fd(int fd, void *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t ret = wr_sys->pread(fd, (char *)buf + len, size - len, (off_t)len);

		if (ret == -EINTR)
			continue;
		if (ret < 0)
			return (int)ret;
		if (!ret)
			break;
		len += (size_t)ret;
	}
	return (int)len;
}

/* What was read, @len bytes or -errno, as text. */
static int end_text(int len, char *buf, size_t size)
{
	if (len < 0)
		return len;
	if ((size_t)len == size)
		return -EOVERFLOW;
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return strlen(buf) == (size_t)len ? len : -EINVAL;
}

int wr_read_fd_text(int fd, char *buf, size_t size)
{
	if (!size || size > INT_MAX)
		return -EINVAL;
	return end_text(wr_read_fd(fd, buf, size), buf, size);
}

int wr_read_attr_text(int fd, char *buf, size_t size)
{
	ssize_t len;

	if (!size || size > INT_MAX)
		return -EINVAL;
	do
		len = wr_sys->pread(fd, buf, size, 0);
	while (len == -EINTR);
	return end_text((int)len, buf, size);
}

int wr_read_text(const char *path, char *buf, size_t size)
{
	int fd, len;

	/* Not blocking: in a captured tree anything may lie here, a FIFO too. */
	fd = wr_sys->open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	len = wr_read_fd_text(fd, buf, size);
	wr_close(fd);
	return len;
}

int wr_parse_u64(const char *text, uint64_t *value)
{
	size_t len = strlen(text);
	unsigned long long number;
	char *end;
	bool hex;

	/* strtoull() alone would take blanks, a sign, and octal. */
	hex = text[0] == '0' && text[1] == 'x';
	if (!strlen(text + (hex ? 2 : 0)) ||
	    strspn(text + (hex ? 2 : 0), hex ? "0123456789abcdefABCDEF" : "0123456789") !=
	    len - (hex ? 2 : 0))
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, hex ? 16 : 10);
	if (errno)
		return -ERANGE;
	*value = number;
	return 0;
}

int wr_read_u64(const char *path, uint64_t *value)
{
	char text[WR_U64_TEXT];
	int len = wr_read_text(path, text, sizeof(text));

	return len < 0 ? len : wr_parse_u64(text, value);
}
