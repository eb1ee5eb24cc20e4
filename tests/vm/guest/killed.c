/* SPDX-License-Identifier: MIT */
/*
 * A process is killed while its device is at work on its memory. What the next one finds: a device
 * that was reset where that can be, else one without bus mastering; and it is told which.
 */
#include <signal.h>
#include <sys/wait.h>

#include "drivers/nvme/nvme.h"
#include "tests/vm/guest/left.h"

/* A child runs @work, which writes a byte when it has begun, and is killed some time after that. */
static void kill_at_work(void (*work)(const char *address, int ready), const char *address)
{
	int ready[2], status;
	pid_t pid;
	char byte;

	MUST(pipe(ready));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		work(address, ready[1]);
		_exit(1);
	}
	close(ready[1]);	/* so that a child that fails ends the wait */
	assert_int_equal(read(ready[0], &byte, 1), 1);
	usleep(30000);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	close(ready[0]);
	bus_mastering_is_off(address);
	no_late_dma();
}

/* In the child, which mustn't return into the test. */
static void child_must(int ret)
{
	if (ret < 0) {
		fprintf(stderr, "child: %d, %s\n", ret, weir_errmsg());
		_exit(1);
	}
}

/* The device goes on writing: of the time that passes nearly all is that of a transfer. */
static void edu_at_work(const char *address, int ready)
{
	struct weir_device *dev;
	struct weir_mem *mem;
	struct edu *edu;

	child_must(weir_device_open(NULL, address, NULL, &dev));
	child_must(edu_open(dev, &edu));
	child_must(edu_live(edu));
	child_must(weir_mem_alloc(weir_device_ioas(dev), 16 << 20, NULL, &mem));
	child_must(edu_irq_enable(edu));
	child_must((int)write(ready, "r", 1));
	for (;;)
		child_must(edu_dma(edu, weir_mem_iova(mem), 0, PAGE, false));
}

static void use_again(const char *address, bool resets)
{
	struct weir_device *dev;
	struct weir_ioas *as;
	struct weir_mem *mem;
	struct edu *edu;

	MUST(weir_ioas_open(NULL, &as));
	dev = open_left(NULL, as, address, resets);
	MUST(weir_mem_alloc(as, 2 * PAGE, NULL, &mem));
	MUST(edu_open(dev, &edu));
	if (!resets)	/* as it was left */
		assert_true(edu_lived(edu));
	round_trip(edu, weir_mem_ptr(mem), 0x61);
	MUST(edu_close(edu));
	MUST(weir_device_close(dev));
	MUST(weir_mem_free(mem));
	MUST(weir_ioas_close(as));
}

static void edu_without_a_reset(void **state)
{
	(void)state;
	kill_at_work(edu_at_work, device("WEIR_TEST_EDU"));
	use_again(device("WEIR_TEST_EDU"), false);
}

static void edu_that_is_reset_by_its_bus(void **state)
{
	(void)state;
	kill_at_work(edu_at_work, device("WEIR_TEST_BEHIND"));
	use_again(device("WEIR_TEST_BEHIND"), true);
}

static void nvme_at_work(const char *address, int ready)
{
	struct nvme_queue *queue;
	struct weir_device *dev;
	struct weir_mem *mem;
	struct nvme_ns ns;
	struct nvme *nvme;

	child_must(weir_device_open(NULL, address, NULL, &dev));
	child_must(nvme_open(dev, NULL, &nvme));
	child_must(nvme_namespace(nvme, 1, &ns));
	child_must(nvme_queue_open(nvme, 8, &queue));
	child_must(weir_mem_alloc(weir_device_ioas(dev), 4 << 20, NULL, &mem));
	child_must(nvme_write(queue, &ns, 0, weir_mem_ptr(mem), 4 << 20));
	child_must((int)write(ready, "r", 1));
	for (;;)
		child_must(nvme_read(queue, &ns, 0, weir_mem_ptr(mem), 4 << 20));
}

static void nvme_that_has_a_reset(void **state)
{
	const char *address = device("WEIR_TEST_NVME");
	struct weir_device *dev;
	struct nvme *nvme;
	struct weir_ioas *as;

	(void)state;
	kill_at_work(nvme_at_work, address);
	MUST(weir_ioas_open(NULL, &as));
	dev = open_left(NULL, as, address, true);
	nvme_was_reset(dev);
	MUST(nvme_open(dev, NULL, &nvme));
	MUST(nvme_close(nvme));
	MUST(weir_device_close(dev));
	MUST(weir_ioas_close(as));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edu_without_a_reset),
		cmocka_unit_test(edu_that_is_reset_by_its_bus),
		cmocka_unit_test(nvme_that_has_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
