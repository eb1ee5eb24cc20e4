/* SPDX-License-Identifier: MIT */
/*
 * A function's attributes in sysfs, under any root ("" for this machine), so that captured trees
 * can be read as well. Nothing here resumes a sleeping device.
 */
#ifndef WR_PCI_SYSFS_H
#define WR_PCI_SYSFS_H

#include <weir/host.h>

#include "base/root.h"
#include "pci/addr.h"

#define WR_PCI_NAME_MAX 64	/* of a driver, an IOMMU, a VFIO node: names in sysfs */

/* Bytes of a path, with a generous root. */
#define WR_PCI_PATH_MAX 4096

/*
 * Whether the function exists. Returns 0; -ENOENT with a message; when something of that name is a
 * device of another bus, -EINVAL with a message that says which.
 */
WR_PRIVATE int wr_pci_exists(const char *root, const char *addr);

/*
 * Read an attribute's text without its newline. Returns its length, or -errno without a message:
 * -ENOENT, or -ENODEV when the function goes away meanwhile; -EOVERFLOW when it doesn't fit with
 * its NUL; -EINVAL when it isn't text.
 */
WR_PRIVATE int wr_pci_attr(const char *root, const char *addr, const char *attr, char *buf,
			   size_t size);

/*
 * Read a number ("0x1234" or "12"). Returns 0, or -errno without a message: as wr_pci_attr(),
 * -EINVAL for anything but one number, -ERANGE.
 */
WR_PRIVATE int wr_pci_attr_u64(const char *root, const char *addr, const char *attr,
			       uint64_t *value);

/*
 * The last component of what a link points at: of "driver" the driver, of "iommu_group" the
 * group's number, of "iommu" the IOMMU. Returns 0, or without a message: -ENOENT when there is no
 * such link, -EISDIR when it is a folder, -EINVAL when it is no link or ends in no name,
 * -ENAMETOOLONG.
 */
WR_PRIVATE int wr_pci_link(const char *root, const char *addr, const char *link,
			   char name[WR_PCI_NAME_MAX]);

/* The same of a function whose folder is open. */
WR_PRIVATE int wr_pci_folder_link(const struct wr_folder *function, const char *link,
				  char name[WR_PCI_NAME_MAX]);

/*
 * Whether the machine has an IOMMU. Where devices are found by a device tree a function has no
 * group yet, all the same, before the first driver is tried with it (drivers/iommu/of_iommu.c).
 */
WR_PRIVATE bool wr_pci_any_iommu(const char *root);

/*
 * What the driver of a function ("" for none) means for giving away its IOMMU group, by the
 * kernel's rules: driver_managed_dma in drivers/pci/pcie/portdrv.c, drivers/pci/pci-stub.c and
 * drivers/vfio/pci/; pci-pf-stub hasn't got it. Since 6.1 VFIO itself says that it has a function,
 * by a folder vfio-dev; before, the names of its drivers do, which all have "vfio" in them.
 */
WR_PRIVATE enum weir_role wr_pci_role(const char *root, const char *addr, const char *driver);
/* The same of a function whose folder is open. @vfio_says: there is a class vfio-dev. */
WR_PRIVATE enum weir_role wr_pci_folder_role(const struct wr_folder *function, const char *driver,
					     bool vfio_says);

#endif
