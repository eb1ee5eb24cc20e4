# SPDX-License-Identifier: MIT
"""Page tables made by hand: what 'weir info' says of them, and the examples that make them.

The calls themselves are tried by guest/hwpt.c, and on mock devices by guest/mock.c.
"""

import functools
import re
from pathlib import Path

from case import Case
from machines import AMD_VI, DMAR, SMMU, VIRTIO

NESTING = Path(__file__).resolve().parents[2] / "docs/guides/nesting.md"

# By how the machine's IOMMU tells of faults: its make, and the kinds of page tables that its driver
# makes for an emulated one. None tracks what is written.
UNITS = {DMAR: ("vtd", {"plain", "pasid", "faults"}),
         SMMU: ("smmuv3", {"plain", "nest_parent", "pasid", "faults"}),
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


def expected(name, machine):
    """(exit status, stdout, stderr), the last two as patterns, of an example; where the IOMMU can't
    do what it shows, it says so."""
    _, kinds = UNITS[machine.faults]
    edu, *pair = (re.escape(machine.devices[f"WEIR_TEST_{part}"])
                  for part in ("EDU", "PAIR0", "PAIR1"))
    if name == "nest":
        told = re.search(r"^<!-- the output of: nest -->\n```\n(.*?)^```$", NESTING.read_text(),
                         re.M | re.S)
        return 0, re.escape(told[1]), ""
    none = f"{name}: {edu}: its IOMMU, or this kernel, makes no page table with "
    if name == "share_stage2":
        plain = "" if "nest_parent" in kinds else r"no nest parent here: a plain page table\n"
        return 0, plain + "".join(rf"{device} passed on: Hello, devices\n"
                                  for device in (edu, *pair)), ""
    if name == "dirty":
        return ((0, r"sent: all 64 pages\nsent: 7 14 21\nsent: 8 15\nsent: 9\nsent: nothing\n", "")
                if "dirty" in kinds else (1, "", none + r"dirty tracking\n"))
    return ((0, rf"{edu} asks for no pages: .*\n", "") if "faults" in kinds
            else (1, "", none + r"page faults\n"))


def check_example(name, machine, outcome):
    """It did and said what it has to."""
    status, out, err = expected(name, machine)
    if outcome.status != status:
        return f"exit status {outcome.status}, not {status}"
    if not re.fullmatch(out, outcome.stdout):
        return f"stdout isn't '{out}'"
    return "" if re.fullmatch(err, outcome.stderr) else f"stderr isn't '{err}'"


def hwpt_cases(machine):
    """The examples, where the devices for the guest program are."""
    if "hwpt" not in machine.programs:
        return []
    edu, pair = "$WEIR_TEST_EDU", "$WEIR_TEST_PAIR0 $WEIR_TEST_PAIR1"
    examples = [("share_stage2", f"{edu} {pair}"), ("dirty", edu), ("fault", edu)]
    if machine.nests:
        examples.append(("nest", edu))
    return [Case(f"example-{name.replace('_', '-')}",
                 f"taken {devices} -- /tests/examples/{name} {devices}",
                 functools.partial(check_example, name),
                 needs=("tools/weir/weir", f"examples/{name}"))
            for name, devices in examples]
