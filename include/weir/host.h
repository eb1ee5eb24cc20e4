/* SPDX-License-Identifier: MIT */
/*
 * libweir-host: what this machine is, as far as giving devices away goes. A weir_host is one scan
 * of sysfs, of this machine or of a captured tree; nothing it does wakes a sleeping device, but
 * for the calls that say so.
 */
#ifndef WEIR_HOST_H
#define WEIR_HOST_H

#include <weir/device.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_host;

/** weir_role - what the driver of a function means for giving away its IOMMU group. */
enum weir_role {
	WEIR_ROLE_FREE,		/**< it has none */
	WEIR_ROLE_VFIO,		/**< it is in VFIO's hands */
	WEIR_ROLE_HARMLESS,	/**< its driver does no DMA: bridges on pcieport, stubs */
	WEIR_ROLE_IN_THE_WAY,	/**< the kernel uses it: meanwhile the group isn't viable */
};

/** weir_host_function - one PCI function. The scan's, good until it is closed. */
struct weir_host_function {
	char address[20];	/**< "0000:01:00.0" */
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem_device;
	uint32_t class_code;	/**< base class << 16 | subclass << 8 | programming interface */
	uint8_t revision;
	int numa_node;		/**< -1: none or unknown */
	int group;		/**< number of its IOMMU group, -1: none */
	char driver[64];	/**< the driver it is bound to, "" for none */
	enum weir_role role;
	char iommu[64];		/**< the IOMMU it is behind ("dmar0"), "" for none */
	char vfio_node[64];	/**< its group's node ("/dev/vfio/5") when bound to VFIO, or "" */
};

/**
 * weir_host_open() - scan a machine.
 * @root: "" or NULL for this one; otherwise the folder under which sys/ lies.
 * @out: the scan; close it with weir_host_close().
 *
 * Returns 0; -ENOENT when there is no PCI bus under @root; -EIO when an attribute holds what the
 * kernel never writes, as in a damaged capture: the message names the file; -EACCES; -ENOMEM.
 * A function that vanishes during the scan is left out.
 */
WEIR_API int weir_host_open(const char *root, struct weir_host **out);

/** weir_host_close() - NULL is fine. Returns 0. */
WEIR_API int weir_host_close(struct weir_host *host);

/** weir_host_count() - how many functions there are. */
WEIR_API unsigned int weir_host_count(const struct weir_host *host);

/** weir_host_function() - the n-th function, by address; NULL from weir_host_count() on. */
WEIR_API const struct weir_host_function *weir_host_function(const struct weir_host *host,
							     unsigned int n);

/**
 * weir_host_find() - a function by its address; the domain may be left out.
 *
 * Returns 0; -EINVAL for a malformed address or one of a device that isn't PCI; -ENOENT.
 */
WEIR_API int weir_host_find(const struct weir_host *host, const char *address,
			    const struct weir_host_function **function);

/** weir_host_region - one region of a function, as the kernel laid it out. */
struct weir_host_region {
	unsigned int region;	/**< WEIR_REGION_BAR0 to WEIR_REGION_ROM */
	uint64_t start;		/**< CPU physical address (or port); 0: none assigned */
	uint64_t size;		/**< bytes */
	bool io;		/**< I/O ports, not memory */
	bool is64;
	bool prefetchable;
};

/**
 * weir_host_regions() - the regions the function has.
 *
 * Returns their number, of which at most @n are stored; -ENOENT when the function is gone; -EIO
 * when the attribute "resource" makes no sense.
 */
WEIR_API int weir_host_regions(const struct weir_host *host,
			       const struct weir_host_function *function,
			       struct weir_host_region *regions, size_t n);

/**
 * weir_host_config() - read a function's config space. This wakes a sleeping device.
 *
 * Returns the bytes stored, at most @size: 4096, 256, or 64 for users without privilege, who
 * therefore see no capabilities; or -errno.
 */
WEIR_API int weir_host_config(const struct weir_host *host,
			      const struct weir_host_function *function, void *buf, size_t size);

/**
 * weir_host_reset_methods() - how the kernel would reset it, best first, as in the attribute
 * reset_method: "flr pm bus". "" when it can't be reset, or the kernel doesn't say.
 *
 * Returns the text's length; -EOVERFLOW when @size is too small.
 */
WEIR_API int weir_host_reset_methods(const struct weir_host *host,
				     const struct weir_host_function *function, char *buf,
				     size_t size);

#ifdef __cplusplus
}
#endif

#endif
