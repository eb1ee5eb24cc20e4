/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TOOL_DOCTOR_H
#define WEIR_TOOL_DOCTOR_H

#include <stdbool.h>

/* weir doctor --memlock @plan. Returns the exit status. */
int doctor_memlock(const char *plan, bool json);

#endif
