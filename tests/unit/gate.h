/* SPDX-License-Identifier: MIT */
/* Whether a reset or a detach in another thread has begun. Behind cmocka.h. */
#ifndef TESTS_UNIT_GATE_H
#define TESTS_UNIT_GATE_H

#include <errno.h>
#include <unistd.h>

#include <weir/model.h>

/* Until the gate is closed, it is only that vector which isn't enabled. */
static inline void wait_until_closed(struct weir_model *model)
{
	for (int i = 0; i < 10000 && weir_model_msi(model, 99) != -ENODEV; i++)
		usleep(1000);
	assert_int_equal(weir_model_msi(model, 99), -ENODEV);
}

#endif
