/* SPDX-License-Identifier: MIT */
/*
 * Memory that is mapped for a device when it asks: its page requests (PCIe PRI) are answered.
 * usage: fault DEVICE
 *
 * Which of its addresses a device asks for, its own driver tells it; that is missing here.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "demand.h"

#define RAM		0x10000000		/* where the device has it */
#define PAGES		1024
#define PRI_CAP		0x13			/* PCI Express, 7.8.9: extended capability */

static void must(int ret)
{
	if (ret < 0)
		errx(1, "%s", weir_errmsg());
}

static bool asks_for_pages(struct weir_device *dev)
{
	struct weir_cap caps[64];
	int n = weir_config_caps(dev, caps, 64);

	must(n);
	for (int i = 0; i < n && i < 64; i++)
		if (caps[i].extended && caps[i].id == PRI_CAP)
			return true;
	return false;
}

/* As long as it asks: until this process is ended, which closes all. */
static void serve(struct weir_device *dev, struct weir_hwpt *table, struct weir_faultq *queue)
{
	struct demand d = { .as = weir_device_ioas(dev), .first = RAM };

	d.page = (size_t)sysconf(_SC_PAGESIZE);
	d.len = PAGES * d.page;
	d.ram = aligned_alloc(d.page, d.len);
	if (!d.ram)
		errx(1, "no memory");
	must(weir_hwpt_attach(table, dev));
	printf("it is served %zu bytes at 0x%x\n", d.len, RAM);
	must(demand_serve(&d, queue, -1));
}

int main(int argc, char **argv)
{
	struct weir_hwpt_opts opts = { 0 };
	struct weir_device *dev;
	struct weir_iommu *iommu;
	struct weir_hwpt *table;

	if (argc != 2)
		errx(2, "usage: fault DEVICE");
	must(weir_iommu_open(NULL, &iommu));
	must(weir_device_open(iommu, argv[1], NULL, &dev));

	/* A page table whose faults come here. The kernel lets devices use it that can ask. */
	must(weir_faultq_open(iommu, &opts.faults));
	must(weir_hwpt_alloc(weir_device_ioas(dev), dev, &opts, &table));
	if (asks_for_pages(dev))
		serve(dev, table, opts.faults);
	else
		printf("%s asks for no pages: it has no PRI. Its IOMMU would pass them on\n",
		       argv[1]);

	must(weir_hwpt_free(table));
	must(weir_faultq_close(opts.faults));
	must(weir_device_close(dev));
	must(weir_iommu_close(iommu));
	return 0;
}
