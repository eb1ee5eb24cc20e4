/* SPDX-License-Identifier: MIT */
/* Numbers, sizes and offsets of weir's beside the kernel header's. */
#ifndef UAPI_PAIRS_H
#define UAPI_PAIRS_H

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct pair {
	const char *name;
	unsigned long ours, theirs;
};

#define SAME(ours, theirs)		{ #ours, ours, theirs }
#define SIZE(ours, theirs)		{ "size of " #ours, sizeof(struct ours), theirs }
#define FIELD(ours, field, theirs, other)                                                          \
	{ #ours "." #field, offsetof(struct ours, field), offsetof(struct theirs, other) },        \
	{ "size of " #ours "." #field, sizeof(((struct ours *)0)->field),                          \
	  sizeof(((struct theirs *)0)->other) }

static inline void check(const struct pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (pairs[i].ours != pairs[i].theirs)
			fail_msg("%s is 0x%lx here and 0x%lx in the kernel's header\n",
				 pairs[i].name, pairs[i].ours, pairs[i].theirs);
}

#endif
