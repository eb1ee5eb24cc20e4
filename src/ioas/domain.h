/* SPDX-License-Identifier: MIT */
/*
 * A domain: one projection of an address space onto an IOMMU interface. Each interface is a file
 * of its own behind this table, and a line in the list of domain.c.
 */
#ifndef WR_IOAS_DOMAIN_H
#define WR_IOAS_DOMAIN_H

#include <weir/spapr.h>

#include "base/list.h"
#include "mem/maps.h"

struct weir_device;
struct weir_eeh_error;
struct weir_hw_info;
struct weir_ioas;
struct weir_iommu;
struct weir_viommu;
struct wr_attached;
struct wr_group;
struct wr_parcel;
struct wr_unit;

/* A page table that a domain fills from its mappings, automatic or by hand; or a nested one. */
struct wr_table {
	struct wr_list link;		/* in its domain; nested: not linked */
	uint32_t number;		/* the kernel's */
	unsigned int users;		/* automatic: devices; by hand: whatever is attached */
	bool by_hand;			/* a weir_hwpt's (hwpt.c) */
	bool dirty;			/* it can track what devices write */
	bool pasid;			/* it can be used beside PASIDs */
};

/* What a page table by hand is to be able to do. */
struct wr_table_spec {
	bool nest_parent, dirty, pasid;
	uint32_t faults;		/* the kernel's number of a fault queue; 0: none */
};

/* A device as an address space sees it. Its transport fills the first part. */
struct wr_endpoint {
	const char *name;		/* a kernel device's PCI address; for messages */
	unsigned int dma_bits;		/* that it drives, 1 to 64 */
	struct wr_group *group;		/* a kernel device's IOMMU group; NULL: an own model */
	const char *vf_token;		/* while it is being attached; NULL: none */
	bool use_fd;			/* its node is given, open: */
	int given_fd;
	uint16_t requester;		/* soft: given at attach */
	/*
	 * Its DMA waits from the first of these to the second, while it goes to another domain.
	 * NULL: that is the kernel's business.
	 */
	void (*hold)(struct wr_endpoint *ep);
	void (*go_on)(struct wr_endpoint *ep);
	/*
	 * Which eventfd of weir's an interrupt vector signals, -1 for none; false: there is no such
	 * vector, nor one after it. To be asked when the address space is handed over.
	 */
	bool (*vector)(const struct wr_endpoint *ep, unsigned int irq, unsigned int vector,
		       int *eventfd);
	struct weir_device *dev;	/* whose it is; NULL: nobody has opened it */
	/* while attached */
	struct weir_ioas *as;		/* read by who asks for it, too: atomic stores */
	struct wr_domain *domain;
	struct wr_list link;
	int fd;				/* a kernel device's, the domain's to close */
	uint32_t devid;			/* iommufd: its number there, */
	struct wr_table *table;		/* and what it translates by, unless by hand: */
	struct wr_attached *attached;	/* (attach.c); NULL: to none */
	const struct weir_viommu *virtual_on; /* a weir_vdevice of it is, under the attach_lock */
	/* It came with its address space from another process, and nobody has opened it yet. */
	bool unclaimed;
	struct wr_parcel *parcel;	/* what it came in, until it is open */
};

/* The kernel's numbers for a device and what it translates by, which outlive the process. */
struct wr_numbers {
	uint32_t devid, table;
	bool dirty;			/* the page table can track what devices write */
};

struct wr_domain {
	const struct wr_domain_ops *ops;
	struct wr_list link;		/* in its address space */
	unsigned int endpoints;
	unsigned int hwpts;		/* page tables by hand, which keep it as devices do */
	/*
	 * What the interface says. The first three may change when an endpoint joins or leaves, the
	 * room with each mapping; all but the ranges beside readers, by atomic stores.
	 */
	struct wr_ranges ranges;
	enum weir_dirty dirty;
	uint64_t page_sizes;
	bool isolation;
	uint64_t room;			/* mappings that it takes still; UINT64_MAX: any number */
	/* Windows that IOVAs lie in, which change with the ranges; what there can be of them. */
	struct wr_windows windows;
	struct weir_window_info window_info;	/* .windows is 0: IOVAs lie in none */
};

/* A window that is to be made: bytes, a power of two, the base-2 logarithm of its pages, levels. */
struct wr_window_asked {
	uint64_t size;
	unsigned int page_shift, levels;
};

/*
 * All under the address space's lock. Errors are -errno with a message that doesn't name the
 * device; an operation that fails leaves the domain as it was.
 */
struct wr_domain_ops {
	const char *name;		/* as in WEIR_IOMMU and weir_device_info */

	/* Where kernels can have it; elsewhere it isn't tried. */
	enum { WR_ANYWHERE, WR_POWER_ALONE, WR_NOT_ON_POWER } where;

	/* Whether this interface is for such a device. */
	bool (*fits)(const struct wr_endpoint *ep);

	/* A new domain, without devices or mappings, for @ep to join or to be taken into. */
	int (*create)(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out);

	/* Free it, with what is mapped. No device is in it. */
	void (*destroy)(struct wr_domain *d);

	/*
	 * A device more, .endpoints being those before it; it reaches all that is mapped, and a
	 * kernel device has its .fd. -EINVAL: it needs a domain of its own. And a device less,
	 * .endpoints being those that stay, its .fd closed.
	 */
	int (*join)(struct wr_domain *d, struct wr_endpoint *ep);
	void (*leave)(struct wr_domain *d, struct wr_endpoint *ep);

	/*
	 * A device goes over from its .domain, of this kind too, to this one, while it runs. NULL:
	 * devices of this interface can't.
	 */
	int (*take)(struct wr_domain *d, struct wr_endpoint *ep);

	/*
	 * To go to another process (handover.c); NULL, all four: the kernel's part can't. What the
	 * kernel calls it, and a device of it.
	 */
	uint32_t (*tell)(struct wr_domain *d, const struct wr_endpoint *ep, struct wr_numbers *n);

	/*
	 * A domain of what the kernel calls so in the context's /dev/iommu, which the caller holds,
	 * and then the domain. And a device that is in it already, with its .fd. In the kernel
	 * nothing changes; nor does it by leave and destroy, since it is still handed over.
	 */
	int (*adopt)(struct weir_iommu *iommu, uint32_t number, bool tracking,
		     struct wr_domain **out);
	int (*rejoin)(struct wr_domain *d, struct wr_endpoint *ep, const struct wr_numbers *n);

	/* What is pinned counts as this process's. -ENOTSUP: it can't, of all that is mapped. */
	int (*charge)(struct wr_domain *d);

	/* -ENOTSUP: it is a bar, and this interface can't. */
	int (*map)(struct wr_domain *d, const struct wr_mapping *m);

	/*
	 * As map(), of memory that another domain of this interface and context has already, from
	 * IOVA @source on: all @n mappings of it or none. NULL: the interface can only map it
	 * again.
	 */
	int (*copy)(struct wr_domain *d, const struct wr_mapping *m, size_t n,
		    struct wr_domain *from, weir_iova source);

	/*
	 * Of interfaces that don't translate, instead of map(): say where memory is. The @n pieces
	 * are held there until unmap(). *@runs, which the caller frees, are in the pieces' order,
	 * each as long as it is contiguous. Such a domain is alone in its address space, has no
	 * map() or move(), and its unmap() always works. NULL: the interface translates.
	 */
	int (*place)(struct wr_domain *d, const struct wr_mapping *pieces, size_t n,
		     struct wr_mapping **runs, size_t *n_runs);

	/*
	 * Unmap @n mappings that follow one another in IOVA: on return no device reaches the
	 * memory. -EIO: something else than asked was unmapped, and there is no way back.
	 */
	int (*unmap)(struct wr_domain *d, const struct wr_mapping *m, size_t n);

	/* The same for all that is mapped; never -ENOENT. */
	int (*unmap_all)(struct wr_domain *d);

	/*
	 * IOVAs lie in these ranges from now on, which a device that joins must leave usable; none:
	 * wherever they can. All are within .ranges. NULL: the interface needn't know.
	 */
	int (*allow)(struct wr_domain *d, const struct wr_ranges *ranges);

	/* Use no pages but the smallest, or all again; nothing is mapped. NULL: it can't. */
	int (*small_pages)(struct wr_domain *d, bool small);

	/*
	 * Make a window of IOVAs more, with what .window_info offers: .windows and .ranges have it
	 * then. And remove the one that begins at @first, in which nothing is mapped. NULL, both:
	 * here are none to be made.
	 */
	int (*add_window)(struct wr_domain *d, const struct wr_window_asked *asked,
			  struct wr_window *out);
	int (*remove_window)(struct wr_domain *d, weir_iova first);

	/*
	 * Pin memory ahead of its mapping, and let it go again, when nothing of it is mapped. It
	 * may overlap other memory that is pinned so. NULL, both: it is pinned when it is mapped.
	 */
	int (*register_memory)(struct wr_domain *d, uint64_t vaddr, uint64_t len);
	void (*unregister_memory)(struct wr_domain *d, uint64_t vaddr, uint64_t len);

	/*
	 * EEH: what WR_VFIO_EEH_… does, to the domain's one group; @error: for _INJECT_ERR. Returns
	 * 0, for _GET_STATE a state. NULL: there is none.
	 */
	int (*eeh)(struct wr_domain *d, unsigned int op, const struct weir_eeh_error *error);

	/*
	 * The memory of a mapping is at @vaddr now as well, the same pages: use that address from
	 * now on. -ENOTSUP: it can't. -EIO: it is at neither, as far as the interface knows.
	 */
	int (*move)(struct wr_domain *d, const struct wr_mapping *m, void *vaddr);

	/* Present unless .dirty is WEIR_DIRTY_NONE. @bitmap: a bit per page, zero before. */
	int (*dirty_start)(struct wr_domain *d);
	int (*dirty_stop)(struct wr_domain *d);
	int (*dirty_read)(struct wr_domain *d, const struct wr_mapping *m, uint64_t *bitmap);

	/*
	 * Page tables by hand (hwpt.c); NULL, these all: the interface has none. A new one, which
	 * gets all that is mapped, for the IOMMU of @ep, a device of this domain or of another of
	 * this kind; -ENOTSUP: there are none with all of that. And one that nobody uses goes.
	 */
	int (*table_alloc)(struct wr_domain *d, struct wr_endpoint *ep,
			   const struct wr_table_spec *spec, struct wr_table **out);
	void (*table_free)(struct wr_domain *d, struct wr_table *table);

	/* Tell a new one what is mapped, mapping by mapping. NULL: table_alloc() does it. */
	int (*table_map)(struct wr_domain *d, struct wr_table *table, const struct wr_mapping *m);

	/* A device of this domain, and its group, use it, no more @was; NULL: the automatic one. */
	int (*table_use)(struct wr_domain *d, struct wr_endpoint *ep, struct wr_table *table,
			 struct wr_table *was);

	/* The users of one are others now: see whether .dirty is still so. NULL: it always is. */
	void (*table_used)(struct wr_domain *d);

	/*
	 * Of one with .dirty. Mapped memory is read, all that lies in [iova, iova + len), a bit for
	 * each @granularity bytes. @keep: it stays dirty.
	 */
	int (*table_track)(struct wr_domain *d, struct wr_table *table, bool on);
	int (*table_dirty)(struct wr_domain *d, struct wr_table *table, weir_iova iova,
			   uint64_t len, uint64_t granularity, bool keep, uint64_t *bitmap);

	/* What the IOMMU in front of a device can do. NULL: the interface doesn't tell. */
	int (*hw_info)(struct wr_domain *d, const struct wr_endpoint *ep, uint32_t type,
		       struct weir_hw_info *info);

	/* Take recorded faults out; NULL: the interface doesn't tell. Not under that lock. */
	int (*faults)(struct wr_domain *d, struct weir_fault *faults, size_t n);
};

extern const struct wr_domain_ops wr_domain_iommufd;
extern const struct wr_domain_ops wr_domain_type1v2;
extern const struct wr_domain_ops wr_domain_type1;
extern const struct wr_domain_ops wr_domain_compat;
extern const struct wr_domain_ops wr_domain_spapr_v2;
extern const struct wr_domain_ops wr_domain_spapr;
extern const struct wr_domain_ops wr_domain_iommufd_noiommu;
extern const struct wr_domain_ops wr_domain_noiommu;
extern const struct wr_domain_ops wr_domain_soft;

/* All interfaces, in order of preference; NULL at the end. */
extern const struct wr_domain_ops *const wr_domains[];

/* The soft domain's hardware half, for the in-process transport. */
struct wr_unit *wr_domain_unit(struct wr_domain *d);

#endif
