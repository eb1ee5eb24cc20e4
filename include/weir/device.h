/* SPDX-License-Identifier: MIT */
/*
 * weir_device: an opened PCI function, the driver's side.
 *
 * A device is named by its PCI address (a function bound to vfio-pci), or is a device model in
 * this process: one of the samples ("soft:edu") or the caller's own (weir_device_open_model()).
 * The calls are the same for all of them.
 */
#ifndef WEIR_DEVICE_H
#define WEIR_DEVICE_H

#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_device;
struct weir_ioas;
struct weir_iommu;
struct weir_model;

/** weir_device_opts - all zero means automatic. */
struct weir_device_opts {
	/** The address space to attach to. NULL: a private one, closed with the device. */
	struct weir_ioas *ioas;
	/**
	 * The VF token as a UUID string, for a virtual function whose physical function is bound
	 * to vfio-pci too. NULL: none. The kernel refuses one where none is needed.
	 */
	const char *vf_token;
	/** How many address bits the device drives; automatic IOVAs stay below. 0: 64. */
	unsigned int dma_bits;
	/**
	 * Use @fd, the open and not yet bound node of the device (/dev/vfio/devices/vfioN), by
	 * "iommufd", or without an IOMMU (noiommu-vfioN) by "iommufd-noiommu". It stays the
	 * caller's, and may be closed at once: weir makes a duplicate. The kernel unbinds the
	 * device when both are closed.
	 */
	bool use_fd;
	int fd;
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_device_open() - take a device: claim its IOMMU group, attach it to an address space, reset
 * it where it can be. Bus mastering is off afterwards: see weir_device_bus_master(). One that came
 * with opts.ioas from another process is left as it is: see weir_ioas_import().
 * @iommu: the context; NULL for a private one, or that of opts.ioas.
 * @name: "0000:01:00.0" (the domain "0000:" may be left out), or "soft:NAME".
 * @opts: may be NULL.
 * @out: the device; close it with weir_device_close().
 *
 * So the device can be taken after a process that was killed while the device was at work. One
 * that can't be reset by itself has the state in which that process left it, its interrupt pin
 * included, which disturbs others on the same line until a driver quiets it; the log warns of that,
 * and weir_device_info.can_reset says so.
 *
 * Returns 0, or, with everything as it was:
 *  -EINVAL  no or a malformed name; not a PCI device; @iommu isn't the context of opts.ioas; an fd
 *           or a VF token for a device that came with opts.ioas
 *  -ENOENT  no such device
 *  -ENODEV  the device isn't bound to vfio-pci, has no IOMMU group, or VFIO isn't loaded
 *  -EACCES  its group's node may not be opened by this user; a VF token is wrong or missing
 *  -EBUSY   its group is open elsewhere, or in another address space of this context, or attached
 *           to a weir_hwpt
 *  -EPERM   its group isn't viable: a member is in the hands of a kernel driver; or it has no
 *	     IOMMU, and there is no consent to that (weir_iommu_opts.unsafe_noiommu), or no right
 *	     to it (CAP_SYS_RAWIO, CAP_SYS_ADMIN)
 *  -EAGAIN  the kernel is busy resetting it: try again
 *  -ENOTSUP no interface that is allowed here works
 *  -EDEADLK called by a device model between weir_model_dma_begin() and _end()
 * and others of the kernel's; the message names the cause and, where known, the cure.
 */
WEIR_API int weir_device_open(struct weir_iommu *iommu, const char *name,
			      const struct weir_device_opts *opts, struct weir_device **out);

/**
 * weir_device_open_model() - open a device model of this process as a device behind the software
 * IOMMU.
 * @model: stays the caller's and must outlive the device. -EBUSY when it is opened already.
 *
 * Otherwise as weir_device_open().
 */
WEIR_API int weir_device_open_model(struct weir_iommu *iommu, struct weir_model *model,
				    const struct weir_device_opts *opts, struct weir_device **out);

/**
 * weir_device_close() - bus mastering off, interrupts disabled, detached, closed. NULL is fine.
 * Its bars must be closed before. A device that is gone is closed like any other.
 *
 * Returns 0; -EBUSY, and nothing done, while a weir_bar of it is open, while memory, a weir_hwpt or
 * another device uses its private address space, or while a weir_vdevice is made of it; -EDEADLK as
 * weir_device_open().
 */
WEIR_API int weir_device_close(struct weir_device *dev);

/**
 * weir_device_fd() - the VFIO device fd of a kernel device, for calls that weir doesn't make
 * (include/uapi/linux/vfio.h). What weir has set up on it is weir's.
 *
 * Returns the fd, which stays weir's: don't close it, and it is good until the device is closed;
 * -ENODEV for a model in this process.
 */
WEIR_API int weir_device_fd(struct weir_device *dev);

/** weir_device_ioas() - the address space it is attached to, be it a private one; never NULL. */
WEIR_API struct weir_ioas *weir_device_ioas(struct weir_device *dev);

/**
 * weir_device_move() - attach it to another address space of its context, while it runs. Before,
 * it reaches what is mapped in the one, afterwards what is mapped in the other. By "iommufd" that
 * is one step for the kernel, though most IOMMUs block DMA for a moment in it, as in
 * weir_hwpt_attach(); a model's DMA waits for it. A private address space stays the device's, for
 * it to come back, and is closed with it.
 * @ioas: where to; it has, or gets, a domain of the same kind.
 *
 * Returns 0; -ENOTSUP by "type1v2", "type1" and "compat", and without an IOMMU; -EBUSY when another
 * device of its IOMMU group is attached, which couldn't stay, or while it is attached to a
 * weir_hwpt; -EINVAL for an address space of
 * another context, or one that has, or had, a device without an IOMMU, or with a mapping that the
 * device's IOMMU can't have; -EDEADLK as weir_device_open(); or as weir_ioas_map() where what is
 * mapped there is pinned anew. Where it was it is still, unless the message says otherwise.
 */
WEIR_API int weir_device_move(struct weir_device *dev, struct weir_ioas *ioas);

struct weir_device_info {
	const char *name;	/**< "0000:01:00.0", "soft:edu"; the device's, good until closed */
	const char *backend;	/**< "iommufd", "type1v2", "soft", …; constant */
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem_device;
	uint32_t class_code;	/**< base class << 16 | subclass << 8 | programming interface */
	uint8_t revision;
	bool can_reset;		/**< weir_device_reset() works, and opening it has reset it */
	uint16_t requester;	/**< as in weir_fault */
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/** weir_device_info() - who it is, from config space. Returns 0, or -EIO when it can't be read. */
WEIR_API int weir_device_info(struct weir_device *dev, struct weir_device_info *info);

/**
 * weir_device_bus_master() - let the device do DMA and send message-signalled interrupts, or stop
 * it: the Bus Master Enable bit of its command register (PCI Local Bus 3.0, section 6.2.2).
 *
 * Returns 0; -ENODEV when the register reads all ones, as those of a device that is gone; -EIO.
 */
WEIR_API int weir_device_bus_master(struct weir_device *dev, bool on);

/**
 * weir_device_gone() - whether the device has left the bus: surprise removal, or power that won't
 * come back. Asks the device: config space's class and revision (offset 8), which no device has as
 * all ones, and which the kernel passes on as it reads them, unlike the vendor's and the device's
 * number (drivers/vfio/pci/vfio_pci_config.c). While the kernel resets the device the call waits
 * (pci_wait_cfg() in drivers/pci/access.c); a device that resets itself may look gone meanwhile.
 *
 * Of a device that is gone registers and config space read all ones (what the kernel keeps of
 * config space itself still reads as before), writes do nothing, and there is neither DMA nor an
 * interrupt any more; mapped registers may raise SIGBUS (weir/bar.h). All that can be done with it
 * is to close it, and that works.
 *
 * Returns 1 when it is gone, 0 when it is there; -EIO when the read fails in a way that doesn't
 * tell: the kernel says so when it can't wake the device from a low-power state, be it gone or not
 * (vfio_pci_rw() in drivers/vfio/pci/vfio_pci_core.c). What POWER's EEH has frozen reads all ones,
 * too, and is there. But this waits for nobody: while another thread changes the address space, a
 * frozen device looks gone, and weir_eeh_state() (weir/spapr.h) is what tells.
 */
WEIR_API int weir_device_gone(struct weir_device *dev);

/**
 * weir_device_reset() - reset this function alone (FLR or what the kernel knows for it). Mappings
 * and interrupt set-up stay, the device's own state goes, and bus mastering is as it was. What of
 * its bars is mapped for other devices may have to be mapped anew: weir_ioas_map_bar().
 *
 * Returns 0; -ENOTSUP when the function has no reset of its own; -EAGAIN when it is being reset
 * already; for a device model also -ENODEV when it was removed, and -EDEADLK inside a bracket of
 * its own (weir_model_dma_begin()).
 */
WEIR_API int weir_device_reset(struct weir_device *dev);

/** weir_dependent - a function that is reset with another one. */
struct weir_dependent {
	char address[16];	/**< "0000:01:00.0" */
	int group;		/**< its IOMMU group, -1 where the kernel doesn't say */
	bool owned;		/**< by this context, so that it doesn't hinder */
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/**
 * weir_device_hot_reset_info() - what weir_device_hot_reset() would reset: all functions of its
 * slot or bus, itself included.
 *
 * Returns their number, of which at most @n are stored; -ENOTSUP when it can't be reset so (it sits
 * on a root bus, or is a model); -ENOMEM; -EIO.
 */
WEIR_API int weir_device_hot_reset_info(struct weir_device *dev, struct weir_dependent *list,
					size_t n);

/**
 * weir_device_hot_reset() - reset the function's slot or bus, and so all functions on it, which
 * must all be bound to vfio-pci and in groups that this context has open (VFIO_DEVICE_PCI_HOT_RESET
 * in linux/vfio.h). Mappings, interrupt set-up and what the kernel keeps of config space stay, the
 * devices' own state goes; mapped registers are taken away for the moment, see weir/bar.h. What of
 * their bars is mapped for other devices may have to be mapped anew: weir_ioas_map_bar().
 *
 * Returns 0; -EPERM when a function isn't this context's, which the message names; -ENOTSUP as
 * above; -EAGAIN or -EBUSY when the kernel is busy with one of them: try again; -EINVAL when it
 * refuses; -EIO when the functions didn't come back.
 */
WEIR_API int weir_device_hot_reset(struct weir_device *dev);

/**
 * weir_feature - what a device, its driver or this kernel may have beyond what all have: the
 * features of VFIO_DEVICE_FEATURE in linux/vfio.h, by their numbers.
 */
enum weir_feature {
	WEIR_FEATURE_VF_TOKEN = 0,		/**< a physical function's token can be set */
	WEIR_FEATURE_MIGRATION = 1,
	WEIR_FEATURE_LOW_POWER = 3,		/**< weir_device_low_power(), Linux 6.1 */
	WEIR_FEATURE_LOW_POWER_WAKEUP = 4,	/**< with an eventfd */
	WEIR_FEATURE_DMA_LOGGING = 6,		/**< the device logs the pages that it writes */
	WEIR_FEATURE_DMA_BUF = 11,		/**< its BARs can be exported */
};

/** weir_device_has() - returns 1 or 0; -EINVAL when @feature isn't one of weir_feature; -EIO. */
WEIR_API int weir_device_has(struct weir_device *dev, enum weir_feature feature);

/**
 * weir_device_low_power() - let the kernel put the device into a low-power state while it isn't
 * used (runtime power management, down to D3cold), or no longer. Mapped registers are taken away
 * until it is off again; calls wake the device for their duration. The device must be idle: it
 * loses its state. For its bars that are mapped for other devices it is as a reset.
 * @wakeup: with @on, an eventfd that is signalled when the device or the host wakes it, which ends
 *	low power; it stays the caller's. -1: none.
 *
 * Returns 0; -ENOTSUP where weir_device_has() says so; -EINVAL when it is on already, or @wakeup is
 * no eventfd.
 */
WEIR_API int weir_device_low_power(struct weir_device *dev, bool on, int wakeup);

/** weir_region - a device's regions, numbered as VFIO does. */
enum weir_region {
	WEIR_REGION_BAR0,
	WEIR_REGION_BAR1,
	WEIR_REGION_BAR2,
	WEIR_REGION_BAR3,
	WEIR_REGION_BAR4,
	WEIR_REGION_BAR5,
	WEIR_REGION_ROM,
	WEIR_REGION_CONFIG,
	WEIR_REGION_VGA,
	WEIR_REGIONS
};

struct weir_region_info {
	uint64_t size;		/**< bytes; 0: the device hasn't got it */
	bool readable;
	bool writable;
	bool mappable;		/**< at least a part of it can be mapped */
	bool msix_mappable;	/**< the MSI-X table is in it and can be mapped with the rest; it
				 *   stays the kernel's: leave it alone */
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/** weir_region_info() - returns 0; -EINVAL for a number that isn't a weir_region. */
WEIR_API int weir_region_info(struct weir_device *dev, unsigned int region,
			      struct weir_region_info *info);

/** weir_area - a part of a region: whole pages, or all of a region. */
struct weir_area {
	uint64_t offset;	/**< in the region, bytes */
	uint64_t len;
};

/**
 * weir_region_areas() - the parts of a region that can be mapped, in ascending order and apart. A
 * region that can be mapped as a whole is one area; a kernel that leaves out a part, which it must
 * see the accesses to, names those around it (VFIO_REGION_INFO_CAP_SPARSE_MMAP in linux/vfio.h).
 *
 * Returns the number of areas, of which at most @n are stored; -EINVAL for a number that isn't a
 * weir_region.
 */
WEIR_API int weir_region_areas(struct weir_device *dev, unsigned int region,
			       struct weir_area *areas, size_t n);

/**
 * weir_region_read(), weir_region_write() - access a region by a call, in the device's byte order.
 * @offset, @len: inside the region. The kernel splits it into aligned accesses of 8, 4, 2 and 1
 *	bytes (at most 4 for config space and ROM), so that 7 bytes at offset 1 are three, of 1, 2
 *	and 4 bytes. Only a power of two at a multiple of itself is one access.
 *
 * Returns 0, also of a device that is gone, which reads all ones; -EINVAL out of range, empty, or
 * a region without that access; -EIO while the device doesn't decode (memory space off, low
 * power). What failed half-way isn't undone.
 */
WEIR_API int weir_region_read(struct weir_device *dev, unsigned int region, uint64_t offset,
			      void *buf, size_t len);
WEIR_API int weir_region_write(struct weir_device *dev, unsigned int region, uint64_t offset,
			       const void *buf, size_t len);

/**
 * weir_ioeventfd() - have the kernel write a register when an eventfd is written: doorbells
 * without a call of the driver's. The kernel keeps hold of the eventfd until it is removed or the
 * device closed; the fd stays the caller's, who may close it.
 * @region, @offset: a register of WEIR_REGION_BAR0 to 5, at a multiple of its width.
 * @width: 1, 2, 4, and on some machines 8 bytes.
 * @value: what is written, in the host's byte order, to a little-endian register. While memory
 *	space is off it isn't.
 * @fd: the eventfd; -1 removes the one that was set for this region, offset, width and value.
 *
 * Returns 0; -EINVAL for no such register or value, one that the kernel doesn't take (the MSI-X
 * table), or an fd that is no eventfd; -EBADF for an fd that isn't open; -EEXIST when this value
 * is written there already; -ENODEV when there is nothing to remove; -ENOSPC when the device has
 * 1000 of them; -ENOTSUP for a model in this process.
 */
WEIR_API int weir_ioeventfd(struct weir_device *dev, unsigned int region, uint64_t offset,
			    unsigned int width, uint64_t value, int fd);

/**
 * weir_config_read8/16/32(), weir_config_write8/16/32() - a field of config space, in the host's
 * byte order. @offset must be a multiple of the width.
 *
 * What the kernel virtualises of it is in drivers/vfio/pci/vfio_pci_config.c.
 *
 * Returns 0; -EINVAL out of range or unaligned; -EIO.
 */
WEIR_API int weir_config_read8(struct weir_device *dev, unsigned int offset, uint8_t *value);
WEIR_API int weir_config_read16(struct weir_device *dev, unsigned int offset, uint16_t *value);
WEIR_API int weir_config_read32(struct weir_device *dev, unsigned int offset, uint32_t *value);
WEIR_API int weir_config_write8(struct weir_device *dev, unsigned int offset, uint8_t value);
WEIR_API int weir_config_write16(struct weir_device *dev, unsigned int offset, uint16_t value);
WEIR_API int weir_config_write32(struct weir_device *dev, unsigned int offset, uint32_t value);

/** weir_cap - one capability of config space. */
struct weir_cap {
	uint16_t id;
	uint16_t offset;	/**< in bytes, of its header */
	uint8_t version;	/**< extended capabilities only, otherwise 0 */
	bool extended;		/**< in the PCI Express extended space, from 0x100 on */
};

/**
 * weir_config_caps() - list the capabilities, standard ones first, in the order of their chains.
 *
 * Chains that loop or leave config space end there.
 *
 * Returns the number of capabilities, of which at most @n are stored; -EIO.
 */
WEIR_API int weir_config_caps(struct weir_device *dev, struct weir_cap *caps, size_t n);

/** weir_cap_name() - "MSI-X", "Access Control Services"; NULL for one that weir doesn't know. */
WEIR_API const char *weir_cap_name(const struct weir_cap *cap);

/**
 * weir_config_reader - reads @len (1, 2 or 4) bytes of some config space at @offset, little-endian
 * as they are, into @buf. Returns 0 or -errno.
 */
typedef int (*weir_config_reader)(void *arg, unsigned int offset, void *buf, unsigned int len);

/**
 * weir_config_walk() - weir_config_caps() for config space from anywhere: a captured one, a
 * guest's, sysfs.
 * @size: of the config space in bytes, 256 or 4096; of less than 65, as sysfs shows to users
 *	without privilege, it finds none.
 *
 * Returns the number of capabilities, of which at most @n are stored; or what @read returned.
 */
WEIR_API int weir_config_walk(weir_config_reader read, void *arg, unsigned int size,
			      struct weir_cap *caps, size_t n);

#ifdef __cplusplus
}
#endif

#endif
