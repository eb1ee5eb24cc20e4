/* SPDX-License-Identifier: MIT */
/* What POWER's IOMMU has: see walk.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/sys.h"
#include "fake_vfio.h"
#include "walk.h"

#define HIGH (1ull << 59)
#define SIZE (1ull << 30)

static int add_window(struct world *w)
{
	const struct weir_window_opts opts = { .size = SIZE, .page_size = 4096 };

	return weir_ioas_add_window(w->as, &opts, NULL);
}

static void remove_window(struct world *w)
{
	assert_int_equal(weir_ioas_remove_window(w->as, HIGH), 0);
}

static void has_window(struct world *w)
{
	assert_int_equal(add_window(w), 0);
}

static int remove_it(struct world *w)
{
	return weir_ioas_remove_window(w->as, HIGH);
}

static int remove_default(struct world *w)
{
	return weir_ioas_remove_window(w->as, 0);
}

static void has_nothing(struct world *w)
{
	assert_int_equal(weir_ioas_unmap_all(w->as), 0);
}

static int open_dev(struct world *w)
{
	const struct weir_device_opts opts = { .ioas = w->as };

	return weir_device_open(NULL, "0000:01:00.0", &opts, &w->new_dev);
}

static void close_dev(struct world *w)
{
	assert_int_equal(weir_device_close(w->new_dev), 0);
	w->new_dev = NULL;
}

/* Windows of the caller's own, with something in one, and no device any more. */
static void had_window(struct world *w)
{
	const struct weir_map_opts fixed = { .fixed = true };
	weir_iova iova = HIGH;

	assert_int_equal(open_dev(w), 0);
	assert_int_equal(add_window(w), 0);
	assert_int_equal(weir_ioas_map(w->as, w->memory, wr_page_size(), &fixed, &iova), 0);
	close_dev(w);
}

static void had_window_alone(struct world *w)
{
	had_window(w);
	assert_int_equal(weir_ioas_unmap(w->as, wr_page_size(), wr_page_size()), 0);
	assert_int_equal(weir_ioas_remove_window(w->as, 0), 0);
}

/* ---- EEH ---- */

/* Which a reset turns off. */
static void bus_master_off(struct world *w)
{
	assert_int_equal(weir_device_bus_master(w->dev, false), 0);
}

static int eeh_state(struct world *w)
{
	return weir_eeh_state(w->dev);
}

static int eeh_enable(struct world *w)
{
	return weir_eeh_enable(w->dev, true);
}

static int eeh_unfreeze(struct world *w)
{
	return weir_eeh_unfreeze(w->dev, true);
}

static int eeh_reset(struct world *w)
{
	return weir_eeh_reset(w->dev, WEIR_EEH_RESET_END);
}

static int eeh_configure(struct world *w)
{
	return weir_eeh_configure(w->dev);
}

static int eeh_recover(struct world *w)
{
	return weir_eeh_recover(w->dev, WEIR_EEH_RESET_HOT);
}

static int eeh_inject(struct world *w)
{
	const struct weir_eeh_error error = { .function = 1 };

	return weir_eeh_inject(w->dev, &error);
}

static void end_freeze(struct world *w)
{
	(void)w;
	fake.eeh.state = WR_VFIO_EEH_NORMAL;
}

static int eeh_state_name(struct world *w)
{
	(void)w;
	return weir_eeh_state_name(WEIR_EEH_STOPPED) ? 0 : -EINVAL;
}

/* ---- memory that is registered ---- */

/* More than what is mapped already, and registered for that. */
static int reg(struct world *w)
{
	return weir_ioas_register(w->as, w->memory, WALK_PAGES * wr_page_size());
}

static int unreg(struct world *w)
{
	return weir_ioas_unregister(w->as, w->memory, WALK_PAGES * wr_page_size());
}

static void unregister(struct world *w)
{
	assert_int_equal(unreg(w), 0);
}

static void has_registered(struct world *w)
{
	has_nothing(w);
	assert_int_equal(reg(w), 0);
}

static void had_registered(struct world *w)
{
	assert_int_equal(reg(w), 0);
}

const struct operation walk_spapr[] = {
	{ "weir_ioas_add_window", .with = WITH_WINDOWS, .run = add_window, .undo = remove_window },
	{ "weir_ioas_remove_window", .with = WITH_WINDOWS, .setup = has_window, .run = remove_it,
	  .keeps_ranges = true },
	{ "weir_ioas_remove_window", "default", .with = WITH_WINDOWS, .setup = has_nothing,
	  .run = remove_default, .keeps_ranges = true },
	{ "weir_ioas_register", .with = WITH_WINDOWS, .setup = has_nothing, .run = reg,
	  .undo = unregister },
	{ "weir_ioas_unregister", .with = WITH_WINDOWS, .setup = has_registered, .run = unreg,
	  .must = true },
	{ "weir_device_open", "memory registered ahead", .with = ON_POWER, .setup = had_registered,
	  .run = open_dev, .undo = close_dev, .says = -EINVAL },
	/* EINTR is a hypervisor's H_PARAMETER. */
	{ "weir_device_open", "windows", .with = ON_POWER, .setup = had_window, .run = open_dev,
	  .undo = close_dev, .says = -EINVAL },
	{ "weir_device_open", "windows, no default one", .with = ON_POWER,
	  .setup = had_window_alone, .run = open_dev, .undo = close_dev,
	  .says = -EINVAL },

	{ "weir_eeh_state", .with = WITH_WINDOWS, .run = eeh_state },
	{ "weir_eeh_state_name", .run = eeh_state_name, .silent = "it is a name" },
	{ "weir_eeh_enable", .with = WITH_WINDOWS, .run = eeh_enable },
	{ "weir_eeh_unfreeze", .with = WITH_WINDOWS, .run = eeh_unfreeze },
	{ "weir_eeh_reset", .with = WITH_WINDOWS, .setup = bus_master_off, .run = eeh_reset },
	{ "weir_eeh_configure", .with = WITH_WINDOWS, .run = eeh_configure },
	{ "weir_eeh_recover", .with = WITH_WINDOWS, .setup = bus_master_off, .run = eeh_recover },
	{ "weir_eeh_inject", .with = WITH_WINDOWS, .run = eeh_inject, .undo = end_freeze },
	{ 0 }
};
