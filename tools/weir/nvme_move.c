/* SPDX-License-Identifier: MIT */
/*
 * weir nvme read and write: blocks to and from a file.
 *
 * write's JSON: {"device": "0000:00:05.0", "namespace": 1, "lba": 0, "blocks": 8, "bytes": 4096};
 * read's data goes where its JSON would.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nvme.h"

#define DEPTH	16
#define CHUNK	(4u << 20)	/* bytes between disk and file at a time; whole blocks */

static const char read_usage[] =
	"usage: weir nvme read --lba LBA --blocks N [OPTION...] DEVICE\n"
	"\n"
	"Reads N blocks from LBA on, to stdout.\n"
	"\n"
	"      --lba LBA        the first block\n"
	"      --blocks N       how many; K, M and G behind a number are powers of 1024\n"
	"      --namespace ID   of this namespace; otherwise of 1\n"
	"      --file FILE      to this file, which is made or emptied, instead of stdout\n"
	"      --irq            wait by interrupt instead of polling\n"
	UNSAFE_USAGE
	WINDOW_USAGE
	"  -h, --help           this text\n"
	"\n"
	"Example: weir nvme read --lba 0 --blocks 1 0000:01:00.0 | hexdump -C";

static const char write_usage[] =
	"usage: weir nvme write --lba LBA [OPTION...] --yes DEVICE\n"
	"\n"
	"Overwrites blocks from LBA on with what comes from stdin, and flushes the controller's\n"
	"cache. Without --yes it says what would be overwritten, and does nothing.\n"
	"\n"
	"      --lba LBA        the first block\n"
	"      --blocks N       how many; may be left out when the input is a file, and then its\n"
	"                       size must be a whole number of blocks\n"
	"      --namespace ID   of this namespace; otherwise of 1\n"
	"      --file FILE      from this file instead of stdin\n"
	"      --irq            wait by interrupt instead of polling\n"
	"      --yes            do it\n"
	"      --json           for programs\n"
	UNSAFE_USAGE
	WINDOW_USAGE
	"  -h, --help           this text\n"
	"\n"
	"Example: weir nvme write --lba 0 --file image --yes 0000:01:00.0";

struct job {
	const char *lba_text, *blocks_text, *nsid, *file;
	bool irq, yes;
	uint64_t lba, blocks;
	int fd;
	const char *fd_name;
	struct options options;
};

static int read_job(int argc, char **argv, const char *usage, bool write, struct job *job)
{
	const struct own_option own[] = {
		{ .name = "lba", .value = &job->lba_text },
		{ .name = "blocks", .value = &job->blocks_text },
		{ .name = "namespace", .value = &job->nsid },
		{ .name = "file", .value = &job->file },
		{ .name = "unsafe-noiommu", .flag = &job->options.unsafe_noiommu },
		{ .name = "window", .value = &job->options.window },
		{ .name = "irq", .flag = &job->irq }, { .name = "yes", .flag = &job->yes },
	};
	size_t n = sizeof(own) / sizeof(own[0]);
	int status = read_own_options(argc, argv, own, write ? n : n - 1, usage, &job->options);

	if (status != GO_ON)
		return status;
	if (!job->lba_text)
		return fail("%s: --lba is missing: say where", argv[0]);
	if (!read_number(argv[0], "lba", job->lba_text, &job->lba))
		return EXIT_UNKNOWN;
	if (job->blocks_text && !read_number(argv[0], "blocks", job->blocks_text, &job->blocks))
		return EXIT_UNKNOWN;
	if (job->blocks_text && !job->blocks)
		return fail("%s: --blocks 0: there is nothing to do", argv[0]);
	return GO_ON;
}

static int no_file(const struct job *job, const char *what)
{
	return fail("%s: it can't be %s: %s", job->fd_name, what, strerror(errno));
}

/* The size of a chunk, the last one is smaller. */
static size_t chunk(const struct disk *disk, uint64_t left)
{
	uint64_t bytes = left > CHUNK ? CHUNK : left * disk->ns.block_size;

	return bytes > CHUNK ? CHUNK : (size_t)bytes;
}

/* ---- read ---- */

static bool write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static int copy_out(struct disk *disk, struct job *job)
{
	int status = disk_range(disk, job->lba, &job->blocks);

	if (status)
		return status;
	if (job->file) {
		job->fd = open(job->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (job->fd < 0)
			return no_file(job, "opened");
	}
	for (uint64_t lba = job->lba, left = job->blocks; left;) {
		size_t len = chunk(disk, left);

		if (nvme_read(disk->queue, &disk->ns, lba, disk->data, len))
			return fail("%s; before that, %" PRIu64 " blocks were read", nvme_errmsg(),
				    job->blocks - left);
		if (!write_all(job->fd, disk->data, len))
			return no_file(job, "written");
		lba += len / disk->ns.block_size;
		left -= len / disk->ns.block_size;
	}
	if (job->file && close(job->fd))
		return no_file(job, "written");
	return EXIT_YES;
}

int nvme_read_verb(int argc, char **argv)
{
	struct job job = { .fd = STDOUT_FILENO, .fd_name = "stdout" };
	struct disk disk = { 0 };
	const char *name;
	int status = read_job(argc, argv, read_usage, false, &job);

	if (status != GO_ON)
		return status;
	name = one_device(argc, argv);
	if (!name)
		return EXIT_UNKNOWN;
	if (job.options.json)
		return fail("%s: its output is data, not JSON", argv[0]);
	if (!job.blocks)
		return fail("%s: --blocks is missing: say how many", argv[0]);
	if (job.file)
		job.fd_name = job.file;
	else if (isatty(STDOUT_FILENO))
		return fail("%s: stdout is a terminal; use --file, or a pipe", argv[0]);
	status = disk_open(&disk, name, &job.options, job.irq);
	if (status)
		return status;
	status = disk_queue(&disk, job.nsid, DEPTH, CHUNK);
	return disk_close(&disk, status ? status : copy_out(&disk, &job));
}

/* ---- write ---- */

/* Fills the buffer, or says how much is missing. */
static int read_all(struct job *job, char *data, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = read(job->fd, data + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return no_file(job, "read");
		if (!n)
			return fail("%s: it ends %zu bytes too early", job->fd_name, len - got);
		got += (size_t)n;
	}
	return 0;
}

/* How much there is to write, before anything is. */
static int measure(const struct disk *disk, struct job *job)
{
	struct stat stat;
	off_t at;

	if (fstat(job->fd, &stat))
		return no_file(job, "examined");
	if (!S_ISREG(stat.st_mode)) {
		if (job->blocks)
			return 0;
		return fail("%s: it isn't a file, so --blocks must say how many", job->fd_name);
	}
	at = lseek(job->fd, 0, SEEK_CUR);
	if (at < 0)
		return no_file(job, "examined");
	stat.st_size = stat.st_size > at ? stat.st_size - at : 0;
	if (job->blocks && (uint64_t)stat.st_size / disk->ns.block_size < job->blocks)
		return fail("%s: it has %jd bytes, and %" PRIu64 " blocks of %u are to be written",
			    job->fd_name, (intmax_t)stat.st_size, job->blocks,
			    disk->ns.block_size);
	if (job->blocks)
		return 0;
	if (!stat.st_size || stat.st_size % disk->ns.block_size)
		return fail("%s: its %jd bytes aren't whole blocks of %u", job->fd_name,
			    (intmax_t)stat.st_size, disk->ns.block_size);
	job->blocks = (uint64_t)stat.st_size / disk->ns.block_size;
	return 0;
}

static int copy_in(struct disk *disk, struct job *job)
{
	uint64_t lba = job->lba, left = job->blocks;

	while (left) {
		size_t len = chunk(disk, left);

		if (read_all(job, disk->data, len))
			break;
		if (nvme_write(disk->queue, &disk->ns, lba, disk->data, len)) {
			fail("%s", nvme_errmsg());
			break;
		}
		lba += len / disk->ns.block_size;
		left -= len / disk->ns.block_size;
	}
	/* What did get there is to stay there, also if the rest failed. */
	if (nvme_flush(disk->queue, &disk->ns))
		return fail("%s: what was written may not be safe", nvme_errmsg());
	if (left)
		return fail("%s: %" PRIu64 " of %" PRIu64 " blocks were written, up to LBA %" PRIu64
			    " exclusive", disk->name, job->blocks - left, job->blocks, lba);
	return EXIT_YES;
}

static void say_written(const struct disk *disk, const struct job *job)
{
	uint64_t bytes = job->blocks * disk->ns.block_size;
	struct json_object *object;
	char text[SIZE_TEXT_MAX];

	if (!job->options.json) {
		say("%s: %s written, LBA %" PRIu64 " to %" PRIu64 " of namespace %u", disk->name,
		    size_text(bytes, text), job->lba, job->lba + job->blocks - 1, disk->ns.id);
		return;
	}
	object = js_object();
	js_add(object, "device", js_text(disk->name));
	js_add(object, "namespace", js_size(disk->ns.id));
	js_add(object, "lba", js_size(job->lba));
	js_add(object, "blocks", js_size(job->blocks));
	js_add(object, "bytes", js_size(bytes));
	js_print(object);
}

static int write_blocks(struct disk *disk, struct job *job)
{
	int status = measure(disk, job);

	if (!status)
		status = disk_range(disk, job->lba, &job->blocks);
	if (status)
		return status;
	if (!job->yes)
		return disk_refuse(disk, job->lba, job->blocks);
	return copy_in(disk, job);
}

int nvme_write_verb(int argc, char **argv)
{
	struct job job = { .fd = STDIN_FILENO, .fd_name = "stdin" };
	struct disk disk = { 0 };
	const char *name;
	int status = read_job(argc, argv, write_usage, true, &job);

	if (status != GO_ON)
		return status;
	name = one_device(argc, argv);
	if (!name)
		return EXIT_UNKNOWN;
	if (job.file) {
		job.fd_name = job.file;
		job.fd = open(job.file, O_RDONLY | O_CLOEXEC);
		if (job.fd < 0)
			return no_file(&job, "opened");
	}
	status = disk_open(&disk, name, &job.options, job.irq);
	if (status)
		return status;
	status = disk_queue(&disk, job.nsid, DEPTH, CHUNK);
	status = disk_close(&disk, status ? status : write_blocks(&disk, &job));
	/* Only a shutdown in good order makes it true. */
	if (status == EXIT_YES)
		say_written(&disk, &job);
	return status;
}
