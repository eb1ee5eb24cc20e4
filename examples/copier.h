/* SPDX-License-Identifier: MIT */
/* An edu as a device that moves memory: into its buffer, and out again. For the examples. */
#ifndef EXAMPLES_COPIER_H
#define EXAMPLES_COPIER_H

#include <err.h>

#include <weir/weir.h>

struct copier {
	struct weir_device *dev;
	struct weir_bar *regs;
};

/* Nothing here goes on after an error: all that was opened ends with the process. */
static inline void must(int ret)
{
	if (ret < 0)
		errx(1, "%s", weir_errmsg());
}

static inline struct copier copier_open(struct weir_iommu *iommu, const char *name,
					struct weir_ioas *as)
{
	const struct weir_device_opts opts = { .ioas = as, .dma_bits = 28 };
	struct copier c;

	must(weir_device_open(iommu, name, &opts, &c.dev));
	must(weir_bar_open(c.dev, WEIR_REGION_BAR0, WEIR_BAR_AUTO, &c.regs));
	must(weir_irq_enable(c.dev, WEIR_IRQ_MSI, 1));
	must(weir_device_bus_master(c.dev, true));
	return c;
}

#define COPIER_BUFFER	0x40000	/* where the device has it; 4096 bytes */
#define COPIER_OUT	0x2	/* from there to memory, otherwise into it */

static inline void copier_move(const struct copier *c, uint64_t from, uint64_t to, uint64_t len,
			       uint32_t command)
{
	weir_dma_wmb();
	weir_write64(c->regs, 0x80, from);
	weir_write64(c->regs, 0x88, to);
	weir_write64(c->regs, 0x90, len);
	weir_write32(c->regs, 0x98, command | 0x1 | 0x4);	/* start; interrupt at the end */
	must(weir_irq_wait(c->dev, WEIR_IRQ_MSI, 0, 10000));
	weir_write32(c->regs, 0x64, weir_read32(c->regs, 0x24));
	weir_dma_rmb();
}

/* Have the device read memory at @from, and write it to @to: IOVAs. At most 4096 bytes. */
static inline void copier_copy(const struct copier *c, weir_iova from, weir_iova to, uint64_t len)
{
	copier_move(c, from, COPIER_BUFFER, len, 0);
	copier_move(c, COPIER_BUFFER, to, len, COPIER_OUT);
}

static inline void copier_close(const struct copier *c)
{
	must(weir_bar_close(c->regs));
	must(weir_device_close(c->dev));
}

#endif
