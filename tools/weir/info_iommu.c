/* SPDX-License-Identifier: MIT */
/*
 * What the IOMMU in front of a device can do: its registers in words, and which kinds of page
 * tables can be made for it. Only trying shows that: what the registers promise the driver or the
 * kernel may not use. Each is made in an address space of its own, and goes at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "info.h"
#include "weir.h"

static const struct {
	const char *key, *name;		/* for programs, for people */
} kinds[INFO_TABLES] = {
	[INFO_PLAIN] = { "plain", "page tables" },
	[INFO_PARENT] = { "nest_parent", "nest parents" },
	[INFO_DIRTY] = { "dirty", "with dirty tracking" },
	[INFO_PASID] = { "pasid", "for PASIDs" },
	[INFO_FAULTS] = { "faults", "with page faults" },
};

/* ---- learning ---- */

static void try_table(struct weir_device *dev, const struct weir_hwpt_opts *opts,
		      struct info_table *table)
{
	table->n = weir_hwpt_ranges(dev, opts, table->ranges, INFO_TABLE_RANGES);
	if (table->n > INFO_TABLE_RANGES) {
		snprintf(table->why, sizeof(table->why), "it says that it can have mappings in "
			 "%d ranges", table->n);
		table->n = -E2BIG;
	} else if (table->n < 0 && table->n != -ENOTSUP) {
		snprintf(table->why, sizeof(table->why), "%s", weir_errmsg());
	}
}

static int learn_tables(struct info_iommu *iommu, struct weir_iommu *context,
			struct weir_device *dev)
{
	struct weir_hwpt_opts faults = { 0 };
	int ret;

	try_table(dev, NULL, &iommu->tables[INFO_PLAIN]);
	try_table(dev, &(struct weir_hwpt_opts){ .nest_parent = true },
		  &iommu->tables[INFO_PARENT]);
	try_table(dev, &(struct weir_hwpt_opts){ .dirty = true }, &iommu->tables[INFO_DIRTY]);
	try_table(dev, &(struct weir_hwpt_opts){ .pasid = true }, &iommu->tables[INFO_PASID]);
	/* A model's context is its own, and there is no queue on the software IOMMU. */
	ret = context ? weir_faultq_open(context, &faults.faults) : -ENOTSUP;
	if (ret) {
		iommu->tables[INFO_FAULTS].n = ret;
		if (ret != -ENOTSUP)
			return fail("%s", weir_errmsg());
		return EXIT_YES;
	}
	try_table(dev, &faults, &iommu->tables[INFO_FAULTS]);
	return weir_faultq_close(faults.faults) < 0 ? fail("%s", weir_errmsg()) : EXIT_YES;
}

int info_learn_iommu(struct info_iommu *iommu, struct weir_iommu *context, struct weir_device *dev)
{
	int ret = weir_device_hw_info(dev, WEIR_HW_NONE, &iommu->hw);

	if (ret == -ENOTSUP)
		return EXIT_YES;
	if (ret < 0)
		return fail("%s", weir_errmsg());
	iommu->n_words = weir_hw_words(&iommu->hw, NULL, 0);
	iommu->words = calloc((size_t)iommu->n_words + 1, sizeof(*iommu->words));
	if (!iommu->words)
		return fail("no memory for what the IOMMU can do");
	weir_hw_words(&iommu->hw, iommu->words, (size_t)iommu->n_words);
	iommu->told = true;
	return learn_tables(iommu, context, dev);
}

/* ---- for people ---- */

/* For programs, too. */
struct make {
	const char *key, *name;
};

static struct make make_of(const struct info_interface *itf)
{
	switch (itf->iommu.hw.type) {
	case WEIR_HW_NONE:
		if (!strcmp(itf->backend, "soft"))
			return (struct make){ "soft", "weir's own, in software" };
		return (struct make){ NULL, "its driver tells nothing of its own" };
	case WEIR_HW_VTD:
		return (struct make){ "vtd", "Intel VT-d" };
	case WEIR_HW_SMMUV3:
		return (struct make){ "smmuv3", "Arm SMMUv3" };
	case WEIR_HW_AMD:
		return (struct make){ "amd", "AMD IOMMU" };
	default:
		return (struct make){ NULL, "one that weir doesn't know" };
	}
}

static void print_table(const struct info_table *kind, const char *name, struct out_table *table)
{
	struct out_row *row = pair(table, name);
	char text[256] = "";
	size_t len = 0;

	for (int i = 0; i < kind->n && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s0x%llx to 0x%llx",
					i ? ", " : "", (unsigned long long)kind->ranges[i].first,
					(unsigned long long)kind->ranges[i].last);
	if (kind->n >= 0)
		table_cell(row, VALUE, "IOVAs %s", text);
	else
		table_cell(row, VALUE, "none%s%s", *kind->why ? ": " : "", kind->why);
}

static void print_device(const struct weir_hw_info *hw, struct out_table *table)
{
	struct out_row *row = pair(table, "the device's PASIDs");

	if (hw->pasid_bits)
		table_cell(row, VALUE, "%u bits%s%s", hw->pasid_bits,
			   hw->pasid_exec ? ", for execution" : "",
			   hw->pasid_priv ? ", privileged" : "");
	else
		table_cell(row, VALUE, "none");
	table_cell(pair(table, "its own cache (ATS)"), VALUE, "%s",
		   hw->ats ? "not ruled out" : "no");
}

static void print_words(const struct info_iommu *iommu)
{
	enum { NAME, WORD, MEANING };
	static const struct column columns[] = {
		[NAME] = { .name = "NAME" },
		[WORD] = { .name = "VALUE", .right = true },
		[MEANING] = { .name = "MEANING", .cut = true },
	};
	struct out_table *table;

	if (!iommu->n_words)
		return;
	say_heading("IOMMU's registers");
	table = table_new(columns, 3, false);
	for (int i = 0; i < iommu->n_words; i++) {
		const struct weir_hw_word *word = &iommu->words[i];
		struct out_row *row = table_row(table);

		table_cell(row, NAME, "  %s", word->name);
		table_cell(row, WORD, "%llu", (unsigned long long)word->value);
		table_cell(row, MEANING, "%s", word->meaning);
	}
	table_print(table);
}

void info_print_iommu(const struct info_interface *itf)
{
	const struct info_iommu *iommu = &itf->iommu;
	struct out_table *table;

	if (!itf->caps.isolation)
		return;
	say_heading("IOMMU");
	if (!iommu->told) {
		say("  %s doesn't tell what it can do; iommufd does", itf->backend);
		return;
	}
	table = pairs();
	table_cell(pair(table, "make"), VALUE, "%s", make_of(itf).name);
	for (int i = 0; i < INFO_TABLES; i++)
		print_table(&iommu->tables[i], kinds[i].name, table);
	print_device(&iommu->hw, table);
	table_print(table);
	print_words(iommu);
}

/* ---- for programs ---- */

static struct json_object *js_words(const struct info_iommu *iommu)
{
	struct json_object *list = js_list();

	for (int i = 0; i < iommu->n_words; i++) {
		struct json_object *object = js_object();

		js_add(object, "name", js_text(iommu->words[i].name));
		js_add(object, "value", js_size(iommu->words[i].value));
		js_add(object, "meaning", js_text(iommu->words[i].meaning));
		js_append(list, object);
	}
	return list;
}

struct json_object *info_js_iommu(const struct info_interface *itf)
{
	const struct info_iommu *iommu = &itf->iommu;
	const struct weir_hw_info *hw = &iommu->hw;
	struct json_object *object, *tables;

	if (!iommu->told)
		return NULL;
	object = js_object();
	js_add(object, "make", js_text(make_of(itf).key));
	js_add(object, "type", js_size(hw->type));
	js_add(object, "pasid_bits", js_size(hw->pasid_bits));
	js_add(object, "pasid_exec", js_bool(hw->pasid_exec));
	js_add(object, "pasid_priv", js_bool(hw->pasid_priv));
	js_add(object, "ats", js_bool(hw->ats));
	tables = js_object();
	for (int i = 0; i < INFO_TABLES; i++) {
		const struct info_table *kind = &iommu->tables[i];

		js_add(tables, kinds[i].key, kind->n < 0 ? NULL :
		       info_js_ranges(kind->ranges, kind->n));
	}
	js_add(object, "page_tables", tables);
	js_add(object, "words", js_words(iommu));
	return object;
}
