/* SPDX-License-Identifier: MIT */
/*
 * libweir-host: what this machine is, as far as giving devices away goes, and their way from their
 * drivers to vfio-pci and back. A weir_host is one scan of sysfs, of this machine or of a captured
 * tree; nothing it does wakes a sleeping device, but for the calls that say so.
 */
#ifndef WEIR_HOST_H
#define WEIR_HOST_H

#include <sys/types.h>

#include <weir/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/** weir_host - one scan of a machine. Not for several threads at the same time. */
struct weir_host;

/** weir_role - what the driver of a function means for giving away its IOMMU group. */
enum weir_role {
	WEIR_ROLE_FREE,		/**< it has none */
	WEIR_ROLE_VFIO,		/**< it is in VFIO's hands */
	WEIR_ROLE_HARMLESS,	/**< its driver does no DMA: bridges on pcieport, pci-stub */
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
	uint8_t revision;	/**< 0 also after WEIR_HOST_BRIEF */
	int numa_node;		/**< -1: none or unknown, or WEIR_HOST_BRIEF */
	int group;		/**< number of its IOMMU group, -1: none */
	char driver[64];	/**< the driver it is bound to, "" for none */
	enum weir_role role;
	char iommu[64];		/**< the IOMMU it is behind ("dmar0"), "" for none */
	char vfio_node[64];	/**< its group's node ("/dev/vfio/5") when bound to VFIO, or "" */
	char parent[20];	/**< the bridge it is behind, "" on a root bus or when not known */
	char root_bus[24];	/**< "pci0000:00", "" when not known */
	char physfn[20];	/**< of a VF its PF, else "" */
	unsigned int vfs;	/**< how many VFs it has now */
	char slot[32];		/**< the physical slot of its card, "" when not known */
	uint64_t reserved[4];
};

/**
 * weir_host_open() - scan a machine.
 * @root: "" or NULL for this one; otherwise the folder under which sys/ lies, or an archive that
 *	'weir capture' made. That is unpacked into a folder of this user's below $TMPDIR or /tmp,
 *	which weir_host_close() removes; when the process dies before, the next that unpacks one
 *	does.
 * @out: the scan; close it with weir_host_close().
 *
 * Returns 0; -ENOENT when there is no @root, or no PCI bus under it; -ENOTDIR when it is neither a
 * folder nor a file; -EIO when an attribute holds what the kernel never writes, as in a damaged
 * capture: the message names the file; -EXDEV when a link leads out of @root; -EACCES; -ENOMEM; of
 * an archive, -EINVAL when it is none or has something that a capture never has, -EFBIG when it has
 * too much of something, -ENOTSUP without libarchive. A function that vanishes during the scan is
 * left out.
 */
WEIR_API int weir_host_open(const char *root, struct weir_host **out);

/** weir_host_wish - for big machines: what a scan reads besides, and what it doesn't. */
enum weir_host_wish {
	/**
	 * For who is going to ask for the reset methods of all functions and for all groups:
	 * threads read them along. Otherwise each is read when it is asked for.
	 */
	WEIR_HOST_AHEAD = 1,
	/** Not the functions' revision and numa_node, which stay 0 and -1: less to read. */
	WEIR_HOST_BRIEF = 2,
};

/**
 * weir_host_open_with() - as weir_host_open().
 * @wishes: of enum weir_host_wish, with | between them. -EINVAL: others.
 */
WEIR_API int weir_host_open_with(const char *root, unsigned int wishes, struct weir_host **out);

/** weir_host_close() - NULL is fine. Returns 0. */
WEIR_API int weir_host_close(struct weir_host *host);

/** weir_host_about - which machine it is. What can't be read is "", and what is too long is cut. */
struct weir_host_about {
	char model[160];	/**< its maker and model, by firmware's DMI or devicetree */
	char kernel[128];	/**< the kernel's release, "6.1.0-18-amd64" */
	uint64_t reserved[4];
};

/** weir_host_about() - read that, which tells no serial numbers and no names. Returns 0. */
WEIR_API int weir_host_about(const struct weir_host *host, struct weir_host_about *out);

/** weir_host_count() - how many functions there are. */
WEIR_API unsigned int weir_host_count(const struct weir_host *host);

/**
 * weir_host_function() - the n-th function, by address; NULL from weir_host_count() on.
 *
 * They lie one behind the other: of each its address less that of the first one is its number.
 */
WEIR_API const struct weir_host_function *weir_host_function(const struct weir_host *host,
							     unsigned int n);

/**
 * weir_host_has_iommu() - whether the machine has an IOMMU.
 *
 * Then a function without a group may get one when the first driver is tried with it, which
 * weir_host_bind() does: so it is where devices are found by a device tree.
 */
WEIR_API bool weir_host_has_iommu(const struct weir_host *host);

/**
 * weir_host_find() - a function by its address; the domain may be left out.
 *
 * Returns 0; -EINVAL for a malformed address or one of a device that isn't PCI; -ENOENT.
 */
WEIR_API int weir_host_find(const struct weir_host *host, const char *address,
			    const struct weir_host_function **function);

/**
 * weir_host_parent() - the bridge that a function is behind; of a VF the one that its PF is behind.
 *
 * NULL on a root bus, and when the tree doesn't say, or lacks the bridge.
 */
WEIR_API const struct weir_host_function *
weir_host_parent(const struct weir_host *host, const struct weir_host_function *function);

/**
 * weir_host_is_asleep() - whether a function is suspended now, so that reading its config space
 * would wake it: by its attributes power/runtime_status and power_state.
 */
WEIR_API bool weir_host_is_asleep(const struct weir_host *host,
				  const struct weir_host_function *function);

/**
 * weir_host_vfs_max() - how many VFs a function can have, as in its attribute sriov_totalvfs.
 *
 * Returns the number, 0 for a function that is no PF; or -errno.
 */
WEIR_API int weir_host_vfs_max(const struct weir_host *host,
			       const struct weir_host_function *function);

/** weir_host_group - an IOMMU group: what can only be given away together. */
struct weir_host_group {
	int number;
	char type[16];		/**< of its default domain: "DMA", "DMA-FQ", "identity", "blocked",
				 * "unmanaged", "unknown"; "" when the kernel doesn't say. VFIO's
				 * own domain doesn't show here. */
	char name[32];		/**< "vfio-noiommu" and the like, most have none: "" */
	unsigned int members;	/**< how many PCI functions are in it */
	uint64_t reserved[4];
};

/**
 * weir_host_next_group() - the groups that have PCI functions, by number.
 * @after: -1 for the first, then what this returned last.
 *
 * Returns the next number, or -1 behind the last.
 */
WEIR_API int weir_host_next_group(const struct weir_host *host, int after);

/**
 * weir_host_group() - what a group is (Documentation/ABI/testing/sysfs-kernel-iommu_groups).
 *
 * Returns 0; -ENOENT when no PCI function is in it; -EIO when an attribute makes no sense; -EACCES.
 */
WEIR_API int weir_host_group(const struct weir_host *host, int number, struct weir_host_group *out);

/** weir_host_member() - the n-th PCI function of a group, by address; NULL from the last on. */
WEIR_API const struct weir_host_function *weir_host_member(const struct weir_host *host, int number,
							   unsigned int n);

/**
 * weir_host_reserved - a range of IOVAs that a group's devices can't be given for their own use.
 *
 * The kernel's types: "direct" (must stay mapped as it is: VFIO refuses such a device),
 * "direct-relaxable" (need not, once firmware has let go of it), "reserved", and "msi".
 */
struct weir_host_reserved {
	uint64_t first;
	uint64_t last;		/**< inclusive */
	char type[24];		/**< as the kernel writes it, also one that isn't listed here */
};

/**
 * weir_host_reserved() - a group's reserved regions, as in its attribute reserved_regions.
 *
 * Returns their number, of which at most @n are stored; -ENOENT when the kernel doesn't say, as
 * before 4.11; -EIO when the attribute makes no sense; -EACCES; -ENOMEM.
 */
WEIR_API int weir_host_reserved(const struct weir_host *host, int group,
				struct weir_host_reserved *regions, size_t n);

/** weir_host_iommu_kind - whose an IOMMU is. */
enum weir_host_iommu_kind {
	WEIR_HOST_IOMMU_OTHER,
	WEIR_HOST_IOMMU_VTD,
	WEIR_HOST_IOMMU_AMD,
	WEIR_HOST_IOMMU_SMMU,	/**< version 2 */
	WEIR_HOST_IOMMU_SMMUV3,
	WEIR_HOST_IOMMU_VIRTIO,
};

/** weir_host_iommu - one IOMMU, as in /sys/class/iommu. */
struct weir_host_iommu {
	char name[64];		/**< "dmar0", as in weir_host_function.iommu */
	enum weir_host_iommu_kind kind;
	char function[20];	/**< the PCI function that it is, or belongs to; "" for none */
	uint64_t address;	/**< VT-d: of its registers, CPU physical; else 0 */
	uint64_t cap;		/**< VT-d: CAP; AMD: bits 31:0 of its capability; else 0 */
	uint64_t ecap;		/**< VT-d: ECAP; AMD: EFR; else 0 */
	uint64_t ecap2;		/**< AMD: EFR2, where the kernel shows it; else 0 */
	bool cap_known;		/**< else @cap is 0 since nothing says it, */
	bool ecap_known;	/**< and so @ecap */
	uint64_t reserved[4];
};

/**
 * weir_host_iommu() - the n-th IOMMU, by name.
 *
 * Returns 0; -ENOENT from the last on, without a message; -EIO when an attribute makes no sense;
 * -EACCES.
 */
WEIR_API int weir_host_iommu(const struct weir_host *host, unsigned int n,
			     struct weir_host_iommu *out);

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

/** weir_host_action - what a step does. */
enum weir_host_action {
	WEIR_HOST_LOAD,		/**< load a kernel module */
	WEIR_HOST_OVERRIDE,	/**< set a function's attribute driver_override; "" for none */
	WEIR_HOST_UNBIND,	/**< take a function from its driver */
	WEIR_HOST_BIND,		/**< give a function to a driver */
	WEIR_HOST_OWNER,	/**< change who may open a function's VFIO nodes: "UID:GID" */
	WEIR_HOST_FORGET,	/**< drop a function from the journal, without touching it */
	WEIR_HOST_KEEP,		/**< nothing is to be done */
};

/** weir_host_step - one step on the way of functions to vfio-pci or back. */
struct weir_host_step {
	enum weir_host_action action;
	char subject[64];	/**< the function's address, or the module's name */
	char from[64];		/**< what it is before, "" for nothing or not known yet */
	char to[64];		/**< and afterwards */
	/** For WEIR_HOST_FORGET and WEIR_HOST_KEEP the reason; for WEIR_HOST_BIND why the driver
	 * may refuse, where that can't be known before; "" for nothing. */
	char why[128];
	uint64_t reserved[4];
};

/**
 * weir_host_show - told all the steps, in their order, before the first is taken.
 * @arg: the caller's.
 * @steps: the call's, good until this returns. None: all is as it should be.
 */
typedef void (*weir_host_show)(void *arg, const struct weir_host_step *steps, size_t n);

/** weir_host_bind_opts - zero what isn't used. */
struct weir_host_bind_opts {
	bool group;		/**< also the members of their IOMMU groups that are in the way */
	bool force;		/**< though it is in use, or members are in the way */
	bool dry_run;		/**< show the steps, take none */
	bool set_owner;		/**< the VFIO nodes go to @uid and @gid */
	uid_t uid;		/**< (uid_t)-1: stays */
	gid_t gid;		/**< (gid_t)-1: stays; else the group may open them as well */
	weir_host_show show;	/**< or NULL */
	void *arg;		/**< for @show */
	uint64_t reserved[4];
};

/**
 * weir_host_bind() - take functions from their drivers and give them to vfio-pci.
 * @root: "" or NULL for this machine; otherwise the folder under which sys/, proc/, dev/ and var/
 *	lie, for tests.
 * @addresses: of @n functions, the domain may be left out.
 * @opts: NULL: none.
 *
 * It lasts until weir_host_release() or until the machine restarts. Modules that are missing are
 * loaded, and stay. What each function had before is kept in /var/lib/weir/journal, which is safely
 * on disk before anything is changed; so it can be given back also when this process is killed on
 * the way. When a step fails, those before it are undone, but for the loading of modules. Calls on
 * one machine wait for each other (/var/lib/weir/lock). A function that is in VFIO's hands already
 * stays as it is, and so do bridges. Looking reads config space, which wakes sleeping devices.
 *
 * Refused is what is in use: a disk that is mounted, swap, below md, dm or LVM, or open; a network
 * interface that is up and has an address, the default route or others upon it; the console's
 * graphics; a function with VFs; one that is open by VFIO, if its owner is to change. @opts->force
 * says that this is meant, but never takes the disk of the root file system. What is in use is
 * found out by looking: who begins to use a device at the same moment isn't seen.
 *
 * Returns 0; -EBUSY with what is in use or in the way, and the file that says so; -EINVAL for a
 * malformed address, a bridge that is named (the host's, too), or options that make no sense;
 * -ENOENT; -ENODEV without IOMMU group, unless vfio's no-IOMMU mode is on or may be once the module
 * is loaded; -EACCES or -EPERM without privilege; -EIO when sysfs or the journal makes no sense; or
 * what the kernel answered, in which case the message says whether everything was undone. See
 * Documentation/ABI/testing/sysfs-bus-pci, driver_override.
 */
WEIR_API int weir_host_bind(const char *root, const char *const *addresses, size_t n,
			    const struct weir_host_bind_opts *opts);

/** weir_host_release_opts - zero what isn't used. */
struct weir_host_release_opts {
	bool dry_run;		/**< show the steps, take none */
	weir_host_show show;	/**< or NULL */
	void *arg;		/**< for @show */
	uint64_t reserved[4];
};

/**
 * weir_host_release() - give functions back: the driver that each had before weir_host_bind(), or
 * none, its driver_override, and the owner of its VFIO nodes; and drop them from the journal.
 * @root: as for weir_host_bind().
 * @addresses: of @n functions; with @n 0, all that are in the journal.
 * @opts: NULL: none.
 *
 * May be repeated: what is as it was stays so. What was bound before the machine restarted, was
 * unplugged, or is another device by now, is only dropped from the journal, and @opts->show is told
 * why. One that can't be given back doesn't keep others from it; it stays in the journal.
 *
 * Returns 0; -EBUSY when one is open by VFIO, in which case nothing is done; -ENOENT when one is
 * with vfio-pci but not by weir_host_bind(), so that nobody knows where it belongs, and nothing is
 * done; otherwise as weir_host_bind(), the first failure of several.
 */
WEIR_API int weir_host_release(const char *root, const char *const *addresses, size_t n,
			       const struct weir_host_release_opts *opts);

/** weir_host_capture_opts - zero what isn't used. */
struct weir_host_capture_opts {
	bool unmasked;		/**< with what identifies the machine and its network */
	bool wake;		/**< config space of sleeping functions, too, which wakes them */
	bool force;		/**< replace a file that is there */
	uint64_t reserved[4];
};

/** weir_host_captured - what is in an archive, and what isn't. */
struct weir_host_captured {
	unsigned int files;
	unsigned int unreadable;	/**< that this user may not read, or that can't be read */
	unsigned int asleep;		/**< functions whose config space is missing */
	unsigned int cut;		/**< whose config space is cut, for want of privilege */
	uint64_t reserved[4];
};

/**
 * weir_host_capture() - put all that is read of a machine into one file: a tar archive with gzip.
 * @root: as for weir_host_open(), but no archive.
 * @file: the archive. It is there as a whole or not at all.
 * @opts: NULL: none.
 * @out: NULL, or where it is told what came of it.
 *
 * The archive can be a root, and its file weir-capture lists what is missing. The same machine
 * in the same state gives the same bytes. Nodes in /dev are files in it that say whose they are,
 * firmware's tables are empty files. Unless @opts says otherwise, what identifies a machine or its
 * network is masked so that the form stays valid: MAC addresses, UUIDs, serial numbers in config
 * space, IP addresses, the names of network file systems and of folders that users choose, values
 * on the kernel's command line and of modprobe's options but those that matter here, and the
 * kernel's addresses. What programs wrote into the kernel's log is left out. Not masked are the
 * model of the machine and of its devices, and the versions of its software. An archive that isn't
 * masked can be read by its owner alone.
 *
 * Returns 0; -EEXIST when there is such a file; -ENOENT when there is no @root, or no PCI bus under
 * it; -ENOTDIR when it is no folder; -ENOTSUP without libarchive; others with a message. What can't
 * be read is left out, which is no error.
 */
WEIR_API int weir_host_capture(const char *root, const char *file,
			       const struct weir_host_capture_opts *opts,
			       struct weir_host_captured *out);

#ifdef __cplusplus
}
#endif

#endif
