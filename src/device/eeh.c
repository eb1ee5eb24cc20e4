/* SPDX-License-Identifier: MIT */
/* EEH of POWER: weir/spapr.h says what it is. */
#include <stdio.h>

#include <weir/spapr.h>

#include "base/err.h"
#include "device/device.h"
#include "kernel/uapi.h"
#include "pci/config.h"

/* As often as eeh_pe_reset_full() in arch/powerpc/kernel/eeh.c */
#define RESETS_MAX 3

_Static_assert(WEIR_EEH_NORMAL == WR_VFIO_EEH_NORMAL && WEIR_EEH_RESET == WR_VFIO_EEH_RESET &&
	       WEIR_EEH_STOPPED == WR_VFIO_EEH_STOPPED &&
	       WEIR_EEH_STOPPED_DMA == WR_VFIO_EEH_STOPPED_DMA &&
	       WEIR_EEH_UNAVAILABLE == WR_VFIO_EEH_UNAVAIL, "the numbers of linux/vfio.h");

const char *weir_eeh_state_name(int state)
{
	switch (state) {
	case WEIR_EEH_NORMAL:
		return "normal";
	case WEIR_EEH_RESET:
		return "reset active";
	case WEIR_EEH_STOPPED:
		return "frozen";
	case WEIR_EEH_STOPPED_DMA:
		return "DMA frozen";
	case WEIR_EEH_UNAVAILABLE:
		return "unavailable";
	default:
		return NULL;
	}
}

static int operate(struct weir_device *dev, unsigned int op, const struct weir_eeh_error *error)
{
	int ret = wr_device_check(dev);

	if (ret)
		return ret;
	ret = wr_ioas_eeh(&dev->ep, op, error);
	return ret < 0 ? wr_fail_in(ret, "%s", dev->name) : ret;
}

int weir_eeh_state(struct weir_device *dev)
{
	int ret = operate(dev, WR_VFIO_EEH_GET_STATE, NULL);

	if (ret > 0 && !weir_eeh_state_name(ret))
		return wr_fail(-EREMOTEIO, "%s: the kernel says that EEH's state is %d, which weir "
			       "doesn't know", dev->name, ret);
	return ret;
}

int weir_eeh_enable(struct weir_device *dev, bool on)
{
	return operate(dev, on ? WR_VFIO_EEH_ENABLE : WR_VFIO_EEH_DISABLE, NULL);
}

int weir_eeh_unfreeze(struct weir_device *dev, bool dma)
{
	return operate(dev, dma ? WR_VFIO_EEH_UNFREEZE_DMA : WR_VFIO_EEH_UNFREEZE_IO, NULL);
}

int weir_eeh_reset(struct weir_device *dev, enum weir_eeh_reset how)
{
	switch (how) {
	case WEIR_EEH_RESET_END:
		return operate(dev, WR_VFIO_EEH_RESET_DEACTIVATE, NULL);
	case WEIR_EEH_RESET_HOT:
		return operate(dev, WR_VFIO_EEH_RESET_HOT, NULL);
	case WEIR_EEH_RESET_FUNDAMENTAL:
		return operate(dev, WR_VFIO_EEH_RESET_FUNDAMENTAL, NULL);
	}
	return wr_fail(-EINVAL, "%s: %d is no weir_eeh_reset", dev->name, (int)how);
}

int weir_eeh_configure(struct weir_device *dev)
{
	return operate(dev, WR_VFIO_EEH_CONFIGURE, NULL);
}

int weir_eeh_inject(struct weir_device *dev, const struct weir_eeh_error *error)
{
	if (!error)
		return wr_fail(-EINVAL, "%s: no error is given", dev->name);
	if (WR_RESERVED(error, "weir_eeh_error"))
		return -EINVAL;
	return operate(dev, WR_VFIO_EEH_INJECT_ERR, error);
}

/* ---- recovery ---- */

/*
 * What the command register is, which a reset clears. Of a frozen device that can be read when its
 * registers are let go. The DMA for which it was frozen mustn't go on when no reset is to be had,
 * but its end lets the device go.
 */
static bool read_command(struct weir_device *dev, int state, uint16_t *command)
{
	if (state != WEIR_EEH_NORMAL)
		weir_eeh_unfreeze(dev, false);
	if (weir_config_read16(dev, WR_PCI_COMMAND, command) ||
	    (*command & WR_PCI_COMMAND_RESERVED) == WR_PCI_COMMAND_RESERVED)
		return false;
	if (state != WEIR_EEH_NORMAL)
		weir_config_write16(dev, WR_PCI_COMMAND,
				    *command & (uint16_t)~WR_PCI_COMMAND_MASTER);
	return true;
}

/*
 * Where a reset can't begin, the kernel has frozen the PE and blocked its config space for it all
 * the same (eeh_pe_reset()), and ends both with the reset.
 */
static int reset_once(struct weir_device *dev, enum weir_eeh_reset how)
{
	char why[1024];
	int ret = weir_eeh_reset(dev, how), end;

	snprintf(why, sizeof(why), "%s", weir_errmsg());
	end = weir_eeh_reset(dev, WEIR_EEH_RESET_END);
	if (ret)
		return wr_fail(ret, "%s", why);
	return end;
}

static int reset_until_normal(struct weir_device *dev, enum weir_eeh_reset how)
{
	int ret = 0;

	for (int i = 0; i < RESETS_MAX; i++) {
		ret = reset_once(dev, how);
		if (!ret)
			ret = weir_eeh_state(dev);
		if (!ret)
			return 0;
		if (ret > 0)
			ret = wr_fail(-EIO, "%s: after a reset it is still: %s", dev->name,
				      weir_eeh_state_name(ret));
		wr_log(WEIR_LOG_WARN, "%s", weir_errmsg());
	}
	return ret;
}

/* Each step is taken whatever becomes of the one before: what can be had back is. */
static int set_up(struct weir_device *dev, const uint16_t *command, struct wr_suspended *suspended)
{
	int ret = weir_eeh_configure(dev), wrote = 0, resumed;

	if (command)
		wrote = weir_config_write16(dev, WR_PCI_COMMAND, *command);
	else
		wr_log(WEIR_LOG_WARN, "%s: its command register couldn't be read before the reset: "
		       "bus mastering is off", dev->name);
	resumed = wr_irqs_resume(dev, suspended, true);
	return ret ? ret : wrote ? wrote : resumed;
}

/* With interrupts suspended, and given back. */
static int bring_back(struct weir_device *dev, enum weir_eeh_reset how, int state,
		      struct wr_suspended *suspended)
{
	uint16_t command;
	bool known = read_command(dev, state, &command);
	char why[1024];
	int ret = reset_until_normal(dev, how);

	if (!ret)
		return set_up(dev, known ? &command : NULL, suspended);
	snprintf(why, sizeof(why), "%s", weir_errmsg());
	/* It can be as well as it was before, and is to be so then. */
	if (state == WEIR_EEH_NORMAL && weir_eeh_state(dev) == WEIR_EEH_NORMAL)
		set_up(dev, known ? &command : NULL, suspended);
	else
		wr_irqs_resume(dev, suspended, false);
	return wr_fail(ret, "%s", why);
}

int weir_eeh_recover(struct weir_device *dev, enum weir_eeh_reset how)
{
	struct wr_suspended suspended;
	int ret, state;

	if (how != WEIR_EEH_RESET_HOT && how != WEIR_EEH_RESET_FUNDAMENTAL)
		return wr_fail(-EINVAL, "%s: %d is no way to reset it", dev->name, (int)how);
	state = weir_eeh_state(dev);
	if (state < 0)
		return state;
	if (state == WEIR_EEH_UNAVAILABLE)
		return wr_fail(-EAGAIN, "%s: it is unavailable: the host recovers what is above "
			       "it, or has given it up: try again", dev->name);
	ret = wr_irqs_suspend(dev, &suspended);
	if (ret)
		return ret;
	return bring_back(dev, how, state, &suspended);
}

/* Whoever asks has a message already, or needs none. */
bool wr_eeh_frozen(struct weir_device *dev)
{
	char message[1024];
	bool frozen;

	snprintf(message, sizeof(message), "%s", weir_errmsg());
	frozen = wr_ioas_frozen(&dev->ep);
	wr_message("%s", message);
	return frozen;
}

int wr_eeh_explain(struct weir_device *dev, int err)
{
	char why[1024];

	if (!wr_eeh_frozen(dev))
		return err;
	snprintf(why, sizeof(why), "%s", weir_errmsg());
	return wr_fail(err, "%s; EEH has stopped it: weir_eeh_recover(), or 'weir eeh %s --reset "
		       "hot', brings it back", why, dev->name);
}
