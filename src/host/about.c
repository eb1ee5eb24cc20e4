/* SPDX-License-Identifier: MIT */
/* Which machine it is: its model, as firmware has it, and its kernel. No serial numbers. */
#include <stdio.h>
#include <stdlib.h>

#include "host/host.h"
#include "host/text.h"

/* A file's first line; the NUL at the end of the devicetree's is read as a blank. */
static void read_line(const struct weir_host *host, const char *path, char *line, size_t size)
{
	char *text;
	size_t len;

	line[0] = '\0';
	if (wr_load(host->root, path, WR_LINE_MAX, &text) < 0)
		return;
	len = strcspn(text, "\n");
	while (len && text[len - 1] == ' ')
		len--;
	snprintf(line, size, "%.*s", (int)len, text);
	free(text);
}

int weir_host_about(const struct weir_host *host, struct weir_host_about *out)
{
	char vendor[64], product[64];

	*out = (struct weir_host_about){ 0 };
	read_line(host, "/sys/class/dmi/id/sys_vendor", vendor, sizeof(vendor));
	read_line(host, "/sys/class/dmi/id/product_name", product, sizeof(product));
	snprintf(out->model, sizeof(out->model), "%s%s%s", vendor, *vendor && *product ? " " : "",
		 product);
	if (!*out->model)
		read_line(host, "/proc/device-tree/model", out->model, sizeof(out->model));
	read_line(host, "/proc/sys/kernel/osrelease", out->kernel, sizeof(out->kernel));
	return 0;
}
