/* SPDX-License-Identifier: MIT */
#include "host/step.h"

int wr_libkmod_load(const char *name)
{
	(void)name;
	return -ENOSYS;
}
