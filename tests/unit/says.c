/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>

#include "says.h"

void assert_says(const char *part)
{
	if (!strstr(weir_errmsg(), part))
		fail_msg("\"%s\" doesn't say \"%s\"\n", weir_errmsg(), part);
}
