/* SPDX-License-Identifier: MIT */
/* EEH of the fake kernel's device, as arch/powerpc/kernel/eeh.c has it. */
#ifndef FAKE_EEH_H
#define FAKE_EEH_H

#include <stdbool.h>

#include "kernel/uapi.h"

struct fake_eeh {
	int state;			/* WR_VFIO_EEH_… */
	bool config_dead;		/* config space reads ones, frozen or not */
	bool asserted;			/* a reset is active, */
	bool in_vain;			/* but didn't reset anything */
	unsigned int bad_resets;	/* so many times it is frozen after one all the same */
	int error;			/* what this operation says, so many times */
	uint32_t error_op;
	unsigned int error_times;
	char done[32];			/* a digit for each operation, but not for GET_STATE */
	struct wr_vfio_eeh injected;
	void (*during_reset)(void);	/* called when one begins, without the fake's lock */
};

int fake_eeh(const struct wr_vfio_eeh *arg);	/* VFIO_EEH_PE_OP */
bool fake_eeh_silent(void);			/* neither registers nor config space answer */

#endif
