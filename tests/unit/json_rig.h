/* SPDX-License-Identifier: MIT */
/* JSON that a verb printed. Behind cmocka.h. */
#ifndef JSON_RIG_H
#define JSON_RIG_H

#include <json-c/json.h>

static inline struct json_object *parse(const char *text)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *value;

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	value = json_tokener_parse_ex(tokener, text, -1);
	assert_int_equal(json_tokener_get_error(tokener), json_tokener_success);
	json_tokener_free(tokener);
	return value;
}

static inline struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("the JSON has no '%s'", key);
	return value;
}

static inline const char *get_text(struct json_object *object, const char *key)
{
	const char *text = json_object_get_string(get(object, key));

	return text ? text : "null";
}

#endif
