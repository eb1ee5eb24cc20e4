# SPDX-License-Identifier: MIT
"""Page tables made by hand: what 'weir info' says of them.

The calls themselves are tried by guest/hwpt.c, and on mock devices by guest/mock.c.
"""

from machines import AMD_VI, DMAR, VIRTIO

# By how the machine's IOMMU tells of faults: its make, and the kinds of page tables that its driver
# makes for an emulated one. Those of none of these nest or track.
UNITS = {DMAR: ("vtd", {"plain", "pasid", "faults"}),
         AMD_VI: ("amd", {"plain", "faults"}),
         VIRTIO: (None, {"plain"})}


def check_iommu(machine, iommu):
    """What weir says of the IOMMU, where the interface tells."""
    if machine.interfaces[0] != "iommufd":
        return f"weir.iommu is {iommu}, not null" if iommu else ""
    make, want = UNITS[machine.faults]
    tables = iommu["page_tables"]
    there = {name for name, ranges in tables.items() if ranges}
    if iommu["make"] != make or bool(iommu["words"]) != bool(make):
        return f"the IOMMU is said to be of make {iommu['make']}: {iommu['words']}"
    if there != want:
        return f"page tables are said to be {sorted(there)}, not {sorted(want)}"
    last = int(tables["plain"][-1]["last"], 16)
    return f"page tables end at {last:#x}" if last != machine.iova_last else ""
