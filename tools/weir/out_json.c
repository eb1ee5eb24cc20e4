/* SPDX-License-Identifier: MIT */
/* JSON, by json-c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "clean.h"
#include "out.h"
#include "out_parts.h"

bool js_there(void)
{
	return true;
}

struct json_object *js_object(void)
{
	return need(json_object_new_object());
}

struct json_object *js_list(void)
{
	return need(json_object_new_array());
}

struct json_object *js_text(const char *text)
{
	struct json_object *value;
	char *copy;

	if (!text || !*text)
		return NULL;
	copy = clean(need(strdup(text)));
	value = need(json_object_new_string(copy));
	free(copy);
	return value;
}

struct json_object *js_hex(uint64_t value, int digits)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%0*llx", digits, (unsigned long long)value);
	return need(json_object_new_string(text));
}

struct json_object *js_size(uint64_t value)
{
	return need(json_object_new_uint64(value));
}

struct json_object *js_number(int value)
{
	return value < 0 ? NULL : need(json_object_new_int(value));
}

struct json_object *js_real(double value)
{
	char text[64];

	snprintf(text, sizeof(text), "%.2f", value);
	return need(json_object_new_double_s(value, text));
}

struct json_object *js_bool(bool value)
{
	return need(json_object_new_boolean(value));
}

void js_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, value))
		no_memory();
}

void js_append(struct json_object *list, struct json_object *value)
{
	if (json_object_array_add(list, value))
		no_memory();
}

void js_print(struct json_object *value)
{
	puts(need((void *)json_object_to_json_string_ext(value, JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_SPACED |
						      JSON_C_TO_STRING_NOSLASHESCAPE)));
	json_object_put(value);
}

void js_free(struct json_object *value)
{
	json_object_put(value);
}
