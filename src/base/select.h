/* SPDX-License-Identifier: MIT */
/*
 * A choice without a branch, for where a misprediction would cost more than all else. Compilers
 * make a branch of ?: even where they are told that it is even.
 */
#ifndef WR_BASE_SELECT_H
#define WR_BASE_SELECT_H

#include <stdint.h>

/* @yes if @bits has one of @mask's, which is a constant; else @no. */
static inline uint64_t wr_select(uint64_t bits, uint8_t mask, uint64_t yes, uint64_t no)
{
#ifdef __x86_64__
	__asm__("testb %b[mask], %b[bits]\n\tcmovnz %[yes], %[no]"
		: [no] "+r"(no)
		: [bits] "q"(bits), [yes] "r"(yes), [mask] "qi"(mask)
		: "cc");
	return no;
#else
	return no ^ ((no ^ yes) & -(uint64_t)!!(bits & mask));
#endif
}

#endif
