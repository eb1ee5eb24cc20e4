/* SPDX-License-Identifier: MIT */
/*
 * What 'weir info' knows of a device, wherever it comes from: info.c collects it, from the
 * machine or from an opened device, and info_print.c prints it.
 */
#ifndef WEIR_TOOL_INFO_H
#define WEIR_TOOL_INFO_H

#include <weir/weir.h>
#include <weir/host.h>

#include "function.h"

struct info_region {
	unsigned int region;
	uint64_t start;		/* where it is for the CPU, 0 when unknown */
	uint64_t size;
	bool io, is64, prefetchable;
};

/* Features of the device, by their numbers; the names are those of the JSON schema. */
#define INFO_FEATURES 6

struct info_feature {
	enum weir_feature feature;
	const char *name;
};

extern const struct info_feature info_features[INFO_FEATURES];

/* Kinds of page tables made by hand, and where each can have mappings. */
enum { INFO_PLAIN, INFO_PARENT, INFO_DIRTY, INFO_PASID, INFO_FAULTS, INFO_TABLES };

/* One aperture, and on the software IOMMU without the window of interrupts. */
#define INFO_TABLE_RANGES 4

struct info_table {
	struct weir_iova_range ranges[INFO_TABLE_RANGES];
	int n;				/* -errno: it can't be made */
	char why[512];			/* when that isn't simply so */
};

/* The IOMMU in front of the device. */
struct info_iommu {
	bool told;			/* otherwise the interface doesn't tell */
	struct weir_hw_info hw;
	struct weir_hw_word *words;
	int n_words;
	struct info_table tables[INFO_TABLES];
};

/* What the interface says of the device while it is open. */
struct info_interface {
	char backend[32];
	struct weir_ioas_caps caps;
	struct weir_iova_range *ranges;
	int n_ranges;
	struct weir_window windows[4];
	int n_windows;
	struct weir_window_info can;	/* be made of them; .windows is 0: IOVAs lie in none */
	bool can_reset;
	bool features[INFO_FEATURES];	/* in the order of their names */
	struct info_iommu iommu;
};

struct info {
	const char *name;
	bool on_bus;			/* a function of a machine; otherwise a device model */
	struct weir_host_function fn;	/* who it is; for a model only its ids */
	bool iommu;			/* the machine has one */

	const struct weir_host_function **members;	/* of its IOMMU group, itself too */
	int n_members;

	struct info_region regions[WEIR_REGION_ROM + 1];
	int n_regions;			/* -1: unknown */

	unsigned int header_type;	/* 0: an endpoint, or unknown */
	int intx_pin;			/* 1 to 4 for A to D, 0: none, -1: unknown */
	int msi, msix;			/* vectors, 0: none, -1: unknown */
	struct weir_cap *caps;
	int n_caps;			/* -1: unknown */

	char reset[256];		/* the kernel's reset methods */

	bool opened;
	struct info_interface interface;
	char why[1024];			/* why it isn't open */
};

/* For people: both halves, or the one that needs no opened device and the one that does. */
void info_print_text(const struct info *info, struct names *names);
void info_print_facts(const struct info *info, struct names *names);
void info_print_interface(const struct info *info);

void info_print_json(const struct info *info, struct names *names);

/* What the IOMMU can do (info_iommu.c). @context: of the device's; NULL: its own. */
int info_learn_iommu(struct info_iommu *iommu, struct weir_iommu *context, struct weir_device *dev);
void info_print_iommu(const struct info_interface *itf);
struct json_object *info_js_iommu(const struct info_interface *itf);

/* What info_print.c has for it: pairs of a key and a value, one a row; and ranges. */
enum { KEY, VALUE };

struct out_table *pairs(void);
struct out_row *pair(struct out_table *table, const char *key);
struct json_object *info_js_ranges(const struct weir_iova_range *ranges, int n);

#endif
