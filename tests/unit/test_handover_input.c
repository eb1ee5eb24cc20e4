/* SPDX-License-Identifier: MIT */
/* What comes from another process is checked, byte by byte and fd by fd; and calls fail. */
#include "handover_rig.h"
#include "ioas/record.h"

/* Refused with a sentence, and everything is still as it was. */
static void assert_refused(const int *list, size_t n, const char *part)
{
	int before = count_fds(), ret;
	unsigned int fake_before = fake.open_fds;
	struct weir_ioas *space = NULL;
	long mapped = fake.mapped;

	ret = weir_ioas_import(NULL, list, n, &space);
	assert_true(ret < 0);
	assert_null(space);
	assert_true(*weir_errmsg());
	assert_says(part);
	assert_int_equal(count_fds(), before);
	assert_int_equal(fake.open_fds, fake_before);
	assert_int_equal(fake.mapped, mapped);
	assert_int_equal(fake_objects(), objects);
	assert_int_equal(fake_ioas_mappings(0), 2);
}

static void number_of_fds_is_checked(void **state)
{
	(void)state;
	hand_over();
	for (size_t n = 0; n < (size_t)n_fds; n++)
		assert_refused(fds, n, n < 3 ? " 3 at least" : "it goes with 8 fds in all");
	fds[n_fds] = mine;
	assert_refused(fds, (size_t)n_fds + 1, "it goes with 8 fds in all, and here are 9");
	assert_int_equal(weir_ioas_keep(as), 0);
	assert_whole();
}

static void kinds_of_fds_are_checked(void **state)
{
	int strange[6], list[FDS], ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	strange[0] = -1;
	strange[1] = ends[0];
	strange[2] = mine;			/* an eventfd, but one that blocks */
	strange[3] = wr_sys->open("/dev/iommu", O_RDWR);
	strange[4] = wr_sys->open("/dev/vfio/devices/vfio2", O_RDWR);
	strange[5] = memfd_create("short", MFD_CLOEXEC);
	hand_over();
	for (int at = 0; at < n_fds; at++) {
		for (int i = 0; i < 6; i++) {
			memcpy(list, fds, sizeof(list));
			list[at] = strange[i];
			assert_refused(list, (size_t)n_fds, "");
		}
		/* And each in each other's place. */
		for (int other = 0; other < at; other++) {
			if (at >= 5 && other >= 5)
				continue;
			memcpy(list, fds, sizeof(list));
			list[at] = fds[other];
			list[other] = fds[at];
			if (at == 4 && other == 3)
				assert_refused(list, (size_t)n_fds, "the file (fd ");
			else
				assert_refused(list, (size_t)n_fds, "");
		}
	}
	wr_close(strange[3]);
	wr_close(strange[4]);
	close(strange[5]);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(weir_ioas_keep(as), 0);
	assert_whole();
}

static size_t read_record(unsigned char *bytes, size_t room)
{
	ssize_t len = pread(fds[0], bytes, room, 0);

	assert_true(len > 0 && (size_t)len < room);
	return (size_t)len;
}

static int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("record", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, 0), len);
	return fd;
}

static void every_byte_counts(void **state)
{
	unsigned char bytes[1024] = { 0 };
	int list[FDS];
	size_t len;

	(void)state;
	hand_over();
	memcpy(list, fds, sizeof(list));
	len = read_record(bytes, sizeof(bytes));
	for (size_t i = 0; i < 8 * len; i++) {
		bytes[i / 8] ^= (unsigned char)(1 << i % 8);
		list[0] = file_of(bytes, len);
		assert_refused(list, (size_t)n_fds, "the record of the address space (fd ");
		close(list[0]);
		bytes[i / 8] ^= (unsigned char)(1 << i % 8);
	}
	for (size_t i = 0; i < len; i++) {
		list[0] = file_of(bytes, i);
		assert_refused(list, (size_t)n_fds, "the record of the address space (fd ");
		close(list[0]);
	}
	list[0] = file_of(bytes, len + 1);
	assert_refused(list, (size_t)n_fds, "it is damaged");
	close(list[0]);
	assert_int_equal(weir_ioas_keep(as), 0);
	assert_whole();
}

/*
 * The same by somebody who knows how to make a checksum: then what is told may be possible, but
 * nothing breaks. Each byte on a new world, since what is taken for true may be closed.
 */
static void no_lie_breaks_anything(void **state)
{
	static const unsigned char lies[] = { 0x01, 0x80, 0xff, 0x41 };
	unsigned char bytes[1024];
	unsigned int accepted = 0;
	size_t len = 1;

	for (size_t i = 0; i < len; i++) {
		for (size_t l = 0; l < sizeof(lies); l++) {
			struct wr_record r = { .head = (struct wr_record_head *)bytes };
			struct weir_ioas *space;
			int list[FDS];

			hand_over();
			memcpy(list, fds, sizeof(list));
			len = read_record(bytes, sizeof(bytes));
			bytes[i] ^= lies[l];
			if (r.head->len != len)
				r.head->len = len;
			list[0] = wr_record_write(&r);
			assert_true(list[0] >= 0);
			weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
			if (!weir_ioas_import(NULL, list, (size_t)n_fds, &space)) {
				assert_int_equal(weir_ioas_close(space), 0);
				accepted++;
			}
			weir_log_set(NULL, NULL, WEIR_LOG_WARN);
			close(list[0]);
			close_all(state);
			open_all(state);
		}
	}
	/* The checksum, which is made anew, and what can't be known to be wrong. */
	assert_true(accepted && accepted < 2 * len);
}

static void lie_is_named(void **state)
{
	static const struct {
		size_t at;		/* in the record */
		const char *bytes;
		size_t len;
		const char *part;
	} lies[] = {
#define HEAD(member) offsetof(struct wr_record_head, member)
#define DEVICE(member) (sizeof(struct wr_record_head) + offsetof(struct wr_record_device, member))
#define UNIT(n, member) (sizeof(struct wr_record_head) + sizeof(struct wr_record_device) +	\
			 (n) * sizeof(struct wr_record_unit) +					\
			 offsetof(struct wr_record_unit, member))
		{ HEAD(flags), "\4", 1, "flags 0x4" },
		{ HEAD(reserved), "\4", 1, "flags 0x4" },
		{ HEAD(n_ranges), "\1", 1, "its length or its checksum is wrong" },
		{ HEAD(number), "\77", 1, "reading the usable IOVAs" },
		{ DEVICE(name), "/", 1, "is no PCI address" },
		{ DEVICE(name), "0000:02:00.0", 12, "is device 240:0, and sysfs says" },
		{ DEVICE(name), "0000:09:00.0", 12, "there is no such device here" },
		{ DEVICE(name), "0000:01:00.00000:01:00.0", 24, "its name doesn't end" },
		{ DEVICE(name), "01:00.0\0", 8, "should be " NAME },
		{ DEVICE(devid), "\77", 1, NAME ": device 63 of this /dev/iommu" },
		{ DEVICE(dma_bits), "\0", 1, NAME ": 0 address bits" },
		{ DEVICE(dma_bits), "\101", 1, NAME ": 65 address bits" },
		{ DEVICE(flags), "\2", 1, "flags 0x2" },
		{ DEVICE(reserved), "\2", 1, "flags 0x2" },
		{ DEVICE(vectors[0]), "\1", 1, "it tells of 4 vectors" },
		{ DEVICE(vectors[0]), "\0\0\0\1", 4, "device 0 has 16777216 vectors" },
		{ UNIT(0, iova), "\1", 1, "isn't a multiple of the page size" },
		{ UNIT(0, iova) + 7, "\377", 1, "doesn't lie within a usable range" },
		{ UNIT(0, len), "\1", 1, "isn't a positive multiple" },
		{ UNIT(0, len), "\0\0\0\0\0", 5, "a length of 0 bytes" },
		{ UNIT(0, len) + 1, "\200", 1, "the file (fd " },
		{ UNIT(0, len) + 7, "\200", 1, "" },
		{ UNIT(0, offset) + 7, "\200", 1, "the file (fd " },
		{ UNIT(0, dir), "\3", 1, "3 is no weir_dma_dir" },
		{ UNIT(0, flags), "\3", 1, "flags 0x3" },
		{ sizeof(struct wr_record_head) + sizeof(struct wr_record_device) +
		  2 * sizeof(struct wr_record_unit), "\2", 1, "vector 0 signals 2 eventfds" },
	};
	unsigned char bytes[1024], was[1024];
	struct wr_record r = { .head = (struct wr_record_head *)bytes };
	int list[FDS];
	size_t len;

	(void)state;
	hand_over();
	memcpy(list, fds, sizeof(list));
	len = read_record(was, sizeof(was));
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		memcpy(bytes, was, len);
		memcpy(bytes + lies[i].at, lies[i].bytes, lies[i].len);
		list[0] = wr_record_write(&r);
		assert_true(list[0] >= 0);
		assert_refused(list, (size_t)n_fds, lies[i].part);
		close(list[0]);
	}
	/* Two units that overlap. */
	memcpy(bytes, was, len);
	memcpy(bytes + UNIT(1, iova), bytes + UNIT(0, iova), 8);
	list[0] = wr_record_write(&r);
	assert_refused(list, (size_t)n_fds, "overlaps the mapping at ");
	close(list[0]);
	assert_int_equal(weir_ioas_keep(as), 0);
	assert_whole();
}

static void device_comes_once(void **state)
{
	unsigned char bytes[1024];
	struct wr_record r = { .head = (struct wr_record_head *)bytes };
	struct weir_device *second = open_by("0000:02:00.0", as);
	int list[FDS];

	(void)state;
	objects = fake_objects();
	n_fds = weir_ioas_export(as, fds, FDS);
	assert_int_equal(n_fds, 9);
	memcpy(list, fds, sizeof(list));
	read_record(bytes, sizeof(bytes));
	r = wr_record_in(bytes);
	memcpy(r.devices[1].name, NAME, sizeof(NAME));
	list[0] = wr_record_write(&r);
	assert_refused(list, (size_t)n_fds, NAME " comes twice");
	close(list[0]);
	assert_int_equal(weir_ioas_keep(as), 0);
	assert_int_equal(weir_device_close(second), 0);
}

/* ---- every call may fail ---- */

static void failing_call_leaves_it_importable(void **state)
{
	int ret = -EIO, before;

	(void)state;
	for (unsigned int i = 1; ret < 0; i++) {
		assert_true(i < 50);
		fake.fail_at = fake.calls + i;
		ret = weir_ioas_export(as, fds, FDS);
		fake.fail_at = 0;
		if (ret < 0)
			assert_whole();
	}
	n_fds = ret;
	before = count_fds();
	ret = -EIO;
	for (unsigned int i = 1; ret; i++) {
		struct weir_ioas *space;
		unsigned int fake_before = fake.open_fds;
		long mapped = fake.mapped;

		assert_true(i < 100);
		fake.fail_at = fake.calls + i;
		ret = weir_ioas_import(NULL, fds, (size_t)n_fds, &space);
		fake.fail_at = 0;
		assert_int_equal(fake_objects(), objects);
		assert_int_equal(fake_ioas_mappings(0), 2);
		if (!ret)
			assert_int_equal(weir_ioas_export(space, fds, FDS), n_fds);
		if (!ret)
			assert_int_equal(weir_ioas_close(space), 0);
		assert_int_equal(fake.open_fds, fake_before);
		assert_int_equal(fake.mapped, mapped);
		assert_int_equal(count_fds(), before);
	}
	assert_int_equal(weir_ioas_keep(as), 0);
	assert_whole();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(number_of_fds_is_checked),
		TEST(kinds_of_fds_are_checked),
		TEST(every_byte_counts),
		TEST(no_lie_breaks_anything),
		TEST(lie_is_named),
		TEST(device_comes_once),
		TEST(failing_call_leaves_it_importable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
