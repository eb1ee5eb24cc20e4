/* SPDX-License-Identifier: MIT */
/*
 * Errors and the log.
 *
 * A call that can fail returns 0 or a positive count when it worked, and -errno when it didn't;
 * errno itself means nothing after a weir call. The sentence that belongs to a failure names the
 * device, the operation, the cause and, where weir knows it, the cure.
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * weir_errmsg() - the calling thread's last failure, in one sentence without a newline.
 *
 * Returns: a string owned by the thread, good until its next weir call; "" when no call of this
 * thread has failed yet. After a call that worked it means nothing.
 */
WEIR_API const char *weir_errmsg(void);

enum weir_log_level {
	WEIR_LOG_ERROR,		/**< something is wrong that no call could return */
	WEIR_LOG_WARN,		/**< it works, but not as a user would expect */
	WEIR_LOG_INFO,		/**< decisions: which interface was chosen, and why not another */
	WEIR_LOG_DEBUG,		/**< what was done */
};

/**
 * weir_log_fn - receives one line of the log, without a newline.
 *
 * May be called by any thread that calls weir, several at once. @msg is weir's, good during the
 * call. It must not call weir.
 */
typedef void (*weir_log_fn)(void *arg, enum weir_log_level level, const char *msg);

/**
 * weir_log_set() - where the log goes; by default nowhere. weir itself never prints.
 * @fn: called for each line at @max or more urgent; NULL turns the log off.
 * @arg: handed to @fn as it is.
 * @max: the least urgent level that is wanted.
 *
 * One hook per process. Set it before other threads use weir.
 */
WEIR_API void weir_log_set(weir_log_fn fn, void *arg, enum weir_log_level max);

#ifdef __cplusplus
}
#endif

#endif
