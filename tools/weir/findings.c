/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "findings.h"
#include "out_parts.h"

void findings_keep(void *findings, const struct weir_host_finding *found)
{
	struct findings *list = findings;

	if (list->n == list->room) {
		list->room = list->room ? 2 * list->room : 16;
		list->all = need(reallocarray(list->all, list->room, sizeof(*list->all)));
	}
	list->all[list->n] = (struct finding){
		.id = need(strdup(found->id)),
		.device = need(strdup(found->device)),
		.text = need(strdup(found->text)),
		.file = need(strdup(found->file)),
		.cure = need(strdup(found->cure)),
		.severity = found->severity,
		.order = list->n,
	};
	list->n++;
}

void findings_free(struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		free(findings->all[i].id);
		free(findings->all[i].device);
		free(findings->all[i].text);
		free(findings->all[i].file);
		free(findings->all[i].cure);
	}
	free(findings->all);
}
