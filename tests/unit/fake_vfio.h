/* SPDX-License-Identifier: MIT */
/*
 * A VFIO kernel behind the seam: /dev/vfio/vfio with the type1 IOMMU, groups /dev/vfio/N, and
 * devices, which keep to the rules of drivers/vfio/{container,group,vfio_iommu_type1}.c as far as
 * user programs see them. Its fds are no fds of this process. Memory, eventfds and other files go
 * to the real kernel. All calls are counted, and each can be made to fail.
 */
#ifndef FAKE_VFIO_H
#define FAKE_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fake_eeh.h"
#include "fake_spapr.h"
#include "kernel/uapi.h"

#define FAKE_GROUPS	3
#define FAKE_GROUP(n)	(10 + (n))	/* the number of the n-th: /dev/vfio/10, … */
#define FAKE_RANGES	12

struct fake_group {
	bool exists, viable;
	int open_error;			/* what these say instead of working */
	int status_error;
	int set_container_error;	/* who owns the DMA, says the IOMMU core */
	int attach_error;		/* what type1 says to the group */
	bool alone;			/* its IOMMU can't share a container with another */
	int device_error;
	/* where the IOMMU of its devices can map */
	unsigned int n_ranges;
	struct wr_vfio_iova_range ranges[FAKE_RANGES];
	const char *device;		/* the one in it */
	const char *token;		/* that it wants, NULL for none */
	/* IOMMUFD */
	unsigned int iommu;		/* one IOMMU's page tables are of no use to another */
	bool tracks_dirty;
	bool blocked;			/* by an attach that failed, as VT-d's driver does it */
	/* the kernel's */
	bool open;
	unsigned int devices;		/* fds */
	struct fake_container *in;
	struct fake_context *iommufd;	/* in the container's place */
	unsigned int bound;		/* a bit for each function, by its own node */
};

struct fake_iommufd {
	bool exists;			/* /dev/iommu */
	bool is_container;		/* and /dev/vfio/vfio is the same */
	int open_error, node_error;	/* what opening it, and a device's node, says */
	bool no_nodes;			/* before Linux 6.6 */
	bool no_dev;			/* built without them: no "dev" in sysfs */
	bool other_node;		/* sysfs has another number than the node */
	bool unprivileged;
	bool no_map_file, no_change_process, no_hw_info;
	uint64_t (*phys)(const void *vaddr);	/* NULL: before Linux 7.3, it doesn't tell */
	int phys_error;
	const struct wr_iommu_get_pa *phys_answer;	/* said instead of the truth */
	bool no_dma_bufs;		/* before Linux 6.19 */
	int bind_error;
	int allow_error;
	unsigned int attaches, detaches, copies;
	unsigned int process;		/* the calling one; any number */
	/* page tables by hand; all zero: the IOMMU has none of these */
	bool old;			/* Linux 6.6, which hasn't got them either */
	uint8_t pasid_bits;
	uint32_t hw_type;
	uint64_t hw_caps;
	const void *hw_data;
	size_t hw_len;
	uint32_t nested_type, viommu_type, hwqueue_type, invalidate_type;
	bool nests_without_viommu;	/* as VT-d */
	int nested_error;
	uint64_t parent_last;		/* how far nest parents reach; 0: as all tables */
	uint64_t lent_at, lent_len;	/* registers that a vIOMMU lends */
	uint32_t invalidate_less;	/* so many fewer than asked for, and no error */
	uint64_t invalidated;		/* words, of calls that succeeded: of others none is */
	uint32_t cookies;		/* a bit for each group of faults that waits */
	unsigned int answers[2];	/* of each code */
};

/* POWER: drivers/vfio/vfio_iommu_spapr_tce.c */
struct fake_spapr {
	bool power;			/* the machine is POWER */
	bool exists;			/* it is, and the module is loaded */
	bool pseries;			/* or else PowerNV */
	uint32_t low_size;		/* of the default window */
	uint64_t page_sizes;		/* of those that can be made; 0: none, and no version 2 */
	uint32_t levels, windows;
	uint64_t place;			/* where the next are made; 0: where the platforms do */
	bool blacklisted;		/* pSeries: one couldn't be made */
	unsigned int backing;		/* log2 of the memory's pages, for all windows */
	uint64_t memlock, locked;	/* bytes that count, at most and now */
	int create_error, register_error, unregister_error, map_error, unmap_error;
	unsigned int creates;
	uint32_t last_shift;		/* as it was last asked to create */
	/* what is registered, in all containers (mm->context.iommu_group_mem_list) */
	struct {
		uint64_t vaddr, size;
		pid_t mm;
		unsigned int used;	/* 0: none */
		unsigned long mapped;	/* pages of windows */
	} memory[FAKE_REGIONS];
	/* what /proc/self/maps says; none: it can't be asked, as before Linux 6.11 */
	struct { uint64_t start, end, page; } vmas[3];
	/* what a caller must never do, but the kernel lets it */
	unsigned int replaced, overrun;
	unsigned int forsaken;		/* it gave memory back that is mapped */
	unsigned int borrowed;		/* it mapped pages that only others have registered */
};

#define FAKE_VECTORS	16
#define FAKE_IOEVENTFDS	3

struct fake_device {
	struct wr_vfio_device_info info;
	struct wr_vfio_region_info regions[9];
	const void *chain;		/* of region 0, behind its information */
	uint32_t chain_size;
	uint32_t chain_offset;		/* where it is said to start */
	int reset_error;
	/* what is reset with it by a hot reset; so many more are there at each look */
	struct wr_vfio_dependent dependents[8];
	unsigned int n_dependents, dependents_growth;
	bool by_node;			/* the fd of the call under way is of its own node */
	int hot_reset_error;
	unsigned int reset_groups;	/* fds that the last one was given */
	unsigned int hot_resets;
	uint32_t features;		/* a bit each */
	bool low_power;
	bool not_decoding;		/* its memory space is off */
	/* what a dma-buf was last made of, and that many times */
	struct wr_vfio_dma_buf exported;
	struct wr_vfio_dma_range exported_range;
	ino_t exported_file;
	bool no_exports;	/* its driver is another one than vfio-pci */
	unsigned int exports;
	/* its registers: a file, in which a region lies at its offset */
	int memory;
	size_t most;			/* bytes that pread and pwrite move at once */
	int access_error;		/* what they say instead */
	unsigned long accesses;
	struct { uint64_t offset, data; uint32_t width; } ioeventfds[FAKE_IOEVENTFDS];
	/* interrupts */
	struct wr_vfio_irq_info irqs[5];
	unsigned int vectors_free;	/* that the host has to give */
	uint32_t bad_vectors;		/* a bit each: these can't be given a handler, */
	unsigned int bad_times;		/* so many times */
	unsigned int active;		/* which of INTx, MSI, MSI-X; NO_IRQ */
	uint32_t allocated;		/* a bit for each vector of that */
	int signals[FAKE_VECTORS];	/* the kernel's holds on eventfds, -1 for none */
	unsigned int handlers[FAKE_VECTORS];	/* how often a vector's handler was set or freed */
	int line_signals[2];		/* of ERR and REQ */
	int unmask;			/* INTx */
	bool masked;
	bool msi_lost;			/* EEH's reset has turned off what is active */
	struct wr_vfio_irq_set last_set;
};

#define NO_IRQ		5

struct fake {
	struct fake_group groups[FAKE_GROUPS];
	struct fake_device device;
	/* type1 */
	int container_error;		/* what opening /dev/vfio/vfio says */
	int api_version;
	bool no_type1, no_v2;
	unsigned int entry_limit;
	uint64_t memlock;		/* bytes it pins at most */
	const void *bad_memory;		/* a byte that can't be pinned */
	uint64_t page_sizes;
	bool no_ranges;			/* as before Linux 5.4, which hasn't got the newer either */
	unsigned int growth;		/* so many times the information outgrows what was asked */
	const void *info;		/* said instead of the truth: the whole structure */
	uint32_t info_size;
	uint64_t unmap_less;		/* bytes that unmap leaves mapped, and says so */
	uint64_t unmap_stops;		/* IOMMUFD: after so many bytes, with an error */
	int unmap_error, map_error;
	unsigned int vaddr_errors;	/* times that it takes no new address */
	unsigned int dirty_calls;
	struct fake_iommufd iommufd;
	struct fake_spapr spapr;
	struct fake_eeh eeh;
	/* failing */
	unsigned long calls;		/* made so far */
	unsigned long fail_at;		/* the call that fails, 1 for the first; 0: none */
	int fail_with;
	/* the books */
	unsigned int open_fds;
	long mapped;			/* bytes of memory from mmap() */
};

extern struct fake fake;

/* Put the fake behind the seam, with all groups there and viable; and the kernel back. */
void fake_start(void);
void fake_stop(void);

/* What is mapped in the container that a group is in: how many mappings; whether this one is. */
unsigned int fake_mappings(unsigned int group);
bool fake_has(unsigned int group, uint64_t iova, uint64_t size, const void *vaddr, uint32_t flags);

/* A device fd as a second user of the group would have it, to keep the group busy. */
int fake_device_fd(unsigned int group);

/* The device signals: true when there was an eventfd to signal. */
bool fake_interrupt(unsigned int irq, unsigned int vector);

/*
 * The same for what IOMMUFD has for a device: an address or, of a file, its offset and inode; and
 * flags WR_IOMMU_MAP_. How many objects there are. A device writes a page.
 */
unsigned int fake_ioas_mappings(unsigned int group);
bool fake_ioas_has(unsigned int group, uint64_t iova, uint64_t size, uint64_t va, uint32_t flags,
		   ino_t file);
/* How many ranges are promised, and the first; whether pages are small alone; how it counts. */
unsigned int fake_ioas_allowed(unsigned int group, struct wr_iommu_iova_range *first);
bool fake_ioas_small(unsigned int group);
bool fake_by_process(unsigned int group);
uint64_t fake_pinned(void);		/* by all, in bytes; copies once */
bool fake_same_table(unsigned int a, unsigned int b);
bool fake_same_ioas(unsigned int a, unsigned int b);
unsigned int fake_objects(void);
void fake_written(unsigned int group, uint64_t iova);

/*
 * The kernel's number of the page table that a function of a group uses. Its device asks for @n
 * pages, from @iova on, in one group with that cookie; and its vIOMMU has @n events, from that
 * sequence number on, which are that number, or only lost one.
 */
uint32_t fake_table(unsigned int group, unsigned int function);
void fake_page_request(unsigned int group, uint64_t iova, unsigned int n, uint32_t cookie);
void fake_event(uint32_t sequence, unsigned int n, bool lost);

/* Bytes that IOMMUFD has pinned and that count as a process's, by its number. */
uint64_t fake_charged(unsigned int process);

/* fake_iommufd.c */
void fake_iommufd_start(void);
int fake_iommufd_open(bool as_container);
int fake_iommufd_open_node(const char *path);
bool fake_iommufd_owns(int fd);
int fake_iommufd_dup(int fd);
bool fake_iommufd_is_context(int fd);
bool fake_iommufd_is_queue(int fd);
ssize_t fake_iommufd_read(int fd, void *buf, size_t len);
ssize_t fake_iommufd_write(int fd, const void *buf, size_t len);
int fake_iommufd_poll(int fd);
void fake_iommufd_close(int fd);
int fake_iommufd_char_device(int fd, dev_t *device);
dev_t fake_iommufd_number(const struct fake_group *g, unsigned int function);
int fake_iommufd_ioctl(int fd, unsigned long request, void *arg);
int fake_iommufd_set_container(struct fake_group *g, int fd);
void fake_iommufd_unset_container(struct fake_group *g);
int fake_iommufd_first_device(struct fake_group *g);
void fake_iommufd_last_device(struct fake_group *g);

/* fake_vfio_device.c */
void fake_device_start(void);
void fake_device_stop(void);
void fake_device_closed(void);		/* its last fd */
int fake_device_ioctl(unsigned long request, void *arg);
ssize_t fake_device_read(void *buf, size_t len, off_t offset);
ssize_t fake_device_write(const void *buf, size_t len, off_t offset);
bool fake_is_dma_buf(int fd);
int fake_device_mmap(void *hint, size_t len, int prot, int flags, off_t offset, void **out);
/* Its place in sysfs. */
int fake_access(const char *path);
int fake_find(const char *folder, const char *prefix, char *name, size_t size);
int fake_open_sysfs(const char *path);	/* -ENOENT: not one of its files */
ssize_t fake_readlink(const char *path, char *buf, size_t size);

#endif
