/* SPDX-License-Identifier: MIT */
/*
 * What a caller has to know about is here: from the beginning of a reset to its end registers read
 * ones, and accesses to config space fail (EEH_PE_CFG_BLOCKED). After it the device's bus mastering
 * and message-signalled interrupts are off, while VFIO takes those for enabled.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/sys.h"
#include "fake_vfio.h"

#define COMMAND_AT	(fake.device.regions[7].offset + 4)
#define BUS_MASTER	4

bool fake_eeh_silent(void)
{
	return fake.eeh.asserted || fake.eeh.state == WR_VFIO_EEH_STOPPED;
}

static int end_reset(void)
{
	struct fake_eeh *e = &fake.eeh;
	uint8_t command;

	e->asserted = false;
	e->state = WR_VFIO_EEH_NORMAL;
	if (e->in_vain)
		return 0;
	if (e->bad_resets) {
		e->bad_resets--;
		e->state = WR_VFIO_EEH_STOPPED;
	}
	if (wr_sys_kernel.pread(fake.device.memory, &command, 1, (off_t)COMMAND_AT) != 1)
		return -EIO;
	command &= (uint8_t)~BUS_MASTER;
	if (wr_sys_kernel.pwrite(fake.device.memory, &command, 1, (off_t)COMMAND_AT) != 1)
		return -EIO;
	fake.device.msi_lost = fake.device.active == 1 || fake.device.active == 2;
	return 0;
}

static int inject(const struct wr_vfio_eeh *arg)
{
	if (arg->argsz < sizeof(*arg) || arg->func > 19)
		return -EINVAL;
	if (arg->type > 1)
		return -ERANGE;
	fake.eeh.injected = *arg;
	fake.eeh.state = WR_VFIO_EEH_STOPPED;
	return 0;
}

int fake_eeh(const struct wr_vfio_eeh *arg)
{
	struct fake_eeh *e = &fake.eeh;
	size_t n = strlen(e->done);

	if (arg->argsz < 12 || arg->flags || arg->op > 9)
		return -EINVAL;
	if (e->error_times && e->error_op == arg->op) {
		e->error_times--;
		if (arg->op == WR_VFIO_EEH_RESET_HOT || arg->op == WR_VFIO_EEH_RESET_FUNDAMENTAL)
			e->asserted = e->in_vain = true;
		return e->error;
	}
	if (arg->op == WR_VFIO_EEH_GET_STATE)
		return e->asserted ? WR_VFIO_EEH_RESET : e->state;
	if (n < sizeof(e->done) - 1)
		e->done[n] = (char)('0' + arg->op);
	switch (arg->op) {
	case WR_VFIO_EEH_ENABLE:
	case WR_VFIO_EEH_UNFREEZE_DMA:
		e->state = WR_VFIO_EEH_NORMAL;
		return 0;
	case WR_VFIO_EEH_UNFREEZE_IO:
		if (e->state == WR_VFIO_EEH_STOPPED)
			e->state = WR_VFIO_EEH_STOPPED_DMA;
		return 0;
	case WR_VFIO_EEH_RESET_HOT:
	case WR_VFIO_EEH_RESET_FUNDAMENTAL:
		e->asserted = true;
		e->in_vain = false;
		return 0;
	case WR_VFIO_EEH_RESET_DEACTIVATE:
		return end_reset();
	case WR_VFIO_EEH_INJECT_ERR:
		return inject(arg);
	default:
		return 0;
	}
}
