/* SPDX-License-Identifier: MIT */
/*
 * An address space goes from one process to another, on a real IOMMUFD, while its device, an edu,
 * is in the middle of a transfer: through a socket, from a process that is killed, to what the
 * process executes, and back.
 */
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/vm/guest/guest.h"

#define FILE_PAGES	16
#define MEM_PAGES	4
#define PINNED_KIB	((FILE_PAGES + MEM_PAGES) * PAGE / 1024)
#define FDS_MAX		8

/* What goes beside the fds: they are the process's number of them, or those of what it executes. */
struct parcel {
	weir_iova file_at, mem_at;
	int fds[FDS_MAX], n;
};

/* The exporter is no test: it tells of its trouble, and ends. */
#define OR_DIE(call) or_die((call), #call, __LINE__)

static int or_die(int ret, const char *call, int line)
{
	if (ret < 0) {
		printf("# line %d: %s: %s\n", line, call, weir_errmsg());
		_exit(1);
	}
	return ret;
}

/* What the kernel pinned and counts as a process's, in KiB. */
static unsigned long pinned(pid_t pid)
{
	char path[64], line[128];
	unsigned long kib = 0;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "re");
	assert_non_null(status);
	while (fgets(line, sizeof(line), status))
		sscanf(line, "VmPin: %lu", &kib);
	fclose(status);
	return kib;
}

/* Of who may lock as much as it likes, nothing is counted. */
static void may_not_lock(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	OR_DIE((int)syscall(SYS_capget, &header, data));
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	OR_DIE((int)syscall(SYS_capset, &header, data));
}

static void send_parcel(int to, const struct parcel *parcel)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(parcel->fds))];
	} control = { 0 };
	struct iovec iov = { (void *)parcel, sizeof(*parcel) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(parcel->n * sizeof(int)),
	};

	control.head = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(parcel->n * sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	};
	memcpy(CMSG_DATA(&control.head), parcel->fds, parcel->n * sizeof(int));
	OR_DIE((int)sendmsg(to, &msg, 0));
}

static void receive_parcel(int from, struct parcel *parcel)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(parcel->fds))];
	} control;
	struct iovec iov = { parcel, sizeof(*parcel) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	assert_int_equal(recvmsg(from, &msg, MSG_CMSG_CLOEXEC), sizeof(*parcel));
	assert_int_equal(control.head.cmsg_len, CMSG_LEN(parcel->n * sizeof(int)));
	memcpy(parcel->fds, CMSG_DATA(&control.head), parcel->n * sizeof(int));
}

/* ---- the exporter ---- */

/*
 * Open the edu, with a file of memory and a weir_mem, see that both are reached, and begin a
 * transfer that writes 0x5a to the file's second page; it takes 100 ms.
 */
static struct opened begin(struct parcel *parcel)
{
	const struct weir_iommu_opts by_iommufd = { .interface = "iommufd" };
	const struct weir_mem_opts shared = { .shared = true };
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct weir_mem *mem;
	struct opened a;

	/* The harness waits for all that have its pipe. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	may_not_lock();
	OR_DIE(ftruncate(fd, FILE_PAGES * PAGE));
	OR_DIE(weir_iommu_open(&by_iommufd, &iommu));
	OR_DIE(weir_ioas_open(iommu, &as));
	OR_DIE(weir_ioas_map_fd(as, fd, 0, FILE_PAGES * PAGE, NULL, &parcel->file_at));
	close(fd);
	a = open_edu(iommu, device("WEIR_TEST_EDU"), as);
	OR_DIE(weir_mem_alloc(as, MEM_PAGES * PAGE, &shared, &mem));
	parcel->mem_at = weir_mem_iova(mem);
	OR_DIE(edu_irq_enable_kind(a.edu, WEIR_IRQ_MSI));
	memset(weir_mem_ptr(mem), 0x5a, MEM_PAGES * PAGE);
	OR_DIE(edu_write(a.edu, weir_mem_ptr(mem), PAGE, 0));
	OR_DIE(edu_dma_start(a.edu, parcel->file_at + PAGE, 0, PAGE, false));
	return a;
}

static struct opened begin_and_export(struct parcel *parcel)
{
	struct opened a = begin(parcel);

	parcel->n = OR_DIE(weir_ioas_export(weir_device_ioas(a.dev), parcel->fds, FDS_MAX));
	/* The record, /dev/iommu, the node, two files, an eventfd. */
	if (parcel->n != 6)
		OR_DIE(-1);
	return a;
}

/* Another process, which exports and waits to be killed. */
static pid_t exporter(int to)
{
	struct parcel parcel = { 0 };
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	begin_and_export(&parcel);
	send_parcel(to, &parcel);
	for (;;)
		pause();
}

static void end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

/* ---- the importer ---- */

struct taken {
	struct weir_ioas *as;
	struct weir_device *dev;
	unsigned char *file, *mem;
};

static struct taken take(const struct parcel *parcel)
{
	struct weir_device_opts opts = { .dma_bits = EDU_DMA_BITS };
	uint16_t command;
	struct taken t;

	MUST(weir_ioas_import(NULL, parcel->fds, (size_t)parcel->n, &t.as));
	for (int i = 0; i < parcel->n; i++)
		close(parcel->fds[i]);
	opts.ioas = t.as;
	MUST(weir_device_open(NULL, device("WEIR_TEST_EDU"), &opts, &t.dev));
	/* It wasn't reset. */
	MUST(weir_config_read16(t.dev, 4, &command));
	assert_true(command & 4);
	MUST(weir_ioas_to_vaddr(t.as, parcel->file_at, (void **)&t.file, NULL));
	MUST(weir_ioas_to_vaddr(t.as, parcel->mem_at, (void **)&t.mem, NULL));
	return t;
}

static void assert_all_are(const unsigned char *page, unsigned char byte)
{
	for (size_t i = 0; i < PAGE; i++)
		assert_int_equal(page[i], byte);
}

/* What began before arrives, with its interrupt. */
static void transfer_arrived(const struct taken *t)
{
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_MSI, 0, 10000), 1);
	assert_all_are(t->file + PAGE, 0x5a);
	assert_all_are(t->file, 0);
	assert_all_are(t->mem, 0x5a);
}

/* By the driver, at the same IOVAs; and all is changed and closed as usual. */
static void goes_on(const struct taken *t, const struct parcel *parcel)
{
	unsigned char *page = page_of(0, 2);
	struct edu *edu;
	weir_iova iova;

	MUST(edu_open(t->dev, &edu));
	round_trip(edu, t->file + 4 * PAGE, 0x11);
	round_trip(edu, t->mem, 0x22);
	MUST(weir_ioas_to_iova(t->as, t->mem, &iova, NULL));
	assert_int_equal(iova, parcel->mem_at);
	MUST(weir_ioas_map(t->as, page, 2 * PAGE, NULL, &iova));
	round_trip(edu, page, 0x33);
	MUST(weir_ioas_unmap(t->as, parcel->mem_at, MEM_PAGES * PAGE));
	MUST(weir_irq_disable(t->dev, WEIR_IRQ_MSI));
	MUST(edu_irq_enable_kind(edu, WEIR_IRQ_MSI));
	round_trip(edu, page, 0x44);
	MUST(edu_close(edu));
	MUST(weir_device_close(t->dev));
	MUST(weir_ioas_close(t->as));
	munmap(page, 2 * PAGE);
}

/* From a process that has it until then, and waits. */
static pid_t receive_from_another(struct parcel *parcel)
{
	int ends[2];
	pid_t pid;

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	pid = exporter(ends[1]);
	close(ends[1]);
	receive_parcel(ends[0], parcel);
	close(ends[0]);
	return pid;
}

static void passed_on_while_it_runs(void **state)
{
	struct parcel parcel;
	struct taken t;
	pid_t pid;

	(void)state;
	pid = receive_from_another(&parcel);
	assert_int_equal(pinned(pid), PINNED_KIB);
	assert_int_equal(pinned(getpid()), 0);
	t = take(&parcel);
	assert_int_equal(pinned(pid), 0);
	assert_int_equal(pinned(getpid()), PINNED_KIB);
	end(pid);
	transfer_arrived(&t);
	goes_on(&t, &parcel);
	assert_int_equal(pinned(getpid()), 0);
}

static void exporter_was_killed(void **state)
{
	struct parcel parcel;
	struct taken t;

	(void)state;
	end(receive_from_another(&parcel));
	/* While nobody has it but as fds, the device goes on. */
	usleep(300000);
	t = take(&parcel);
	assert_int_equal(pinned(getpid()), PINNED_KIB);
	transfer_arrived(&t);
	goes_on(&t, &parcel);
}

/* Nobody takes it: the kernel resets the device, and the next one finds it usable. */
static void nobody_took_it(void **state)
{
	struct parcel parcel;
	struct opened a;
	struct weir_mem *mem;
	int ends[2];
	pid_t pid;

	(void)state;
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	pid = exporter(ends[1]);
	close(ends[1]);
	receive_parcel(ends[0], &parcel);
	close(ends[0]);
	end(pid);
	for (int i = 0; i < parcel.n; i++)
		close(parcel.fds[i]);
	a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
	MUST(weir_mem_alloc(weir_device_ioas(a.dev), 2 * PAGE, NULL, &mem));
	round_trip(a.edu, weir_mem_ptr(mem), 0x66);
	MUST(weir_mem_free(mem));
	close_edu(a);
}

/* The process executes itself: its memory goes, and what counted for that. */
static void next_version(void **state)
{
	struct parcel parcel = { 0 };
	char text[sizeof(parcel) * 2 + 1];
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		begin_and_export(&parcel);
		for (int i = 0; i < parcel.n; i++)
			OR_DIE(fcntl(parcel.fds[i], F_SETFD, 0));
		for (size_t i = 0; i < sizeof(parcel); i++)
			sprintf(text + 2 * i, "%02x", ((unsigned char *)&parcel)[i]);
		execl("/proc/self/exe", "handover", text, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* What it executes. */
static void the_next_version(void **state)
{
	struct parcel parcel;
	const char *text = *state;
	struct taken t;

	for (size_t i = 0; i < sizeof(parcel); i++)
		sscanf(text + 2 * i, "%2hhx", &((unsigned char *)&parcel)[i]);
	t = take(&parcel);
	assert_int_equal(pinned(getpid()), PINNED_KIB);
	transfer_arrived(&t);
	goes_on(&t, &parcel);
	assert_int_equal(pinned(getpid()), 0);
}

static void next_version_main(char *text)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(the_next_version, text),
	};
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* There is a report already, the parent's. */
	dup2(null, STDOUT_FILENO);
	exit(cmocka_run_group_tests_name("next version", tests, NULL, NULL) ? 1 : 0);
}

/* In the exporter, after the transfer that it began. */
static bool works_again(struct opened a, const struct parcel *parcel)
{
	struct weir_ioas *as = weir_device_ioas(a.dev);
	unsigned char *file;

	OR_DIE(weir_ioas_keep(as));
	OR_DIE(weir_ioas_to_vaddr(as, parcel->file_at, (void **)&file, NULL));
	file[0] = 0x77;
	OR_DIE(edu_write(a.edu, file, PAGE, 0));
	OR_DIE(edu_read(a.edu, file + 2 * PAGE, PAGE, 0));
	if (file[2 * PAGE] != 0x77 || pinned(getpid()) != PINNED_KIB)
		return false;
	OR_DIE(weir_ioas_unmap(as, parcel->file_at, FILE_PAGES * PAGE));
	return pinned(getpid()) == MEM_PAGES * PAGE / 1024;
}

/* The importer dies: who exported takes it back. */
static void taken_back(void **state)
{
	struct parcel parcel = { 0 };
	struct taken t;
	int ends[2], status;
	pid_t pid;
	char byte;

	(void)state;
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct opened a = begin_and_export(&parcel);

		send_parcel(ends[1], &parcel);
		if (read(ends[1], &byte, 1) != 1)
			_exit(1);
		_exit(works_again(a, &parcel) ? 0 : 1);
	}
	close(ends[1]);
	receive_parcel(ends[0], &parcel);
	t = take(&parcel);
	transfer_arrived(&t);
	assert_int_equal(pinned(pid), 0);
	/* As good as dead: all that it has is closed, and the kernel's part stays. */
	MUST(weir_ioas_export(t.as, parcel.fds, FDS_MAX));
	MUST(weir_device_close(t.dev));
	MUST(weir_ioas_close(t.as));
	assert_int_equal(write(ends[0], "k", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(ends[0]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passed_on_while_it_runs),
		cmocka_unit_test(exporter_was_killed),
		cmocka_unit_test(nobody_took_it),
		cmocka_unit_test(next_version),
		cmocka_unit_test(taken_back),
	};

	if (argc > 1)
		next_version_main(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
