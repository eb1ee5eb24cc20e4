/* SPDX-License-Identifier: MIT */
/* After a fork: the child's calls fail and change nothing, and the parent goes on as before. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/device.h"
#include "rig.h"

#define REFUSED(call)	do {									\
	if ((call) != -EPERM || !strstr(weir_errmsg(), "before a fork()"))			\
		return __LINE__;								\
} while (0)
#define WORKS(call)	do { if ((call) < 0) return __LINE__; } while (0)

/*
 * What a child answers is the line that went wrong. @lock: held at the fork, by another thread as
 * far as the child can tell; NULL: none.
 */
static void in_child_locked(int (*check)(struct rig *rig), struct rig *rig, pthread_mutex_t *lock)
{
	unsigned long calls = fake.calls;
	int status = 0;
	pid_t pid;

	if (lock)
		pthread_mutex_lock(lock);
	pid = fork();
	if (!pid) {
		int line = check(rig);

		/* Nothing came to the kernel. */
		if (!line && fake.calls != calls)
			line = 1;
		_exit(line > 255 ? 255 : line);
	}
	if (pid > 0)
		pid = waitpid(pid, &status, 0);
	/* Before a failure of the test goes on to its teardown. */
	if (lock)
		pthread_mutex_unlock(lock);
	assert_true(pid > 0);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status))
		fail_msg("the child stopped at line %d (mod 256)", WEXITSTATUS(status));
}

static void in_child(int (*check)(struct rig *rig), struct rig *rig)
{
	in_child_locked(check, rig, NULL);
}

static struct weir_mem *mem;

static int uses_address_space(struct rig *rig)
{
	struct weir_iova_range ranges[4];
	const struct iovec iov = { rig->memory, page };
	struct weir_ioas_caps caps;
	struct weir_fault fault;
	struct weir_mem *other;
	struct weir_ioas *as;
	weir_iova iova = 0;
	uint64_t bits = 0;
	int fds[3] = { 0 };

	REFUSED(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova));
	REFUSED(weir_ioas_mapv(rig->as, &iov, 1, NULL, &iova));
	REFUSED(weir_ioas_map_fd(rig->as, 0, 0, page, NULL, &iova));
	REFUSED(weir_ioas_copy(rig->as, rig->as, page, page, NULL, &iova));
	REFUSED(weir_ioas_allow(rig->as, NULL, 0));
	REFUSED(weir_ioas_small_pages(rig->as, true));
	REFUSED(weir_ioas_unmap(rig->as, page, page));
	REFUSED(weir_ioas_unmap_all(rig->as));
	REFUSED(weir_ioas_update_vaddr(rig->as, page, page, rig->memory));
	REFUSED(weir_ioas_ranges(rig->as, ranges, 4));
	REFUSED(weir_ioas_caps(rig->as, &caps));
	REFUSED(weir_ioas_faults(rig->as, &fault, 1));
	REFUSED(weir_ioas_dirty_start(rig->as));
	REFUSED(weir_ioas_dirty_stop(rig->as));
	REFUSED(weir_ioas_dirty_read(rig->as, page, page, &bits));
	REFUSED(weir_ioas_close(rig->as));
	REFUSED(weir_mem_alloc(rig->as, page, NULL, &other));
	REFUSED(weir_mem_free(mem));
	REFUSED(weir_ioas_open(rig->iommu, &as));
	REFUSED(weir_ioas_export(rig->as, fds, 3));
	REFUSED(weir_ioas_keep(rig->as));
	REFUSED(weir_ioas_import(rig->iommu, fds, 3, &as));
	REFUSED(weir_iommu_fd(rig->iommu));
	REFUSED(weir_iommu_close(rig->iommu));
	/* Look-ups take no lock and change nothing. */
	WORKS(weir_ioas_to_iova(rig->as, rig->memory, &iova, NULL));
	return iova == page ? 0 : __LINE__;
}

static void address_space_is_the_parents(void **state)
{
	struct rig *rig = *state;

	attach_soft(rig);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(weir_mem_alloc(rig->as, page, NULL, &mem), 0);
	in_child(uses_address_space, rig);
	assert_int_equal(fake_mappings(0), 2);
	assert_int_equal(weir_mem_free(mem), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), 0);
	detach(rig, 0);
}

static int uses_model(struct rig *rig)
{
	struct weir_device *dev;
	unsigned long calls;
	char byte = 0;

	REFUSED(weir_model_dma_read(rig->model, page, &byte, 1));
	REFUSED(weir_model_dma_write(rig->model, page, &byte, 1));
	REFUSED(weir_model_dma_begin(rig->model));
	REFUSED(weir_model_msi(rig->model, 0));
	REFUSED(weir_model_intx(rig->model, true));
	REFUSED(weir_model_signal(rig->model, WEIR_IRQ_REQ));
	REFUSED(weir_model_config(rig->model, WEIR_MODEL_CONFIG_OWN, "a", "a", 1));
	REFUSED(weir_model_remove(rig->model));
	REFUSED(weir_model_destroy(rig->model));
	calls = fake.calls;
	REFUSED(weir_device_open_model(NULL, rig->model, NULL, &dev));
	/* It made an address space of its own, and took it back. */
	fake.calls = calls;
	return 0;
}

static struct weir_device *edu;
static struct weir_bar *bar;

static int uses_device(struct rig *rig)
{
	const struct weir_device_opts opts = { .ioas = rig->as };
	struct weir_region_info info;
	struct weir_irq_info irq;
	struct weir_area area;
	struct weir_device *other;
	struct weir_bar *another;
	weir_iova iova = 0;
	uint8_t byte = 0;

	alarm(60);
	REFUSED(weir_device_open(NULL, "soft:edu", &opts, &other));
	REFUSED(weir_device_open(rig->iommu, "soft:edu", NULL, &other));
	REFUSED(weir_region_info(edu, 0, &info));
	REFUSED(weir_region_areas(edu, 0, &area, 1));
	REFUSED(weir_region_read(edu, 0, 0, &byte, 1));
	REFUSED(weir_region_write(edu, 0, 0, &byte, 1));
	REFUSED(weir_ioeventfd(edu, 0, 0, 1, 0, -1));
	REFUSED(weir_config_read8(edu, 0, &byte));
	REFUSED(weir_config_caps(edu, NULL, 0));
	REFUSED(weir_device_bus_master(edu, false));
	REFUSED(weir_device_reset(edu));
	REFUSED(weir_device_gone(edu));
	REFUSED(weir_device_move(edu, rig->as));
	REFUSED(weir_device_fd(edu));
	REFUSED(weir_device_hot_reset(edu));
	REFUSED(weir_device_hot_reset_info(edu, NULL, 0));
	REFUSED(weir_device_has(edu, WEIR_FEATURE_LOW_POWER));
	REFUSED(weir_device_low_power(edu, false, -1));
	REFUSED(weir_eeh_state(edu));
	REFUSED(weir_eeh_recover(edu, WEIR_EEH_RESET_HOT));
	REFUSED(weir_eeh_inject(edu, &(struct weir_eeh_error){ 0 }));
	REFUSED(weir_bar_open(edu, 0, WEIR_BAR_AUTO, &another));
	if (weir_read32(bar, 0) != UINT32_MAX || !strstr(weir_errmsg(), "before a fork()"))
		return __LINE__;
	REFUSED(weir_bar_close(bar));
	REFUSED(weir_ioas_map_bar(rig->as, bar, 0, page, NULL, &iova));
	REFUSED(weir_irq_info(edu, WEIR_IRQ_MSI, &irq));
	REFUSED(weir_irq_enable(edu, WEIR_IRQ_INTX, 1));
	REFUSED(weir_irq_set(edu, WEIR_IRQ_MSI, 0, 1, NULL));
	REFUSED(weir_irq_disable(edu, WEIR_IRQ_MSI));
	REFUSED(weir_irq_fd(edu, WEIR_IRQ_MSI, 0));
	REFUSED(weir_irq_wait(edu, WEIR_IRQ_MSI, 0, 0));
	REFUSED(weir_irq_mask(edu, WEIR_IRQ_MSI, 0));
	REFUSED(weir_irq_unmask(edu, WEIR_IRQ_MSI, 0));
	REFUSED(weir_irq_unmask_fd(edu, WEIR_IRQ_MSI, 0, -1));
	REFUSED(weir_irq_trigger(edu, WEIR_IRQ_MSI, 0));
	REFUSED(weir_device_close(edu));
	return 0;
}

static void device_is_the_parents(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_device_open(rig->iommu, "soft:edu", NULL, &edu), 0);
	assert_int_equal(weir_bar_open(edu, 0, WEIR_BAR_AUTO, &bar), 0);
	in_child_locked(uses_device, rig, &edu->lock);
	assert_int_equal(weir_bar_close(bar), 0);
	assert_int_equal(weir_device_close(edu), 0);
}

static void model_is_the_parents(void **state)
{
	struct rig *rig = *state;

	in_child(uses_model, rig);
	attach_soft(rig);
	in_child(uses_model, rig);
	rig->memory[0] = 5;
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(soft_reaches(rig, page), 0);
}

/* Its own, and its own child has none of it again. */
static int opens_its_own(struct rig *rig)
{
	struct weir_ioas *as;
	weir_iova iova;
	int status;
	pid_t pid;

	WORKS(weir_ioas_open(NULL, &as));
	WORKS(weir_ioas_map(as, rig->memory, page, NULL, &iova));
	pid = fork();
	if (!pid)
		_exit(weir_ioas_close(as) == -EPERM && weir_ioas_close(rig->as) == -EPERM ? 0 : 1);
	if (waitpid(pid, &status, 0) != pid || status)
		return __LINE__;
	WORKS(weir_ioas_close(as));
	fake.calls = 0;
	return 0;
}

static void child_opens_its_own(void **state)
{
	fake.calls = 0;
	in_child(opens_its_own, *state);
}

/* Held by another thread at the fork, a lock would never be free in the child. */
static int with_a_held_lock(struct rig *rig)
{
	weir_iova iova;

	alarm(60);
	REFUSED(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova));
	return 0;
}

static void no_lock_is_waited_for(void **state)
{
	struct rig *rig = *state;

	in_child_locked(with_a_held_lock, rig, &rig->as->lock);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(address_space_is_the_parents),
		TEST(device_is_the_parents),
		TEST(model_is_the_parents),
		TEST(child_opens_its_own),
		TEST(no_lock_is_waited_for),
	};

	unsetenv("WEIR_IOMMU");
	unsetenv("WEIR_SOFT_BITS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
