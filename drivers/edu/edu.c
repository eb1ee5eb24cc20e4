/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "drivers/edu/edu.h"

/* Registers. Those below 0x80 are 32 bits wide, the others 64. */
#define REG_ID		0x00
#define REG_LIVE	0x04
#define REG_FACTORIAL	0x08
#define REG_STATUS	0x20
#define REG_IRQ_STATUS	0x24
#define REG_IRQ_RAISE	0x60
#define REG_IRQ_ACK	0x64
#define REG_DMA_SOURCE	0x80
#define REG_DMA_DEST	0x88
#define REG_DMA_COUNT	0x90
#define REG_DMA_COMMAND	0x98

#define STATUS_BUSY	0x01	/* computing a factorial */
#define STATUS_IRQ	0x80	/* interrupt when that is done */

#define DMA_START	0x1
#define DMA_TO_RAM	0x2
#define DMA_IRQ		0x4

/* QEMU's device takes 100 ms for a transfer, and more when all of the machine is emulated. */
#define TIMEOUT_MS	10000

/* A buffer of 4 KiB has at most one page boundary in it, and only there can a run end. */
#define SEGS_MAX	2

#define LIVE_PATTERN	0x5a3cc3a5u

#define NO_IRQ		WEIR_IRQS

struct edu {
	struct weir_device *dev;
	struct weir_bar *bar;
	bool big_endian;	/* its registers */
	enum weir_irq irq;	/* the kind that is enabled, or NO_IRQ */
};

/*
 * QEMU gives the device's registers the byte order of the machine that it emulates (edu_mmio_ops in
 * hw/misc/edu.c): they are big-endian in those of POWER, whatever order the guest's kernel runs in.
 * Data that it moves by DMA are bytes.
 */
static uint32_t read32(const struct edu *edu, uint64_t reg)
{
	return edu->big_endian ? weir_read32_be(edu->bar, reg) : weir_read32(edu->bar, reg);
}

static void write32(const struct edu *edu, uint64_t reg, uint32_t value)
{
	if (edu->big_endian)
		weir_write32_be(edu->bar, reg, value);
	else
		weir_write32(edu->bar, reg, value);
}

static uint64_t read64(const struct edu *edu, uint64_t reg)
{
	return edu->big_endian ? weir_read64_be(edu->bar, reg) : weir_read64(edu->bar, reg);
}

static void write64(const struct edu *edu, uint64_t reg, uint64_t value)
{
	if (edu->big_endian)
		weir_write64_be(edu->bar, reg, value);
	else
		weir_write64(edu->bar, reg, value);
}

/* Is it an edu, and in which byte order? Its id is 0xRRrr00ed: the version, and the name. */
static bool identify(struct edu *edu)
{
	edu->big_endian = false;
	if ((read32(edu, REG_ID) & 0xffff) == 0x00ed)
		return true;
	edu->big_endian = true;
	return (read32(edu, REG_ID) & 0xffff) == 0x00ed;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void pause_between_polls(void)
{
	const struct timespec ts = { .tv_nsec = 50 * 1000 };

	nanosleep(&ts, NULL);
}

static bool factorial_done(struct edu *edu)
{
	return !(read32(edu, REG_STATUS) & STATUS_BUSY);
}

static bool dma_done(struct edu *edu)
{
	return !(read64(edu, REG_DMA_COMMAND) & DMA_START);
}

/* What is left until @end, for weir_irq_wait(). */
static int left_ms(int64_t end)
{
	int64_t left = end - now_ms();

	return left > 0 ? (int)left : 0;
}

/*
 * Take one interrupt. It may come with no bit set: when two come close together, the first look
 * at the status can acknowledge both, and the second message is still on its way.
 */
static int take_irq(struct edu *edu, int timeout_ms, uint32_t *bits)
{
	int ret;

	ret = weir_irq_wait(edu->dev, edu->irq, 0, timeout_ms);
	if (ret < 0)
		return ret;
	/*
	 * Acknowledge before anything else waits: the device keeps the pin asserted until all its
	 * status bits are cleared. What comes between the read and the write isn't lost, since
	 * only the bits that were read are cleared.
	 */
	*bits = read32(edu, REG_IRQ_STATUS);
	write32(edu, REG_IRQ_ACK, *bits);
	/* INTx was masked when it fired. Unmasked with the pin still asserted, it fires again. */
	if (edu->irq == WEIR_IRQ_INTX)
		return weir_irq_unmask(edu->dev, WEIR_IRQ_INTX, 0);
	return 0;
}

int edu_irq_wait(struct edu *edu, int timeout_ms, uint32_t *bits)
{
	int64_t end = now_ms() + timeout_ms;
	int ret;

	do {
		ret = take_irq(edu, timeout_ms < 0 ? -1 : left_ms(end), bits);
	} while (!ret && !*bits);
	return ret;
}

/*
 * Wait for the end of what was started. An interrupt only says when to look: whose it was, and
 * whether it is the last of several that came together, the device's registers know.
 */
static int wait_until(struct edu *edu, bool (*done)(struct edu *edu), uint32_t irq_bit)
{
	int64_t end = now_ms() + TIMEOUT_MS;
	uint32_t seen = 0, bits;
	int ret;

	while (edu->irq != NO_IRQ && irq_bit && !(seen & irq_bit)) {
		ret = take_irq(edu, left_ms(end), &bits);
		if (ret == -EINTR)
			continue;
		if (ret < 0)
			return ret;
		seen |= bits;
	}
	while (!done(edu)) {
		if (now_ms() >= end)
			return -ETIMEDOUT;
		pause_between_polls();
	}
	return 0;
}

/* An earlier driver may have left while the device was at work, or with an interrupt pending. */
static int quiesce(struct edu *edu)
{
	int ret;

	ret = wait_until(edu, dma_done, 0);
	if (!ret)
		ret = wait_until(edu, factorial_done, 0);
	if (ret)
		return ret;
	write32(edu, REG_STATUS, 0);
	write32(edu, REG_IRQ_ACK, UINT32_MAX);
	return 0;
}

int edu_open(struct weir_device *dev, struct edu **out)
{
	struct weir_device_info info;
	struct edu *edu;
	int ret;

	ret = weir_device_info(dev, &info);
	if (ret)
		return ret;
	if (info.vendor != EDU_VENDOR || info.device != EDU_DEVICE)
		return -ENODEV;
	edu = calloc(1, sizeof(*edu));
	if (!edu)
		return -ENOMEM;
	edu->dev = dev;
	edu->irq = NO_IRQ;
	ret = weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_AUTO, &edu->bar);
	if (ret)
		goto err_free;
	if (!identify(edu)) {
		ret = -ENODEV;
		goto err_bar;
	}
	/* Only now may it touch memory: while bus mastering was off nothing could happen. */
	ret = quiesce(edu);
	if (!ret)
		ret = weir_device_bus_master(dev, true);
	if (ret)
		goto err_bar;
	*out = edu;
	return 0;

err_bar:
	weir_bar_close(edu->bar);
err_free:
	free(edu);
	return ret;
}

int edu_close(struct edu *edu)
{
	if (!edu)
		return 0;
	edu_irq_disable(edu);
	weir_device_bus_master(edu->dev, false);
	weir_bar_close(edu->bar);
	free(edu);
	return 0;
}

bool edu_lived(struct edu *edu)
{
	return read32(edu, REG_LIVE) == ~LIVE_PATTERN;
}

int edu_live(struct edu *edu)
{
	write32(edu, REG_LIVE, LIVE_PATTERN);
	return edu_lived(edu) ? 0 : -EIO;
}

int edu_factorial(struct edu *edu, uint32_t n, uint32_t *result)
{
	int ret;

	if (!factorial_done(edu))
		return -EBUSY;
	write32(edu, REG_STATUS, edu->irq == NO_IRQ ? 0 : STATUS_IRQ);
	write32(edu, REG_FACTORIAL, n);
	ret = wait_until(edu, factorial_done, EDU_IRQ_FACTORIAL);
	if (ret)
		return ret;
	*result = read32(edu, REG_FACTORIAL);
	return 0;
}

int edu_irq_enable_kind(struct edu *edu, enum weir_irq kind)
{
	int ret;

	if (edu->irq != NO_IRQ)
		return -EBUSY;
	/* What is pending from before would be taken for the end of the next transfer. */
	write32(edu, REG_IRQ_ACK, UINT32_MAX);
	ret = weir_irq_enable(edu->dev, kind, 1);
	if (!ret)
		edu->irq = kind;
	return ret;
}

int edu_irq_enable(struct edu *edu)
{
	struct weir_irq_info info;
	int ret;

	ret = weir_irq_info(edu->dev, WEIR_IRQ_MSI, &info);
	if (ret)
		return ret;
	/* A machine may have no MSI to give although the device has it. */
	if (info.count && !edu_irq_enable_kind(edu, WEIR_IRQ_MSI))
		return WEIR_IRQ_MSI;
	ret = edu_irq_enable_kind(edu, WEIR_IRQ_INTX);
	return ret ? ret : WEIR_IRQ_INTX;
}

int edu_irq_disable(struct edu *edu)
{
	enum weir_irq irq = edu->irq;

	if (irq == NO_IRQ)
		return 0;
	edu->irq = NO_IRQ;
	write32(edu, REG_STATUS, 0);
	return weir_irq_disable(edu->dev, irq);
}

int edu_irq_raise(struct edu *edu, uint32_t bits)
{
	if (!bits)
		return -EINVAL;
	write32(edu, REG_IRQ_RAISE, bits);
	return 0;
}

int edu_dma_start(struct edu *edu, weir_iova iova, uint32_t offset, size_t len, bool to_device)
{
	const uint64_t inside = (uint64_t)EDU_BUFFER + offset;
	uint64_t command = DMA_START;

	/* Nobody but the driver protects the device from this: QEMU's stops the whole machine. */
	if (!len || offset >= EDU_BUFFER_SIZE || len > EDU_BUFFER_SIZE - offset)
		return -EINVAL;
	/* The device ignores what is written to a running engine. */
	if (!dma_done(edu))
		return -EBUSY;
	if (!to_device)
		command |= DMA_TO_RAM;
	if (edu->irq != NO_IRQ)
		command |= DMA_IRQ;
	write64(edu, REG_DMA_SOURCE, to_device ? iova : inside);
	write64(edu, REG_DMA_DEST, to_device ? inside : iova);
	write64(edu, REG_DMA_COUNT, len);
	/* The device must see the data as it is now, not as it was before the last stores. */
	weir_dma_wmb();
	write64(edu, REG_DMA_COMMAND, command);
	return 0;
}

int edu_dma(struct edu *edu, weir_iova iova, uint32_t offset, size_t len, bool to_device)
{
	int ret;

	ret = edu_dma_start(edu, iova, offset, len, to_device);
	if (ret)
		return ret;
	ret = wait_until(edu, dma_done, EDU_IRQ_DMA);
	/*
	 * That the engine is done was read from a register, and this read has pushed the data in
	 * front of it. The CPU must not have read the memory earlier, though.
	 */
	weir_dma_rmb();
	return ret;
}

/*
 * The buffer may lie in several places for the device: each run is a transfer of its own. All are
 * known before the first begins, so that a buffer that isn't mapped has no effect.
 */
static int copy(struct edu *edu, const void *buf, size_t len, uint32_t offset, bool to_device)
{
	struct weir_seg segs[SEGS_MAX];
	int n, ret = 0;

	if (!len || offset >= EDU_BUFFER_SIZE || len > EDU_BUFFER_SIZE - offset)
		return -EINVAL;
	n = weir_ioas_segs(weir_device_ioas(edu->dev), buf, len, segs, SEGS_MAX);
	if (n < 0)
		return n;
	if (n > SEGS_MAX)
		return -EINVAL;
	for (int i = 0; i < n && !ret; i++) {
		ret = edu_dma(edu, segs[i].iova, offset, segs[i].len, to_device);
		offset += (uint32_t)segs[i].len;
	}
	return ret;
}

int edu_write(struct edu *edu, const void *buf, size_t len, uint32_t offset)
{
	return copy(edu, buf, len, offset, true);
}

int edu_read(struct edu *edu, void *buf, size_t len, uint32_t offset)
{
	return copy(edu, buf, len, offset, false);
}
