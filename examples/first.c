/* SPDX-License-Identifier: MIT */
/* A driver's first steps: registers, memory, DMA, an interrupt. usage: first [DEVICE] (an edu) */
#include <err.h>
#include <stdio.h>
#include <string.h>

#include <weir/weir.h>

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "soft:edu";	/* or "0000:00:04.0" */
	struct weir_device *dev;
	struct weir_bar *regs;
	struct weir_mem *mem;

	if (weir_device_open(NULL, name, &(struct weir_device_opts){ .dma_bits = 28 }, &dev) < 0 ||
	    weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_AUTO, &regs) < 0 ||
	    weir_mem_alloc(weir_device_ioas(dev), 4096, NULL, &mem) < 0 ||
	    weir_irq_enable(dev, WEIR_IRQ_MSI, 1) < 0 || weir_device_bus_master(dev, true) < 0)
		errx(1, "%s", weir_errmsg());

	/* Tell the device to fetch 13 bytes from our memory, and to interrupt us when it has. */
	strcpy(weir_mem_ptr(mem), "Hello, device");
	weir_dma_wmb();
	weir_write64(regs, 0x80, weir_mem_iova(mem));	/* from */
	weir_write64(regs, 0x88, 0x40000);		/* to its buffer */
	weir_write64(regs, 0x90, 13);
	weir_write32(regs, 0x98, 0x1 | 0x4);
	if (weir_irq_wait(dev, WEIR_IRQ_MSI, 0, 5000) < 0)
		errx(1, "%s", weir_errmsg());
	printf("%s fetched %s\n", name, (char *)weir_mem_ptr(mem));

	weir_bar_close(regs);
	weir_mem_free(mem);
	return weir_device_close(dev) < 0;
}
