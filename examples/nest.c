/* SPDX-License-Identifier: MIT */
/*
 * What a VMM does so that its guest drives an SMMUv3 itself: see docs/guides/nesting.md. The guest
 * is a few lines of main(), and stage1.h. usage: nest DEVICE (an edu)
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/weir.h>

#include "stage1.h"

#define PAGE	4096
#define RAM	0x1000000	/* where the guest's memory begins, for the guest */
#define PAGES	(STAGE1_PAGES + 3)
#define VA	0x4604000	/* what the guest's driver tells the device */
#define STREAM	0x10		/* the guest's number for the device */

struct vm {
	struct weir_device *dev;
	struct weir_ioas *as;
	struct weir_bar *regs;
	unsigned char *ram;
	struct weir_hwpt *stage2, *stage1;
	struct weir_viommu *viommu;
	struct weir_vdevice *vdevice;
	struct weir_eventq *events;
};

static void must(int ret)
{
	if (ret < 0)
		errx(1, "%s", weir_errmsg());
}

static void start(struct vm *vm, const char *name)
{
	const struct weir_hwpt_opts parent = { .nest_parent = true };
	const struct weir_map_opts there = { .fixed = true };
	weir_iova iova = RAM;
	struct weir_hw_info hw;

	must(weir_device_open(NULL, name, NULL, &vm->dev));
	must(weir_device_hw_info(vm->dev, WEIR_HW_NONE, &hw));
	if (hw.type != WEIR_HW_SMMUV3)
		errx(1, "%s isn't behind an SMMUv3", name);
	vm->as = weir_device_ioas(vm->dev);
	vm->ram = aligned_alloc(PAGE, PAGES * PAGE);
	must(weir_ioas_map(vm->as, vm->ram, PAGES * PAGE, &there, &iova));
	must(weir_hwpt_alloc(vm->as, vm->dev, &parent, &vm->stage2));
	must(weir_viommu_alloc(vm->stage2, vm->dev, WEIR_VIOMMU_SMMUV3, NULL, 0, &vm->viommu));
	must(weir_vdevice_alloc(vm->viommu, vm->dev, STREAM, &vm->vdevice));
	must(weir_eventq_open(vm->viommu, WEIR_EVENTQ_SMMUV3, 0, 256, &vm->events));
}

/* At the start with an entry of zeros, and then at each CMD_CFGI_STE of the guest. */
static void new_entry(struct vm *vm, const struct weir_nested *entry)
{
	struct weir_hwpt *old = vm->stage1;

	must(weir_viommu_nest(vm->viommu, vm->dev, entry, NULL, &vm->stage1));
	must(weir_hwpt_attach(vm->stage1, vm->dev));
	must(weir_hwpt_free(old));
}

/* The guest's other commands, as they are in its queue. */
static void new_commands(struct vm *vm, const struct weir_smmuv3_command *commands, size_t n)
{
	size_t done;
	int ret = weir_viommu_invalidate(vm->viommu, WEIR_INVALIDATE_SMMUV3, commands,
					 sizeof(*commands), n, &done);

	if (ret == -EIO)
		printf("command %zu is an error of the guest's\n", done);
	else
		must(ret);
}

/* Whenever weir_eventq_fd() is readable: for the guest's event queue. */
static void new_events(struct vm *vm)
{
	struct weir_smmuv3_event event;
	struct weir_smmuv3_event_info info;
	uint64_t lost;
	int got;

	do {
		must(got = weir_eventq_read(vm->events, 1000, &event, &lost));
		if (lost)
			printf("%llu events were lost\n", (unsigned long long)lost);
		if (got) {
			weir_smmuv3_event_decode(&event, &info);
			printf("stream 0x%x at 0x%llx: %s\n", info.stream,
			       (unsigned long long)info.address, info.text);
		}
	} while (got || lost);
}

static void stop(struct vm *vm)
{
	must(weir_hwpt_detach(vm->stage1, vm->dev));
	must(weir_hwpt_free(vm->stage1));
	must(weir_eventq_close(vm->events));
	must(weir_vdevice_free(vm->vdevice));
	must(weir_viommu_free(vm->viommu));
	must(weir_hwpt_free(vm->stage2));
	must(weir_ioas_unmap(vm->as, RAM, PAGES * PAGE));
	must(weir_device_close(vm->dev));
	free(vm->ram);
}

/* ---- the guest ---- */

static void copy4(struct vm *vm, weir_iova from, weir_iova to, uint32_t command)
{
	weir_dma_wmb();
	weir_write64(vm->regs, 0x80, from);
	weir_write64(vm->regs, 0x88, to);
	weir_write64(vm->regs, 0x90, 4);
	weir_write32(vm->regs, 0x98, command);
	while (weir_read32(vm->regs, 0x98) & 1)
		;
	weir_dma_rmb();
}

/* The device fetches four bytes from VA into its buffer, and stores them in the page behind. */
static void fetch(struct vm *vm)
{
	copy4(vm, VA, 0x40000, 1);
	copy4(vm, 0x40000, VA + PAGE, 3);
	printf("the device found: %.4s\n", vm->ram + (STAGE1_PAGES + 2) * PAGE);
}

int main(int argc, char **argv)
{
	const weir_iova data = RAM + STAGE1_PAGES * PAGE;
	const struct weir_smmuv3_command commands[] = { stage1_forget(VA), { { htole64(3), 0 } } };
	const struct weir_nested zeros = { .type = WEIR_NESTED_SMMUV3 };
	struct weir_nested entry;
	struct stage1 guest;
	struct vm vm = { 0 };

	if (argc != 2)
		errx(2, "usage: nest DEVICE");
	start(&vm, argv[1]);
	new_entry(&vm, &zeros);
	must(weir_bar_open(vm.dev, WEIR_REGION_BAR0, WEIR_BAR_AUTO, &vm.regs));
	must(weir_device_bus_master(vm.dev, true));

	guest = (struct stage1){ vm.ram, RAM };
	stage1_init(&guest, VA);
	stage1_set(&guest, VA, data, STAGE1_LEAF);
	stage1_set(&guest, VA + PAGE, data + 2 * PAGE, STAGE1_LEAF);
	memcpy(vm.ram + STAGE1_PAGES * PAGE, "this", 4);
	memcpy(vm.ram + (STAGE1_PAGES + 1) * PAGE, "that", 4);
	entry = stage1_nested(&guest);
	new_entry(&vm, &entry);
	fetch(&vm);

	stage1_set(&guest, VA, data + PAGE, STAGE1_LEAF);
	new_commands(&vm, commands, 2);
	fetch(&vm);

	stage1_set(&guest, VA, 0, 0);
	new_commands(&vm, commands, 1);
	copy4(&vm, VA, 0x40000, 1);
	new_events(&vm);

	must(weir_device_bus_master(vm.dev, false));
	must(weir_bar_close(vm.regs));
	stop(&vm);
	return 0;
}
