/* SPDX-License-Identifier: MIT */
/* EEH over a kernel that is made up (fake_eeh.c). */
#include "device/device.h"
#include "device_rig.h"

#define COMMAND (CONFIG_AT + 4)
#define MASTER 4

static int start_power(void **state)
{
	start(state);
	fake.no_type1 = true;
	fake.spapr.exists = true;
	return 0;
}

static int setup_power(void **state)
{
	start_power(state);
	open_device();
	assert_int_equal(weir_device_bus_master(dev, true), 0);
	return 0;
}

static void an_operation_fails(uint32_t op, int error, unsigned int times)
{
	fake.eeh.error_op = op;
	fake.eeh.error = error;
	fake.eeh.error_times = times;
}

static void only_power_has_it(void **state)
{
	struct weir_device *soft;

	(void)state;
	assert_int_equal(weir_eeh_state(dev), -ENOTSUP);
	assert_says(NAME ": EEH is POWER's, and the device isn't attached by its");
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), -ENOTSUP);
	assert_int_equal(weir_device_open(NULL, "soft:edu", NULL, &soft), 0);
	assert_int_equal(weir_eeh_recover(soft, WEIR_EEH_RESET_HOT), -ENOTSUP);
	assert_says("soft:edu: EEH is POWER's");
	assert_int_equal(weir_device_close(soft), 0);
	assert_string_equal(fake.eeh.done, "");
}

static void bad_input(void **state)
{
	struct weir_eeh_error error = { .reserved = { 1 } };

	(void)state;
	assert_int_equal(weir_eeh_reset(dev, (enum weir_eeh_reset)3), -EINVAL);
	assert_says("3 is no weir_eeh_reset");
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_END), -EINVAL);
	assert_int_equal(weir_eeh_recover(dev, (enum weir_eeh_reset)-1), -EINVAL);
	assert_int_equal(weir_eeh_inject(dev, NULL), -EINVAL);
	assert_int_equal(weir_eeh_inject(dev, &error), -EINVAL);
	error = (struct weir_eeh_error){ .function = 20 };
	assert_int_equal(weir_eeh_inject(dev, &error), -EINVAL);
	assert_null(weir_eeh_state_name(3));
	assert_null(weir_eeh_state_name(-1));
	assert_null(weir_eeh_state_name(6));
	assert_int_equal(fake.eeh.state, WEIR_EEH_NORMAL);
}

static void what_the_host_says_is_told(void **state)
{
	static const struct {
		uint32_t op;
		int says, err;
		const char *part;
	} cases[] = {
		{ WR_VFIO_EEH_GET_STATE, -ENODEV, -ENOTSUP, "no EEH for the device" },
		{ WR_VFIO_EEH_GET_STATE, -ENOTTY, -ENOTSUP, "no EEH for the device" },
		{ WR_VFIO_EEH_GET_STATE, -ENOENT, -ENOTSUP, "no EEH for the device" },
		{ WR_VFIO_EEH_GET_STATE, 3, -EREMOTEIO, "state is 3" },
		{ WR_VFIO_EEH_ENABLE, -EIO, -EIO, "eeh=off" },
		{ WR_VFIO_EEH_ENABLE, 2, -EREMOTEIO, "says 2, which is no error number" },
		{ WR_VFIO_EEH_DISABLE, -EPERM, -EPERM, "turning EEH off" },
		{ WR_VFIO_EEH_UNFREEZE_IO, -EIO, -EIO, "registers be reached" },
		{ WR_VFIO_EEH_UNFREEZE_DMA, -EIO, -EIO, "DMA go on" },
		{ WR_VFIO_EEH_RESET_HOT, -EIO, -EIO, "hot reset" },
		{ WR_VFIO_EEH_RESET_FUNDAMENTAL, -EIO, -EIO, "fundamental reset" },
		{ WR_VFIO_EEH_RESET_DEACTIVATE, -EIO, -EIO, "ending" },
		{ WR_VFIO_EEH_CONFIGURE, -EIO, -EIO, "bridges" },
		{ WR_VFIO_EEH_INJECT_ERR, -EIO, -EIO, "injecting an error" },
		{ WR_VFIO_EEH_INJECT_ERR, -ENXIO, -ENOTSUP, "firmware doesn't" },
		{ WR_VFIO_EEH_INJECT_ERR, -ERANGE, -EINVAL, "no such error" },
	};
	const struct weir_eeh_error error = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t op = cases[i].op;

		an_operation_fails(op, cases[i].says, 1);
		assert_int_equal(op == WR_VFIO_EEH_GET_STATE ? weir_eeh_state(dev) :
				 op <= WR_VFIO_EEH_ENABLE ? weir_eeh_enable(dev, op) :
				 op <= WR_VFIO_EEH_UNFREEZE_DMA ? weir_eeh_unfreeze(dev, op & 1) :
				 op == WR_VFIO_EEH_CONFIGURE ? weir_eeh_configure(dev) :
				 op == WR_VFIO_EEH_INJECT_ERR ? weir_eeh_inject(dev, &error) :
				 weir_eeh_reset(dev, (enum weir_eeh_reset)(op - 5)),
				 cases[i].err);
		assert_int_equal(fake.eeh.error_times, 0);
		assert_says(cases[i].part);
		assert_says(NAME);
	}
}

/* Each of a list of numbers, as what they mean. */
static void states(void **state)
{
	static const int all[] = { WEIR_EEH_NORMAL, WEIR_EEH_STOPPED, WEIR_EEH_STOPPED_DMA,
				   WEIR_EEH_UNAVAILABLE };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		fake.eeh.state = all[i];
		assert_int_equal(weir_eeh_state(dev), all[i]);
		assert_non_null(weir_eeh_state_name(all[i]));
	}
	fake.eeh.state = WEIR_EEH_NORMAL;
	assert_string_equal(weir_eeh_state_name(WEIR_EEH_STOPPED), "frozen");
}

static void step_by_step(void **state)
{
	(void)state;
	assert_int_equal(weir_eeh_enable(dev, true), 0);
	fake.eeh.state = WEIR_EEH_STOPPED;
	assert_int_equal(weir_eeh_unfreeze(dev, false), 0);
	assert_int_equal(weir_eeh_state(dev), WEIR_EEH_STOPPED_DMA);
	assert_int_equal(weir_eeh_unfreeze(dev, true), 0);
	assert_int_equal(weir_eeh_state(dev), WEIR_EEH_NORMAL);
	assert_int_equal(weir_eeh_reset(dev, WEIR_EEH_RESET_HOT), 0);
	assert_int_equal(weir_eeh_state(dev), WEIR_EEH_RESET);
	assert_int_equal(weir_device_gone(dev), 0);
	assert_int_equal(weir_device_bus_master(dev, true), -ENODEV);
	assert_says("EEH has stopped it");
	assert_int_equal(weir_eeh_reset(dev, WEIR_EEH_RESET_END), 0);
	assert_int_equal(weir_eeh_reset(dev, WEIR_EEH_RESET_FUNDAMENTAL), 0);
	assert_int_equal(weir_eeh_reset(dev, WEIR_EEH_RESET_END), 0);
	assert_int_equal(weir_eeh_configure(dev), 0);
	assert_int_equal(weir_eeh_enable(dev, false), 0);
	assert_string_equal(fake.eeh.done, "123657580");
}

static void an_error_is_injected(void **state)
{
	const struct weir_eeh_error error = {
		.function = 12, .wide = true, .address = 1ull << 59, .mask = ~4095ull,
	};

	(void)state;
	assert_int_equal(weir_eeh_inject(dev, &error), 0);
	assert_int_equal(fake.eeh.injected.argsz, 40);
	assert_int_equal(fake.eeh.injected.type, 1);
	assert_int_equal(fake.eeh.injected.func, 12);
	assert_true(fake.eeh.injected.addr == 1ull << 59);
	assert_true(fake.eeh.injected.mask == ~4095ull);
	assert_int_equal(weir_eeh_state(dev), WEIR_EEH_STOPPED);
}

/* The kernel does it to all groups of a container: those of an address space have one each. */
static void other_groups_are_left_alone(void **state)
{
	struct weir_device_opts opts = { 0 };
	struct weir_device *first, *sibling, *other;
	struct weir_iommu *iommu;

	(void)state;
	assert_int_equal(weir_iommu_open(NULL, &iommu), 0);
	assert_int_equal(weir_ioas_open(iommu, &opts.ioas), 0);
	assert_int_equal(weir_device_open(iommu, NAME, &opts, &first), 0);
	assert_int_equal(weir_device_open(iommu, "0000:01:00.1", &opts, &sibling), 0);
	assert_int_equal(weir_eeh_state(first), WEIR_EEH_NORMAL);
	assert_int_equal(weir_device_open(iommu, "0000:02:00.0", &opts, &other), 0);
	assert_ptr_not_equal(fake.groups[0].in, fake.groups[1].in);
	assert_int_equal(weir_eeh_recover(first, WEIR_EEH_RESET_HOT), 0);
	assert_int_equal(weir_device_close(sibling), 0);
	assert_int_equal(weir_eeh_state(first), WEIR_EEH_NORMAL);
	assert_int_equal(weir_device_close(other), 0);
	assert_int_equal(weir_device_close(first), 0);
	assert_int_equal(weir_ioas_close(opts.ioas), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);
}

/* ---- recovery ---- */

static void signals(enum weir_irq irq, unsigned int vector)
{
	assert_true(fake_interrupt(irq, vector));
	/* On s390x QEMU's emulation swaps the number (tests/cross/expected.json). */
	assert_true(weir_irq_wait(dev, irq, vector, 0) > 0);
}

static void frozen_device_comes_back(void **state)
{
	int fds[] = { -1, -1, -1 };

	(void)state;
	fds[1] = wr_sys->eventfd();
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSIX, 1), 0);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 1, 2, fds + 1), 0);
	fake.eeh.state = WEIR_EEH_STOPPED;
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), 0);
	assert_string_equal(fake.eeh.done, "2658");
	assert_int_equal(weir_eeh_state(dev), WEIR_EEH_NORMAL);
	assert_int_equal(peek(COMMAND) & 0xffff, 2 | MASTER);
	signals(WEIR_IRQ_MSIX, 0);
	assert_true(fake_interrupt(WEIR_IRQ_MSIX, 1));
	assert_int_equal(weir_irq_fd(dev, WEIR_IRQ_MSIX, 1), fds[1]);
	assert_false(fake_interrupt(WEIR_IRQ_MSIX, 2));
	assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_MSIX), 0);
	close(fds[1]);
}

static void kind_by_kind(void **state)
{
	(void)state;
	/* None; and what is off stays off. */
	assert_int_equal(weir_device_bus_master(dev, false), 0);
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_FUNDAMENTAL), 0);
	assert_string_equal(fake.eeh.done, "758");
	assert_int_equal(peek(COMMAND) & 0xffff, 2);
	for (unsigned int irq = WEIR_IRQ_INTX; irq <= WEIR_IRQ_MSI; irq++) {
		assert_int_equal(weir_irq_enable(dev, irq, 1), 0);
		assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), 0);
		signals(irq, 0);
		assert_int_equal(weir_irq_disable(dev, irq), 0);
	}
}

static void second_reset_may_do(void **state)
{
	(void)state;
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSI, 1), 0);
	fake.eeh.bad_resets = 1;
	an_operation_fails(WR_VFIO_EEH_RESET_DEACTIVATE, -EIO, 1);
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), 0);
	assert_string_equal(fake.eeh.done, "665658");
	signals(WEIR_IRQ_MSI, 0);
}

static void not_forever(void **state)
{
	(void)state;
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSI, 1), 0);
	fake.eeh.bad_resets = 3;
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), -EIO);
	assert_says(NAME ": after a reset it is still: frozen");
	assert_string_equal(fake.eeh.done, "656565");
	/* Interrupts are disabled, here and there. */
	assert_int_equal(weir_irq_wait(dev, WEIR_IRQ_MSI, 0, 0), -EINVAL);
	assert_int_equal(fake.device.active, NO_IRQ);
	an_operation_fails(WR_VFIO_EEH_RESET_DEACTIVATE, -EIO, 3);
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), -EIO);
	assert_says("ending EEH's reset");
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), 0);
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSI, 1), 0);
	signals(WEIR_IRQ_MSI, 0);
}

/* Not every firmware does every reset: what worked before works on. */
static void reset_that_is_not_to_be_had(void **state)
{
	(void)state;
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSI, 1), 0);
	an_operation_fails(WR_VFIO_EEH_RESET_FUNDAMENTAL, -EIO, 3);
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_FUNDAMENTAL), -EIO);
	assert_says(NAME ": EEH's fundamental reset");
	assert_string_equal(fake.eeh.done, "5558");
	assert_int_equal(peek(COMMAND) & 0xffff, 2 | MASTER);
	signals(WEIR_IRQ_MSI, 0);
	/* What was frozen isn't as it was: it isn't put back into work unreset. */
	fake.eeh.state = WEIR_EEH_STOPPED;
	an_operation_fails(WR_VFIO_EEH_RESET_FUNDAMENTAL, -EIO, 3);
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_FUNDAMENTAL), -EIO);
	assert_int_equal(peek(COMMAND) & 0xffff, 2);
	assert_int_equal(weir_irq_wait(dev, WEIR_IRQ_MSI, 0, 0), -EINVAL);
	assert_int_equal(fake.device.active, NO_IRQ);
}

static void unavailable_device_is_let_alone(void **state)
{
	(void)state;
	fake.eeh.state = WEIR_EEH_UNAVAILABLE;
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), -EAGAIN);
	assert_says("unavailable");
	assert_string_equal(fake.eeh.done, "");
	fake.eeh.state = WEIR_EEH_NORMAL;
}

/* After the reset what can be had back is, whatever fails. */
static void half_a_recovery(void **state)
{
	(void)state;
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSI, 1), 0);
	an_operation_fails(WR_VFIO_EEH_CONFIGURE, -EIO, 1);
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), -EIO);
	assert_says("bridges");
	assert_int_equal(peek(COMMAND) & 0xffff, 2 | MASTER);
	signals(WEIR_IRQ_MSI, 0);
	fake.device.bad_vectors = fake.device.bad_times = 1;
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), -ENOMEM);
	assert_says("enabling MSI again");
	assert_int_equal(peek(COMMAND) & 0xffff, 2 | MASTER);
	assert_int_equal(weir_irq_wait(dev, WEIR_IRQ_MSI, 0, 0), -EINVAL);
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSI, 1), 0);
	signals(WEIR_IRQ_MSI, 0);
}

static void change_interrupts(void)
{
	struct wr_suspended suspended;

	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSIX, 1), -EAGAIN);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSI, 0, 1, NULL), -EAGAIN);
	assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_MSI), -EAGAIN);
	assert_says("try again");
	/* As another thread's recovery would. */
	assert_int_equal(wr_irqs_suspend(dev, &suspended), -EAGAIN);
}

static void interrupts_stay_as_they_are_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSI, 1), 0);
	fake.eeh.during_reset = change_interrupts;
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), 0);
	fake.eeh.during_reset = NULL;
	signals(WEIR_IRQ_MSI, 0);
	assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_MSI), 0);
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSIX, 1), 0);
}

static void interrupts_that_the_kernel_keeps(void **state)
{
	(void)state;
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSI, 1), 0);
	fake.fail_with = -EPERM;
	fake.fail_at = fake.calls + 2;	/* behind GET_STATE: SET_IRQS */
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), -EPERM);
	assert_string_equal(fake.eeh.done, "");
	signals(WEIR_IRQ_MSI, 0);
	assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_MSI), 0);
}

static char heard[512];

static void hear(void *arg, enum weir_log_level level, const char *msg)
{
	(void)arg, (void)level;
	strncat(heard, msg, sizeof(heard) - strlen(heard) - 1);
}

static void unknown_command_register(void **state)
{
	(void)state;
	fake.eeh.config_dead = true;
	heard[0] = '\0';
	weir_log_set(hear, NULL, WEIR_LOG_WARN);
	assert_int_equal(weir_eeh_recover(dev, WEIR_EEH_RESET_HOT), 0);
	weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
	fake.eeh.config_dead = false;
	assert_non_null(strstr(heard, "bus mastering is off"));
	assert_int_equal(peek(COMMAND) & 0xffff, 2);
}

/* ---- a frozen device, elsewhere ---- */

static void frozen_registers(void **state)
{
	struct weir_bar *bar;

	(void)state;
	poke(BAR2_AT, UINT32_MAX);
	assert_int_equal(weir_bar_open(dev, 2, WEIR_BAR_CALLS, &bar), 0);
	assert_int_equal(weir_eeh_reset(dev, (enum weir_eeh_reset)9), -EINVAL);
	assert_int_equal(weir_read32(bar, 0), UINT32_MAX);
	assert_says("9 is no weir_eeh_reset");	/* ones are all right: nothing more is said */
	an_operation_fails(WR_VFIO_EEH_GET_STATE, -ENODEV, 9);
	assert_int_equal(weir_read32(bar, 0), UINT32_MAX);
	assert_says("9 is no weir_eeh_reset");
	fake.eeh.error_times = 0;
	fake.eeh.state = WEIR_EEH_STOPPED;
	assert_int_equal(weir_read32(bar, 4), UINT32_MAX);
	assert_says(NAME ": BAR 2, offset 0x4: EEH has stopped the device, all of it reads ones");
	/* Nobody waits for who changes the address space. */
	pthread_mutex_lock(&weir_device_ioas(dev)->lock);
	assert_int_equal(weir_read32(bar, 4), UINT32_MAX);
	assert_int_equal(weir_device_gone(dev), 1);
	pthread_mutex_unlock(&weir_device_ioas(dev)->lock);
	fake.eeh.state = WEIR_EEH_NORMAL;
	assert_int_equal(weir_bar_close(bar), 0);
}

static void frozen_is_not_gone(void **state)
{
	(void)state;
	fake.eeh.state = WEIR_EEH_STOPPED;
	assert_int_equal(weir_device_gone(dev), 0);
	assert_int_equal(weir_device_bus_master(dev, true), -ENODEV);
	assert_says("EEH has stopped it: weir_eeh_recover()");
	fake.device.reset_error = -ENOTTY;
	assert_true(weir_device_reset(dev) < 0);
	assert_says("EEH has stopped it");
	fake.eeh.state = WEIR_EEH_NORMAL;
	assert_true(weir_device_reset(dev) < 0);
	assert_null(strstr(weir_errmsg(), "EEH"));
	assert_null(strstr(weir_errmsg(), "nothing"));
	fake.device.reset_error = 0;
	fake.eeh.config_dead = true;
	assert_int_equal(weir_device_gone(dev), 1);
	assert_int_equal(weir_device_bus_master(dev, true), -ENODEV);
	assert_null(strstr(weir_errmsg(), "EEH"));
	fake.eeh.config_dead = false;
}

#define POWER(f) cmocka_unit_test_setup_teardown(f, setup_power, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_power_has_it),
		POWER(bad_input),
		POWER(what_the_host_says_is_told),
		POWER(states),
		POWER(step_by_step),
		POWER(an_error_is_injected),
		cmocka_unit_test_setup_teardown(other_groups_are_left_alone, start_power,
						teardown),
		POWER(frozen_device_comes_back),
		POWER(kind_by_kind),
		POWER(second_reset_may_do),
		POWER(not_forever),
		POWER(reset_that_is_not_to_be_had),
		POWER(unavailable_device_is_let_alone),
		POWER(half_a_recovery),
		POWER(interrupts_stay_as_they_are_meanwhile),
		POWER(interrupts_that_the_kernel_keeps),
		POWER(unknown_command_register),
		POWER(frozen_registers),
		POWER(frozen_is_not_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
