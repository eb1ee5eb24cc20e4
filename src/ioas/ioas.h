/* SPDX-License-Identifier: MIT */
#ifndef WR_IOAS_IOAS_H
#define WR_IOAS_IOAS_H

#include <pthread.h>

#include "ioas/domain.h"
#include "ioas/iommu.h"

struct weir_ioas {
	struct weir_iommu *iommu;
	bool private_iommu;		/* made for this address space, closed with it */
	/*
	 * Who changes what follows holds both locks; to read it either will do. The first is held
	 * while domains are called, and so while the kernel pins memory or an unmap waits for a
	 * model's bracket. The second never is: calls that only ask take it alone, inside a bracket
	 * too. The mappings need the first alone, and look-ups in them none.
	 */
	pthread_mutex_t lock, books;
	struct wr_maps maps;
	struct wr_list domains;
	struct wr_list endpoints;	/* unclaimed ones among them */
	weir_iova limit;		/* of automatic IOVAs: as far as all devices reach */
	struct wr_ranges allowed;	/* where IOVAs are to lie; none: wherever they can */
	bool small_pages;		/* and no others */
	/* window.c's: what there is; of that the caller's, by age; the default one was removed. */
	struct wr_windows windows, made;
	bool no_default;
	void *batches;			/* batch.c's */
	struct wr_list ahead;		/* register.c's */
	unsigned int mems;		/* weir_mem alive */
	struct wr_list hwpts;		/* page tables by hand (hwpt.h) */
	struct wr_list queues;		/* hardware's, which hold what is mapped (viommu.h) */
	unsigned int placed;		/* units where a domain said that they are */
	bool tracking;			/* dirty tracking is on */
	bool degraded;			/* a domain differs from the maps: see the log */
	int record;			/* what says it all, while it is handed over; -1 */
};

/*
 * Attach a device: one that came with the address space as it is; to a domain that is there, or to
 * a new one, on which the mappings are replayed. Returns 0, or -errno with all as it was.
 */
int wr_ioas_attach(struct weir_ioas *as, struct wr_endpoint *ep);
void wr_ioas_detach(struct wr_endpoint *ep);

/* With the locks held: a device more, and maybe the first, of a domain; one in another's place. */
void wr_ioas_enter(struct weir_ioas *as, struct wr_domain *d, struct wr_endpoint *ep);
void wr_ioas_replace(struct weir_ioas *as, struct wr_endpoint *old, struct wr_endpoint *ep);

/* Whether it was handed over: then nothing here comes to the kernel any more. */
static inline bool wr_ioas_handed(const struct weir_ioas *as)
{
	return wr_iommu_handed(as->iommu) == as;
}

/* As weir_device_move(). */
int wr_ioas_move(struct wr_endpoint *ep, struct weir_ioas *to);

/* As .eeh in domain.h, of an attached device. Takes a lock. */
int wr_ioas_eeh(struct wr_endpoint *ep, unsigned int op, const struct weir_eeh_error *error);

/* Has EEH stopped it? Waits for nothing: false also while the address space is being changed. */
bool wr_ioas_frozen(struct wr_endpoint *ep);

/* The domain that doesn't translate, but says where memory is; NULL: none. Under a lock. */
static inline struct wr_domain *wr_ioas_placing(struct weir_ioas *as)
{
	struct wr_domain *d;

	wr_list_for_each(d, &as->domains, link)
		if (d->ops->place)
			return d;
	return NULL;
}

/* Hold two address spaces, which may be one. */
void wr_ioas_lock_both(struct weir_ioas *a, struct weir_ioas *b);
void wr_ioas_unlock_both(struct weir_ioas *a, struct weir_ioas *b);

/* Learn again what holds on all domains. -ENOMEM leaves it as it was. */
int wr_ioas_recompute(struct weir_ioas *as);

/* The windows of all domains; without one, those that the next device's is to have. */
void wr_ioas_learn_windows(const struct weir_ioas *as, struct wr_windows *out);

/* Give a new domain the windows that the address space has; or, if that can't be, a reason. */
int wr_ioas_make_windows(const struct weir_ioas *as, struct wr_domain *d);

/*
 * An IOVA in windows, for memory that is as aligned as the lowest bit of @misaligned: 0 or -ENOSPC
 * with a message. One with larger pages than the system's comes last: whether the memory is made
 * of such only the kernel knows.
 */
int wr_ioas_choose_window(const struct weir_ioas *as, uint64_t misaligned, uint64_t len,
			  weir_iova limit, weir_iova *iova);

/* The smallest pages of the windows that an automatic IOVA can lie in; 0: there are none. */
uint64_t wr_ioas_least_page(const struct weir_ioas *as, weir_iova limit);

/* Register on a new domain what is registered ahead. And at close: forget it. */
int wr_ioas_register_on(const struct weir_ioas *as, struct wr_domain *d);
void wr_ioas_forget_ahead(struct weir_ioas *as);

/* What may be allowed: ranges of pages, one behind the other. */
int wr_ioas_check_allowed(const struct weir_iova_range *ranges, size_t n, struct wr_ranges *out);

/* Whether what is allowed can be had on a domain, which may have got a device more. */
int wr_ioas_check_served(const struct weir_ioas *as, const struct wr_domain *d);

/* For messages: append them to a text. */
void wr_ioas_list_ranges(const struct wr_ranges *ranges, char *text, size_t size);

/*
 * Let a new domain have what is wanted of the address space, and map all there is; or, if not, a
 * reason. And only the latter, on one without mappings.
 */
int wr_ioas_replay(struct weir_ioas *as, struct wr_domain *d);
int wr_ioas_map_all(struct weir_ioas *as, struct wr_domain *d);

/* The lowest mapping that has a byte in [first, last]; and the unit that it is, or is a part of. */
bool wr_ioas_next(struct weir_ioas *as, weir_iova first, weir_iova last, struct wr_mapping *m);
struct weir_iova_range wr_ioas_unit(const struct weir_ioas *as, const struct wr_mapping *m);

/* Whether devices or page tables by hand keep a domain; it is in the address space's list then. */
static inline bool wr_domain_kept(const struct wr_domain *d)
{
	return d->endpoints || d->hwpts;
}

/* A domain for a device of another one of that kind: that of @as, or a new one (not in a list). */
int wr_ioas_domain_like(struct weir_ioas *as, struct wr_endpoint *ep, struct wr_domain **out);

/* At close: what batch.c keeps beside the maps. */
void wr_ioas_forget(struct weir_ioas *as);

/* Whether a hardware queue holds something of it: 0, or -EBUSY (viommu.c). Under the lock. */
int wr_ioas_check_held(const struct weir_ioas *as, weir_iova iova, uint64_t len);

int wr_ioas_nothing_at(weir_iova iova);		/* -ENOENT, with the message */

/*
 * For the device whose private address space it is: -EBUSY if memory or another device uses it.
 */
int wr_ioas_in_use(struct weir_ioas *as, const char *name);

/* Whether no weir_vdevice is made of a device that is to be closed: 0, or -EBUSY (viommu.c). */
int wr_ioas_check_virtual(const struct wr_endpoint *ep);

/* Whether it is this process's: 0, or -EPERM. */
int wr_ioas_check_process(const struct weir_ioas *as);

/*
 * The same, and what would wait for this thread's own bracket is refused, with -EDEADLK. The second
 * refuses what was handed over as well, with -EPERM.
 */
int wr_ioas_check_close(const struct weir_ioas *as);
int wr_ioas_check_change(const struct weir_ioas *as);

/* Whether [start, start + len) is made of pages of the system; @what it is said to be. */
int wr_ioas_check_range(uint64_t start, uint64_t len, const char *what);

/*
 * As weir_ioas_map() and weir_ioas_unmap(), of a weir_mem's memory: it counts as one in the same
 * step, and nothing but the second of these takes it out. @fd: of the file that it is, which lives
 * as long as it; or -1.
 */
int wr_ioas_map_mem(struct weir_ioas *as, void *vaddr, size_t len, int fd,
		    const struct weir_map_opts *opts, weir_iova *iova);
int wr_ioas_unmap_mem(struct weir_ioas *as, weir_iova iova, size_t len);

/* As weir_ioas_map_fd(); @write: this process may write, too. In the books alone if handed over. */
int wr_ioas_map_file(struct weir_ioas *as, int fd, uint64_t offset, size_t len, bool write,
		     const struct weir_map_opts *opts, weir_iova *iova);

/* A bar that lends its registers: it can't be closed while one of these mappings is of them. */
struct wr_lender {
	pthread_mutex_t lock;		/* a leaf */
	struct wr_list mappings;
};

/*
 * As weir_ioas_map(), of a bar's registers, which are mapped at @vaddr. @fd: of their dma-buf, the
 * mapping's from here on, also when this fails; negative: there is none.
 */
int wr_ioas_map_bar(struct weir_ioas *as, void *vaddr, size_t len, int fd,
		    struct wr_lender *lender, const struct weir_map_opts *opts, weir_iova *iova);

/* Whether it has nothing out: 0, or -EBUSY with a message that names what. */
int wr_ioas_check_lender(struct wr_lender *lender);

#endif
