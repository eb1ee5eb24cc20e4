/* SPDX-License-Identifier: MIT */
/* Without json-c --json is refused before anything is done: nothing else here is called then. */
#include <stdlib.h>

#include "out.h"
#include "weir.h"

static void *refuse(void) __attribute__((noreturn));

static void *refuse(void)
{
	fail("weir was built without json-c, and prints no JSON");
	exit(EXIT_UNKNOWN);
}

bool js_there(void)
{
	return false;
}

struct json_object *js_object(void)
{
	return refuse();
}

struct json_object *js_list(void)
{
	return refuse();
}

struct json_object *js_text(const char *text)
{
	(void)text;
	return refuse();
}

struct json_object *js_hex(uint64_t value, int digits)
{
	(void)value, (void)digits;
	return refuse();
}

struct json_object *js_size(uint64_t value)
{
	(void)value;
	return refuse();
}

struct json_object *js_number(int value)
{
	(void)value;
	return refuse();
}

struct json_object *js_real(double value)
{
	(void)value;
	return refuse();
}

struct json_object *js_bool(bool value)
{
	(void)value;
	return refuse();
}

void js_add(struct json_object *object, const char *key, struct json_object *value)
{
	(void)object, (void)key, (void)value;
	refuse();
}

void js_append(struct json_object *list, struct json_object *value)
{
	(void)list, (void)value;
	refuse();
}

void js_print(struct json_object *value)
{
	(void)value;
	refuse();
}

void js_free(struct json_object *value)
{
	(void)value;
	refuse();
}
