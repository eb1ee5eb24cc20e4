/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clean.h"

/* Decode one character; returns its length, or 0 when it is no UTF-8 (RFC 3629, section 4). */
static size_t decode(const unsigned char *c, uint32_t *value)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len;

	if (c[0] < 0x80) {
		*value = c[0];
		return 1;
	}
	if ((c[0] & 0xe0) == 0xc0)
		len = 2;
	else if ((c[0] & 0xf0) == 0xe0)
		len = 3;
	else if ((c[0] & 0xf8) == 0xf0)
		len = 4;
	else
		return 0;
	*value = c[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		/* The terminating NUL ends the loop here, too. */
		if ((c[i] & 0xc0) != 0x80)
			return 0;
		*value = *value << 6 | (c[i] & 0x3f);
	}
	if (*value < least[len] || *value > 0x10ffff || (*value >= 0xd800 && *value <= 0xdfff))
		return 0;
	return len;
}

static bool is_harmless(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;	/* C0 with ESC, DEL, C1 with CSI */
	if (c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069))
		return false;	/* changes of direction reorder what stands around them */
	return c != 0x2028 && c != 0x2029;	/* line and paragraph separator */
}

char *clean(char *text)
{
	const unsigned char *from = (const unsigned char *)text;
	unsigned char *to = (unsigned char *)text;

	while (*from) {
		uint32_t value;
		size_t len = decode(from, &value);

		if (len && is_harmless(value)) {
			for (size_t i = 0; i < len; i++)
				*to++ = *from++;
		} else {
			*to++ = '?';
			from += len ? len : 1;
		}
	}
	*to = '\0';
	return text;
}
