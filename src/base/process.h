/* SPDX-License-Identifier: MIT */
/*
 * Whose object is it? After fork() a child has copies of all objects, and shares the fds behind
 * them; but what the kernel pinned and whom it interrupts is the parent's. So objects remember
 * their process, and refuse to work in another: before they lock anything, since a lock that
 * another thread held at the fork stays locked for ever.
 */
#ifndef WR_BASE_PROCESS_H
#define WR_BASE_PROCESS_H

/* This process, as a number that its children's differ from. */
unsigned int wr_process(void);

/* 0 if @process is this one; else -EPERM, with the message. */
int wr_check_process(unsigned int process);

#endif
