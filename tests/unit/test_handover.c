/* SPDX-License-Identifier: MIT */
/* An address space goes to another process, and comes back; and what doesn't go. */
#include <sys/socket.h>
#include <sys/wait.h>

#include "handover_rig.h"

/* ---- there and back ---- */

static unsigned int warnings;

static void count_warnings(void *arg, enum weir_log_level level, const char *message)
{
	(void)arg, (void)level, (void)message;
	warnings++;
}

static void all_goes_on_in_another_process(void **state)
{
	unsigned int attaches = fake.iommufd.attaches;
	weir_iova mem_at = weir_mem_iova(mem);
	ino_t inodes[2] = { inode(file), inode(weir_mem_fd(mem)) };
	struct weir_device *there;
	struct weir_ioas *space;
	int list[FDS];
	char *bytes;

	(void)state;
	assert_int_equal(fake_charged(THERE), 0);
	hand_over();
	receive(list);
	/* Signalled while nobody has it. */
	assert_true(fake_interrupt(WEIR_IRQ_MSIX, 1));
	weir_log_set(count_warnings, NULL, WEIR_LOG_WARN);
	close_here();
	weir_log_set(NULL, NULL, WEIR_LOG_WARN);
	assert_int_equal(warnings, 0);
	assert_int_equal(fake_objects(), objects);
	space = import(list);
	assert_int_equal(fake_charged(0), 0);
	assert_int_equal(fake_charged(THERE), 6 * PAGE);
	there = open_by(NAME, space);
	close_list(list);
	assert_int_equal(fake.iommufd.attaches, attaches);
	assert_int_equal(fake_objects(), objects);
	assert_true(fake_ioas_has(0, file_at, 4 * PAGE, 2 * PAGE, BOTH, inodes[0]));
	assert_true(fake_ioas_has(0, mem_at, 2 * PAGE, 0, WR_IOMMU_MAP_READ, inodes[1]));
	assert_true(peek(CONFIG_AT + 4) & 4);

	/* The same memory; of what was a weir_mem, this process can write all. */
	assert_int_equal(pwrite(file, "weir", 4, (off_t)(3 * PAGE)), 4);
	assert_int_equal(weir_ioas_to_vaddr(space, file_at + PAGE, (void **)&bytes, NULL), 0);
	assert_memory_equal(bytes, "weir", 4);
	assert_int_equal(weir_ioas_to_vaddr(space, mem_at, (void **)&bytes, NULL), 0);
	assert_int_equal(bytes[PAGE], 0x5a);
	bytes[0] = 1;

	/* Interrupts, the one before included. */
	assert_int_equal(weir_irq_wait(there, WEIR_IRQ_MSIX, 1, 0), 1);
	assert_true(fake_interrupt(WEIR_IRQ_MSIX, 0));
	assert_int_equal(weir_irq_wait(there, WEIR_IRQ_MSIX, 0, 0), 1);
	assert_true(fake_interrupt(WEIR_IRQ_REQ, 0));
	assert_int_equal(weir_irq_wait(there, WEIR_IRQ_REQ, 0, 0), 1);
	assert_true(fake_interrupt(WEIR_IRQ_MSIX, 2));
	assert_int_equal(weir_irq_wait(there, WEIR_IRQ_MSIX, 2, 0), -EINVAL);
	assert_int_equal(weir_irq_set(there, WEIR_IRQ_MSIX, 2, 1, &mine), 0);
	assert_int_equal(weir_irq_enable(there, WEIR_IRQ_MSI, 1), -EBUSY);

	/* And it is changed, and closed, as any other. */
	assert_int_equal(weir_ioas_unmap(space, file_at, 4 * PAGE), 0);
	assert_int_equal(fake_ioas_mappings(0), 1);
	assert_int_equal(weir_device_close(there), 0);
	assert_false(peek(CONFIG_AT + 4) & 4);
	assert_int_equal(weir_ioas_close(space), 0);
	assert_int_equal(fake_objects(), 0);
}

#define REFUSED(call)	do {									\
	assert_int_equal(call, -EPERM);								\
	assert_says("handed over");								\
} while (0)

static void nothing_of_it_works_here(void **state)
{
	struct weir_device_opts opts = { .ioas = as };
	struct weir_device *other;
	struct weir_irq_info irq;
	struct weir_region_info region;
	struct weir_device_info info;
	struct weir_dependent dependent;
	struct weir_mem *more;
	struct weir_bar *bar;
	weir_iova iova = 0;
	uint64_t bits[1];
	unsigned long calls;
	uint16_t value;

	(void)state;
	assert_int_equal(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_MAPPED, &bar), 0);
	hand_over();
	calls = fake.calls;
	REFUSED(weir_ioas_export(as, fds, FDS));
	REFUSED(weir_ioas_map(as, weir_mem_ptr(mem), PAGE, NULL, &iova));
	REFUSED(weir_ioas_mapv(as, &(struct iovec){ weir_mem_ptr(mem), PAGE }, 1, NULL, &iova));
	REFUSED(weir_ioas_map_fd(as, file, 0, PAGE, NULL, &iova));
	REFUSED(weir_ioas_unmap(as, file_at, 4 * PAGE));
	REFUSED(weir_ioas_unmap_all(as));
	REFUSED(weir_ioas_update_vaddr(as, file_at, 4 * PAGE, weir_mem_ptr(mem)));
	REFUSED(weir_ioas_allow(as, NULL, 0));
	REFUSED(weir_ioas_small_pages(as, true));
	REFUSED(weir_ioas_copy(as, as, file_at, 4 * PAGE, NULL, &iova));
	REFUSED(weir_ioas_map_bar(as, bar, 0, PAGE, NULL, &iova));
	REFUSED(weir_ioas_dirty_start(as));
	REFUSED(weir_ioas_dirty_stop(as));
	REFUSED(weir_ioas_dirty_read(as, file_at, 4 * PAGE, bits));
	REFUSED(weir_mem_alloc(as, PAGE, NULL, &more));
	REFUSED(weir_device_move(dev, as));
	REFUSED(weir_device_fd(dev));
	REFUSED(weir_device_info(dev, &info));
	REFUSED(weir_device_bus_master(dev, false));
	REFUSED(weir_device_gone(dev));
	REFUSED(weir_device_reset(dev));
	REFUSED(weir_device_hot_reset_info(dev, &dependent, 1));
	REFUSED(weir_device_hot_reset(dev));
	REFUSED(weir_device_has(dev, WEIR_FEATURE_LOW_POWER));
	REFUSED(weir_device_low_power(dev, true, -1));
	REFUSED(weir_region_info(dev, WEIR_REGION_BAR0, &region));
	REFUSED(weir_config_read16(dev, 0, &value));
	REFUSED(weir_config_write16(dev, 4, 0));
	REFUSED(weir_ioeventfd(dev, WEIR_REGION_BAR0, 0, 4, 1, mine));
	REFUSED(weir_irq_info(dev, WEIR_IRQ_MSIX, &irq));
	REFUSED(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 1, &mine));
	REFUSED(weir_irq_disable(dev, WEIR_IRQ_MSIX));
	REFUSED(weir_irq_wait(dev, WEIR_IRQ_MSIX, 0, 0));
	REFUSED(weir_irq_fd(dev, WEIR_IRQ_MSIX, 0));
	assert_int_equal(fake.calls, calls);
	/* Other devices in it neither, nor by the same /dev/iommu. */
	REFUSED(weir_device_open(NULL, "0000:02:00.0", &opts, &other));
	assert_int_equal(weir_ioas_to_iova(as, weir_mem_ptr(mem), &iova, NULL), 0);
	assert_int_equal(iova, weir_mem_iova(mem));
	assert_int_equal(weir_ioas_close(as), -EBUSY);
	assert_int_equal(weir_bar_close(bar), 0);
	assert_int_equal(weir_ioas_keep(as), 0);
	assert_whole();
}

static void exporter_takes_it_back(void **state)
{
	struct weir_ioas *space;
	int list[FDS];

	(void)state;
	assert_int_equal(weir_ioas_keep(as), -EINVAL);
	assert_says("isn't handed over");
	/* The importer came as far as this, and died. */
	hand_over();
	receive(list);
	fake.memlock = PAGE;
	fake.iommufd.process = THERE;
	assert_int_equal(weir_ioas_import(NULL, list, (size_t)n_fds, &space), -ENOMEM);
	assert_says("counts twice");
	fake.memlock = UINT64_MAX;
	assert_int_equal(fake_charged(THERE), 0);
	space = import(list);
	assert_int_equal(fake_charged(THERE), 6 * PAGE);
	assert_int_equal(weir_ioas_export(space, fds, FDS), n_fds);
	assert_int_equal(weir_ioas_close(space), 0);
	close_list(list);
	fake.iommufd.process = 0;
	fake.memlock = PAGE;
	assert_int_equal(weir_ioas_keep(as), -ENOMEM);
	fake.memlock = UINT64_MAX;
	REFUSED(weir_device_bus_master(dev, false));
	assert_int_equal(weir_ioas_keep(as), 0);
	assert_int_equal(fake_charged(0), 6 * PAGE);
	assert_whole();
}

static void closed_devices_arent_taken_back(void **state)
{
	(void)state;
	hand_over();
	assert_int_equal(weir_device_close(dev), 0);
	dev = NULL;
	assert_int_equal(weir_ioas_keep(as), -ENODEV);
	REFUSED(weir_ioas_unmap_all(as));
}

static void nobody_has_it_any_more(void **state)
{
	(void)state;
	hand_over();
	close_here();
	assert_int_equal(fake_objects(), 0);
}

/* A caller who asks first how many there are gets nothing but that. */
static void room_is_needed_for_all(void **state)
{
	(void)state;
	assert_int_equal(weir_ioas_export(as, NULL, 0), 8);
	assert_int_equal(weir_ioas_export(as, fds, 7), 8);
	assert_whole();
}

/* ---- what can't go ---- */

static void only_files_go(void **state)
{
	char text[64];
	void *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	const struct iovec iov[] = { { memory, PAGE }, { memory, PAGE } };
	char name[] = "/tmp/weir-test-XXXXXX";
	weir_iova iova;
	int plain;

	(void)state;
	assert_int_equal(weir_ioas_map(as, memory, PAGE, NULL, &iova), 0);
	assert_int_equal(weir_ioas_export(as, fds, FDS), -ENOTSUP);
	snprintf(text, sizeof(text), "IOVA 0x%llx, %zu bytes: ", (unsigned long long)iova, PAGE);
	assert_says(text);
	assert_says("weir_mem_opts.shared");
	assert_int_equal(weir_ioas_unmap(as, iova, PAGE), 0);
	assert_int_equal(weir_ioas_mapv(as, iov, 2, NULL, &iova), 0);
	assert_int_equal(weir_ioas_export(as, fds, FDS), -ENOTSUP);
	snprintf(text, sizeof(text), "IOVA 0x%llx, %zu bytes: ", (unsigned long long)iova,
		 2 * PAGE);
	assert_says(text);
	assert_int_equal(weir_ioas_unmap(as, iova, 2 * PAGE), 0);
	munmap(memory, 2 * PAGE);

	/* A file, which the kernel doesn't map by itself. */
	plain = mkstemp(name);
	unlink(name);
	assert_int_equal(ftruncate(plain, (off_t)PAGE), 0);
	fake.iommufd.no_map_file = true;
	assert_int_equal(weir_ioas_map_fd(as, plain, 0, PAGE, NULL, &iova), 0);
	assert_int_equal(weir_ioas_export(as, fds, FDS), -ENOTSUP);
	assert_says("by its address, not by its file");
	assert_int_equal(weir_ioas_unmap(as, iova, PAGE), 0);
	close(plain);
	fake.iommufd.no_map_file = false;
	assert_whole();
}

static void old_kernel_is_named(void **state)
{
	(void)state;
	fake.iommufd.no_change_process = true;
	assert_int_equal(weir_ioas_export(as, fds, FDS), -ENOTSUP);
	assert_says("Linux 6.14");
	assert_whole();
}

static void what_counts_by_process_stays(void **state)
{
	struct wr_iommu_option option = { .size = sizeof(option), .val64 = 1 };
	struct weir_iommu_opts opts = { .use_iommufd = true };
	struct weir_iommu *iommu;
	struct weir_device *second;
	struct weir_ioas *space;

	(void)state;
	opts.iommufd = wr_sys->open("/dev/iommu", O_RDWR);
	assert_int_equal(wr_sys->ioctl(opts.iommufd, WR_IOMMU_OPTION, &option), 0);
	assert_int_equal(weir_iommu_open(&opts, &iommu), 0);
	wr_close(opts.iommufd);
	assert_int_equal(weir_ioas_open(iommu, &space), 0);
	second = open_by("0000:02:00.0", space);
	assert_int_equal(weir_ioas_export(space, fds, FDS), -ENOTSUP);
	assert_says("IOMMU_OPTION_RLIMIT_MODE");
	assert_int_equal(weir_device_close(second), 0);
	assert_int_equal(weir_ioas_close(space), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);
}

static void other_interfaces_stay(void **state)
{
	const struct weir_iommu_opts opts = { .interface = "type1v2" };
	struct weir_iommu *iommu;
	struct weir_device *soft, *second;
	struct weir_ioas *space;

	(void)state;
	assert_int_equal(weir_iommu_open(&opts, &iommu), 0);
	assert_int_equal(weir_ioas_open(iommu, &space), 0);
	assert_int_equal(weir_ioas_export(space, fds, FDS), -ENODEV);
	assert_says("no device is attached");
	second = open_by("0000:02:00.0", space);
	assert_int_equal(weir_ioas_export(space, fds, FDS), -ENOTSUP);
	assert_says("by type1v2 can't go to another process");
	/* And none comes to where another is forced, or is there. */
	hand_over();
	assert_int_equal(weir_ioas_import(iommu, fds, (size_t)n_fds, &space), -EINVAL);
	assert_says("type1v2 is asked for");
	assert_int_equal(weir_ioas_keep(as), 0);
	assert_int_equal(weir_device_close(second), 0);
	assert_int_equal(weir_ioas_close(space), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);
	soft = open_by("soft:edu", as);
	assert_int_equal(weir_ioas_export(as, fds, FDS), -ENOTSUP);
	assert_says("by soft can't go");
	assert_int_equal(weir_device_close(soft), 0);
	assert_int_equal(weir_ioas_export(as, NULL, 0), 8);
}

static void one_address_space_of_a_context_goes(void **state)
{
	struct weir_iommu *iommu;
	struct weir_device *second, *third;
	struct weir_ioas *one, *other, *space;
	struct weir_faultq *queue;
	struct weir_hwpt *hwpt;

	(void)state;
	assert_int_equal(weir_iommu_open(NULL, &iommu), 0);
	assert_int_equal(weir_ioas_open(iommu, &one), 0);
	assert_int_equal(weir_ioas_open(iommu, &other), 0);
	second = open_by("0000:02:00.0", one);
	third = open_by("0000:03:00.0", other);
	assert_int_equal(weir_ioas_export(one, fds, FDS), -EBUSY);
	assert_says("group 12 is attached to another address space");
	hand_over();
	assert_int_equal(weir_ioas_import(iommu, fds, (size_t)n_fds, &space), -EBUSY);
	assert_says("a /dev/iommu of its own");
	assert_int_equal(weir_ioas_keep(as), 0);
	/* A page table holds the other one without a device. */
	assert_int_equal(weir_hwpt_alloc(other, third, NULL, &hwpt), 0);
	assert_int_equal(weir_device_close(third), 0);
	assert_int_equal(weir_ioas_export(one, fds, FDS), -EBUSY);
	assert_says("made by hand of another address space");
	assert_int_equal(weir_hwpt_free(hwpt), 0);
	assert_int_equal(weir_faultq_open(iommu, &queue), 0);
	assert_int_equal(weir_ioas_export(one, fds, FDS), -EBUSY);
	assert_int_equal(weir_faultq_close(queue), 0);
	/* Afterwards the context has nothing of IOMMUFD until the address space is closed. */
	assert_int_equal(weir_ioas_export(one, fds, FDS), 3);
	fake.groups[2].open_error = -EACCES;
	assert_int_equal(weir_device_open(NULL, "0000:03:00.0",
					  &(struct weir_device_opts){ .ioas = other }, &third),
			 -EPERM);
	assert_says("/dev/iommu was handed over");
	assert_int_equal(weir_device_close(second), 0);
	assert_int_equal(weir_ioas_close(one), 0);
	third = open_by("0000:03:00.0", other);
	assert_int_equal(weir_device_close(third), 0);
	assert_int_equal(weir_ioas_close(other), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);
}

/* ---- devices ---- */

static void several_devices_go(void **state)
{
	struct weir_device *second, *third, *there[3];
	struct weir_ioas *space, *again;
	uint64_t bits = 0;
	int list[FDS];

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		fake.groups[i].tracks_dirty = i > 0;
	fake.groups[2].iommu = 1;
	second = open_by("0000:02:00.0", as);
	third = open_by("0000:03:00.0", as);
	assert_false(fake_same_table(1, 2));
	objects = fake_objects();
	n_fds = weir_ioas_export(as, fds, FDS);
	assert_int_equal(n_fds, 10);
	receive(list);
	assert_int_equal(weir_device_close(third), 0);
	assert_int_equal(weir_device_close(second), 0);
	close_here();

	/* One is opened, and all three go on. */
	space = import(list);
	close_list(list);
	there[1] = open_by("0000:02:00.0", space);
	assert_int_equal(weir_ioas_close(space), -EBUSY);
	assert_says("in use by 0000:02:00.0");
	n_fds = weir_ioas_export(space, fds, FDS);
	assert_int_equal(n_fds, 10);
	receive(list);
	assert_int_equal(weir_device_close(there[1]), 0);
	assert_int_equal(weir_ioas_close(space), 0);
	assert_int_equal(fake_objects(), objects);

	again = import(list);
	close_list(list);
	there[0] = open_by(NAME, again);
	assert_int_equal(weir_irq_disable(there[0], WEIR_IRQ_MSIX), 0);
	assert_int_equal(weir_device_close(there[0]), 0);
	assert_false(fake_same_table(1, 2));
	assert_true(fake_same_ioas(1, 2));
	there[2] = open_by("0000:03:00.0", again);
	/* A page table that is there, of what it can. */
	there[0] = open_by(NAME, again);
	assert_int_equal(weir_device_close(there[0]), 0);
	assert_int_equal(weir_ioas_dirty_start(again), 0);
	fake_written(2, file_at);
	assert_int_equal(weir_ioas_dirty_read(again, file_at, 4 * PAGE, &bits), 1);

	/* What nobody opened is closed with the rest. */
	assert_int_equal(weir_device_close(there[2]), 0);
	assert_int_equal(weir_ioas_close(again), 0);
	assert_int_equal(fake_objects(), 0);
}

static void tracking_goes_on(void **state)
{
	struct weir_device *second, *there;
	struct weir_ioas *one, *space;
	uint64_t bits = 0;
	int list[FDS];

	(void)state;
	fake.groups[1].tracks_dirty = true;
	assert_int_equal(weir_ioas_open(NULL, &one), 0);
	second = open_by("0000:02:00.0", one);
	assert_int_equal(weir_ioas_map_fd(one, file, 0, PAGE, NULL, &file_at), 0);
	assert_int_equal(weir_ioas_dirty_start(one), 0);
	fake_written(1, file_at);
	n_fds = weir_ioas_export(one, fds, FDS);
	receive(list);
	assert_int_equal(weir_device_close(second), 0);
	assert_int_equal(weir_ioas_close(one), 0);
	space = import(list);
	close_list(list);
	there = open_by("0000:02:00.0", space);
	assert_int_equal(weir_ioas_dirty_read(space, file_at, PAGE, &bits), 1);
	/* By a page table that comes now, too. */
	fake.groups[2].tracks_dirty = true;
	fake.groups[2].iommu = 1;
	second = open_by("0000:03:00.0", space);
	fake_written(2, file_at);
	assert_int_equal(weir_ioas_dirty_read(space, file_at, PAGE, &bits), 1);
	assert_int_equal(weir_device_close(second), 0);
	assert_int_equal(weir_device_close(there), 0);
	assert_int_equal(weir_ioas_close(space), 0);
}

static void who_cant_be_opened_is_still_there(void **state)
{
	struct weir_device_opts opts = { .use_fd = true };
	struct weir_ioas *space;
	struct weir_device *there;
	int ret = -EIO;

	(void)state;
	hand_over();
	space = import(fds);
	opts.ioas = space;
	opts.fd = fds[2];
	assert_int_equal(weir_device_open(NULL, NAME, &opts, &there), -EINVAL);
	assert_says(NAME ": it came with the address space, open");
	opts.use_fd = false;
	opts.vf_token = "";
	assert_int_equal(weir_device_open(NULL, NAME, &opts, &there), -EINVAL);
	opts.vf_token = NULL;
	for (unsigned int i = 1; ret; i++) {
		assert_true(i < 50);
		fake.fail_at = fake.calls + i;
		ret = weir_device_open(NULL, NAME, &opts, &there);
		fake.fail_at = 0;
		assert_int_equal(fake_objects(), objects);
		assert_int_equal(fake_ioas_mappings(0), 2);
	}
	/* It drives what it did, unless that is lowered. */
	assert_int_equal(there->ep.dma_bits, 40);
	assert_int_equal(space->limit, (1ull << 40) - 1);
	assert_int_equal(weir_ioas_export(space, fds, FDS), n_fds);
	assert_int_equal(weir_device_close(there), 0);
	assert_int_equal(weir_ioas_close(space), 0);
	fake.iommufd.process = 0;
	assert_int_equal(weir_ioas_keep(as), 0);
	assert_whole();
}

/* ---- two processes ---- */

/* The made-up kernel's fds are numbers, which a child has as well; the others go as they do. */
static void send_all(int to)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(FDS * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { fds, sizeof(fds) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };
	struct cmsghdr *rights = &control.align;
	int real[FDS];
	size_t n = 0;

	for (int i = 0; i < n_fds; i++)
		if (fcntl(fds[i], F_GETFD) >= 0)
			real[n++] = fds[i];
	assert_int_equal(n, 6);
	*rights = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET,
				    .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(rights), real, n * sizeof(int));
	msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	assert_int_equal(sendmsg(to, &msg, 0), sizeof(fds));
}

static int receive_all(int from, int *list)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(FDS * sizeof(int))];
	} control;
	struct iovec iov = { list, sizeof(fds) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	int real[FDS], at = 0;

	if (recvmsg(from, &msg, MSG_CMSG_CLOEXEC) != sizeof(fds) ||
	    control.align.cmsg_len != CMSG_LEN(6 * sizeof(int)))
		return -1;
	memcpy(real, CMSG_DATA(&control.align), 6 * sizeof(int));
	for (int i = 0; i < n_fds; i++)
		if (list[i] < FIRST_FAKE_FD)
			list[i] = real[at++];
	return 0;
}

#define WORKS(call)	do { if ((call) < 0) return __LINE__; } while (0)

/* In the child, which has what the parent opened as a copy that it may not use. */
static int take_over(int from)
{
	struct weir_device_opts opts = { 0 };
	struct weir_device *there;
	struct weir_ioas *space;
	int list[FDS];
	char *bytes;

	alarm(20);
	WORKS(receive_all(from, list));
	if (weir_ioas_keep(as) != -EPERM || weir_ioas_export(as, fds, FDS) != -EPERM)
		return __LINE__;
	for (int i = 0; i < n_fds; i++)
		if (fds[i] < FIRST_FAKE_FD)
			close(fds[i]);
	fake.iommufd.process = THERE;
	WORKS(weir_ioas_import(NULL, list, (size_t)n_fds, &space));
	opts.ioas = space;
	WORKS(weir_device_open(NULL, NAME, &opts, &there));
	WORKS(weir_ioas_to_vaddr(space, file_at, (void **)&bytes, NULL));
	if (memcmp(bytes, "to the child", 12))
		return __LINE__;
	memcpy(bytes, "to the parent", 13);
	if (!fake_interrupt(WEIR_IRQ_MSIX, 0) || weir_irq_wait(there, WEIR_IRQ_MSIX, 0, 0) != 1)
		return __LINE__;
	/* The made-up device's registers are the parent's, too: to close it would change them. */
	return 0;
}

static void child_takes_it_over(void **state)
{
	char bytes[14] = "";
	int ends[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(pwrite(file, "to the child", 12, (off_t)(2 * PAGE)), 12);
	hand_over();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(take_over(ends[1]) & 255);
	send_all(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status))
		fail_msg("the child stopped at line %d (mod 256)", WEXITSTATUS(status));
	assert_int_equal(pread(file, bytes, 13, (off_t)(2 * PAGE)), 13);
	assert_string_equal(bytes, "to the parent");
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(weir_ioas_keep(as), 0);
	assert_whole();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_files_go),
		TEST(old_kernel_is_named),
		TEST(what_counts_by_process_stays),
		TEST(other_interfaces_stay),
		TEST(one_address_space_of_a_context_goes),
		TEST(room_is_needed_for_all),
		TEST(all_goes_on_in_another_process),
		TEST(nothing_of_it_works_here),
		TEST(exporter_takes_it_back),
		TEST(closed_devices_arent_taken_back),
		TEST(nobody_has_it_any_more),
		TEST(several_devices_go),
		TEST(tracking_goes_on),
		TEST(who_cant_be_opened_is_still_there),
		TEST(child_takes_it_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
