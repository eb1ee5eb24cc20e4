# SPDX-License-Identifier: MIT
"""weir bench map: what is done for each mapping, by each interface and in pages of each kind.

What the machines printed stays in their logs, of which bench.py makes the table in
docs/performance.md.
"""

import functools

from case import Case, bad_input, parsed

# type1 and compat go the same way through weir as type1v2.
INTERFACES = ("iommufd", "type1v2")
KINDS = {"4 KiB pages": ("4 KiB", "2 MiB", "1 GiB"),
         "THP": ("2 MiB", "1 GiB"),
         "2 MiB pages": ("2 MiB", "1 GiB")}
PIECES = {"4 KiB": 1, "2 MiB": 1, "1 GiB": 16}      # that are mapped, of 64 MiB at most

# The most instructions of a pair of calls, about twice what is in docs/performance.md; of a file
# there are those that map it into the process, too.
BOUNDS = {"4 KiB": 6000, "2 MiB": 6000, "1 GiB": 500000}
FILE_BOUNDS = {"4 KiB": 8000, "2 MiB": 8000, "1 GiB": 520000}

# The pool and huge pages of files are set for as long as it takes.
SCRIPT = """
pool=/proc/sys/vm/nr_hugepages files=/sys/kernel/mm/transparent_hugepage/shmem_enabled
pages=$(cat $pool) enabled=$(sed 's/.*\\[\\(.*\\)\\].*/\\1/' $files)
echo 32 > $pool
echo advise > $files
WEIR_IOMMU={interface} taken $WEIR_TEST_EDU -- \\
	weir bench --json --count --memory 64M map $WEIR_TEST_EDU
status=$?
echo $enabled > $files
echo $pages > $pool
exit $status
"""

# 4 MiB may be locked, of the 16 that it would map; and /dev/iommu is root's, or there is none.
LITTLE = """
ulimit -l 4096
weir bind --owner nobody $WEIR_TEST_EDU > /dev/null || exit 96
as_nobody weir bench --json --memory 16M map $WEIR_TEST_EDU
status=$?
weir release $WEIR_TEST_EDU > /dev/null || exit 96
exit $status
"""


# Without an IOMMU: what memory each interface takes. To count what is done for each page, of
# which none may lie beside another, would take minutes.
BARE_KINDS = {"iommufd-noiommu": tuple(KINDS), "noiommu": ("2 MiB pages",)}
BARE_SCRIPT = """
taken $WEIR_TEST_EDU -- weir bench --json --memory 4M --unsafe-noiommu map $WEIR_TEST_EDU
"""


def rows_of(interface):
    """(case, mapped, by its file) of each row that must be there."""
    return [(f"{interface}{file}, {kind}, {mapped}", mapped, bool(file))
            for file in ("", " file") if not file or interface == "iommufd"
            for kind, sizes in KINDS.items() for mapped in sizes]


def check_counts(interface, _machine, outcome):
    """One ioctl for each map and one for each unmap, and no more instructions than are known."""
    value, why = parsed(outcome)
    if why:
        return why
    found = {(row["case"], row["unit"]): row for row in value}
    for name, mapped, file in rows_of(interface):
        if (name, "ioctls") not in found or (name, "instructions") not in found:
            return f"there is no count of '{name}': {[row['note'] for row in value]}"
        calls = found.pop((name, "ioctls"))
        ioctls = 2 * PIECES[mapped]
        if (calls["value"], calls["bare"]) != (ioctls, ioctls):
            return f"{name}: {calls['value']} ioctls, by hand {calls['bare']}, not {ioctls}"
        if calls["note"] and not file:
            return f"{name}: {calls['note']}"
        count = found.pop((name, "instructions"))
        most = (FILE_BOUNDS if file else BOUNDS)[mapped]
        if not count["bare"] < count["value"] <= most:
            return f"{name}: {count['value']} instructions, not {most} at most"
    return f"there is also {list(found)}" if found else ""


def check_little(_machine, outcome):
    """Times, of what the limit of locked memory allows, and why there are no others."""
    value, why = parsed(outcome)
    if why:
        return why
    rows = {row["case"]: row for row in value}
    for kind, unit in (("4 KiB pages, 4 KiB", "ns"), ("4 KiB pages, 1 GiB", "us")):
        row = rows.get(f"type1v2, {kind}", {"value": None})
        if not row["value"] or not row["bare"] or row["unit"] != unit:
            return f"{kind}: {row}"
    note = rows["type1v2, 4 KiB pages, 1 GiB"]["note"]
    if not note.startswith("by 4 MiB: ") or "locked memory is 4096 KiB" not in note:
        return f"the note is '{note}'"
    for name in ("iommufd", "compat"):
        if name not in rows or "/dev/iommu" not in rows[name]["note"]:
            return f"nothing is said of {name}"
    return ""


def check_bare(_machine, outcome):
    """By both interfaces: hugepages, and by one of them others; none without consent."""
    value, why = parsed(outcome)
    if why:
        return why
    for interface, kinds in BARE_KINDS.items():
        for kind, sizes in KINDS.items():
            for size in sizes:
                rows = [row for row in value if row["case"] == f"{interface}, {kind}, {size}"]
                if kind not in kinds:
                    if [row["value"] for row in rows] != [None] or "hugetlb" not in rows[0]["note"]:
                        return f"{interface}, {kind}, {size}: {rows}"
                elif [row["value"] is None for row in rows] != [False]:
                    return f"{interface}, {kind}, {size}: {rows}"
    return ""


BAD_BENCH_CASES = [
    bad_input("bench-address", "unchanged weir bench map 00:zz", r"00:zz"),
    bad_input("bench-absent", "unchanged weir bench map --count 0000:7f:1f.7", r"0000:7f:1f\.7"),
    bad_input("bench-not-bound", "unchanged weir bench map $WEIR_TEST_EDU",
              "WEIR_TEST_EDU", "vfio-pci"),
    bad_input("bench-not-allowed", "taken $WEIR_TEST_EDU -- "
              "unchanged as_nobody weir bench --count map $WEIR_TEST_EDU",
              "WEIR_TEST_EDU", r"\broot\b|\bmode\b"),
    Case("bench-map-little", LITTLE, check_little, limit=120),
]


BARE_BENCH_CASES = [
    Case("bench-map-bare", BARE_SCRIPT, check_bare, limit=240),
    bad_input("bench-consent", "taken $WEIR_TEST_EDU -- unchanged weir bench map $WEIR_TEST_EDU",
              "WEIR_TEST_EDU", "--unsafe-noiommu"),
]


def bench_cases(machine):
    """What is counted, which isn't the IOMMU's doing, and bad input; without one, what there is."""
    if not machine.iommu:
        return BARE_BENCH_CASES
    if not machine.thorough:
        return []
    return [Case(f"bench-map-{interface}", SCRIPT.format(interface=interface),
                 functools.partial(check_counts, interface), limit=240)
            for interface in INTERFACES if interface in machine.interfaces] + BAD_BENCH_CASES
