/* SPDX-License-Identifier: MIT */
/*
 * One page table for several devices: a guest's stage 2, as a VMM makes it. What is mapped, once,
 * all of them reach. usage: share_stage2 DEVICE… (edus behind one IOMMU)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "copier.h"

#define PAGE	4096
#define MOST	8

/* Where the IOMMU can, guests' own tables can be nested on it later: weir_hwpt_nest(). */
static struct weir_hwpt *make_stage2(struct weir_ioas *as, struct weir_device *dev)
{
	const struct weir_hwpt_opts parent = { .nest_parent = true };
	struct weir_hwpt *stage2;
	int ret = weir_hwpt_alloc(as, dev, &parent, &stage2);

	if (ret == -ENOTSUP) {
		printf("no nest parent here: a plain page table\n");
		ret = weir_hwpt_alloc(as, dev, NULL, &stage2);
	}
	must(ret);
	return stage2;
}

int main(int argc, char **argv)
{
	struct copier devices[MOST];
	struct weir_hwpt *stage2;
	struct weir_iommu *iommu;
	struct weir_ioas *guest;
	struct weir_mem *ram;
	int n = argc - 1;

	if (n < 1 || n > MOST)
		errx(2, "usage: share_stage2 DEVICE…, at most %d", MOST);

	/* The address space is the guest's memory, in whatever order it comes. */
	must(weir_iommu_open(NULL, &iommu));
	must(weir_ioas_open(iommu, &guest));
	for (int i = 0; i < n; i++)
		devices[i] = copier_open(iommu, argv[1 + i], guest);
	stage2 = make_stage2(guest, devices[0].dev);
	for (int i = 0; i < n; i++)
		must(weir_hwpt_attach(stage2, devices[i].dev));

	/* The first page goes from device to device, and each leaves it in the next page. */
	must(weir_mem_alloc(guest, (size_t)(n + 1) * PAGE, NULL, &ram));
	strcpy(weir_mem_ptr(ram), "Hello, devices");
	for (int i = 0; i < n; i++) {
		weir_iova at = weir_mem_iova(ram) + (weir_iova)i * PAGE;

		copier_copy(&devices[i], at, at + PAGE, PAGE);
		printf("%s passed on: %s\n", argv[1 + i],
		       (char *)weir_mem_ptr(ram) + (size_t)(i + 1) * PAGE);
	}

	/* It is freed when no device uses it. A device that is closed uses it no more. */
	must(weir_mem_free(ram));
	for (int i = 0; i < n; i++)
		copier_close(&devices[i]);
	must(weir_hwpt_free(stage2));
	must(weir_ioas_close(guest));
	must(weir_iommu_close(iommu));
	return 0;
}
