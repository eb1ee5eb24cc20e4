/* SPDX-License-Identifier: MIT */
#ifndef SAYS_H
#define SAYS_H

/* This thread's last message has @part in it. */
void assert_says(const char *part);

#endif
