/* SPDX-License-Identifier: MIT */
/* Without libpci no name is known, and numbers are shown. */
#include <stdio.h>

#include "function.h"

struct names *names_open(const char *root)
{
	(void)root;
	return NULL;
}

void names_close(struct names *names)
{
	(void)names;
}

const char *vendor_name(struct names *names, const struct weir_host_function *fn,
			char buf[NAME_TEXT_MAX])
{
	(void)names, (void)fn, (void)buf;
	return NULL;
}

const char *device_name(struct names *names, const struct weir_host_function *fn,
			char buf[NAME_TEXT_MAX])
{
	(void)names, (void)fn, (void)buf;
	return NULL;
}

const char *subsystem_name(struct names *names, const struct weir_host_function *fn,
			   char buf[NAME_TEXT_MAX])
{
	(void)names, (void)fn, (void)buf;
	return NULL;
}

const char *class_name(struct names *names, const struct weir_host_function *fn,
		       char buf[NAME_TEXT_MAX])
{
	(void)names, (void)fn, (void)buf;
	return NULL;
}

const char *lspci_name(struct names *names, const struct weir_host_function *fn,
		       char buf[LSPCI_TEXT_MAX])
{
	(void)names;
	snprintf(buf, LSPCI_TEXT_MAX, "Class [%04x]: Device [%04x:%04x]", fn->class_code >> 8,
		 fn->vendor, fn->device);
	return buf;
}
