/* SPDX-License-Identifier: MIT */
/* Sentences, and what a status code means. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "drivers/nvme/priv.h"

static _Thread_local char message[512];

const char *nvme_errmsg(void)
{
	return message;
}

int nvme_error(const struct nvme *nvme, int ret, const char *fmt, ...)
{
	int len = snprintf(message, sizeof(message), "%s: ",
			   nvme ? nvme->name : "nvme");
	va_list ap;

	va_start(ap, fmt);
	if (len > 0 && (size_t)len < sizeof(message))
		vsnprintf(message + len, sizeof(message) - (size_t)len, fmt, ap);
	va_end(ap);
	return ret;
}

int nvme_weir_error(int ret)
{
	snprintf(message, sizeof(message), "%s", weir_errmsg());
	return ret;
}

static const struct {
	unsigned int sc;
	int error;
	const char *text;
} statuses[] = {
	{ NVME_SC_INVALID_OPCODE, EINVAL, "the controller doesn't know this command" },
	{ NVME_SC_INVALID_FIELD, EINVAL, "invalid field in the command" },
	{ NVME_SC_DATA_TRANSFER, EIO, "data transfer error: the controller couldn't reach the "
	  "memory" },
	{ NVME_SC_INTERNAL, EIO, "internal error of the controller" },
	{ NVME_SC_ABORTED, EIO, "aborted" },
	{ NVME_SC_SQ_DELETED, ECANCELED, "its queue was deleted" },
	{ NVME_SC_NAMESPACE, ENOENT, "no such namespace, or not in this format" },
	{ NVME_SC_PRP_OFFSET, EINVAL, "invalid offset of a page" },
	{ NVME_SC_PROTECTED, EROFS, "the namespace is write-protected" },
	{ NVME_SC_LBA_RANGE, ERANGE, "beyond the end of the namespace" },
	{ NVME_SC_CAPACITY, ENOSPC, "the namespace's capacity is exceeded" },
	{ NVME_SC_NOT_READY, EIO, "the namespace isn't ready: try again later" },
	{ NVME_SC_RESERVATION, EACCES, "another host has reserved the namespace" },
	{ NVME_SC_FORMATTING, EIO, "the namespace is being formatted: try again later" },
	{ NVME_SC_CQ_INVALID, EINVAL, "there is no such completion queue" },
	{ NVME_SC_QUEUE_ID, EINVAL, "there can't be a queue of this number" },
	{ NVME_SC_QUEUE_SIZE, EINVAL, "a queue can't be of this size" },
	{ NVME_SC_VECTOR, EINVAL, "there is no such interrupt vector" },
	{ NVME_SC_READ_ONLY_RANGE, EROFS, "these blocks can only be read" },
	{ NVME_SC_WRITE_FAULT, EIO, "write fault: the medium didn't take the data" },
	{ NVME_SC_READ_ERROR, EIO, "unrecovered read error: the medium has lost the data" },
	{ NVME_SC_GUARD, EIO, "the data's guard doesn't match" },
	{ NVME_SC_APPLICATION_TAG, EIO, "the data's application tag doesn't match" },
	{ NVME_SC_REFERENCE_TAG, EIO, "the data's reference tag doesn't match" },
	{ NVME_SC_DENIED, EACCES, "access denied: the namespace is locked" },
	{ NVME_SC_DEALLOCATED, EIO, "blocks that were never written, or deallocated" },
};

#define STATUSES (sizeof(statuses) / sizeof(statuses[0]))

const char *nvme_status_text(unsigned int sc)
{
	for (size_t i = 0; i < STATUSES; i++)
		if (statuses[i].sc == sc)
			return statuses[i].text;
	return "an error that this driver doesn't know";
}

int nvme_status_errno(unsigned int sc)
{
	for (size_t i = 0; i < STATUSES; i++)
		if (statuses[i].sc == sc)
			return -statuses[i].error;
	return -EIO;
}
