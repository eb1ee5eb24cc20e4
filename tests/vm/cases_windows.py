# SPDX-License-Identifier: MIT
"""The cases of POWER's windows: what --window makes, and DMA and an NVMe's data in it."""

import functools

import expected
from case import Case, bad_input, parsed

INTERFACE = "spaprv2"
# Where the platforms put the one beside the default window.
FIRST = 1 << 59
SIZES = {"4K": 1 << 12, "64K": 1 << 16, "2M": 1 << 21}
# Where there is a pool: in a window of larger pages than the system's, memory comes from it.
POOL = "[ ! -e /proc/sys/vm/nr_hugepages ] || echo 24 > /proc/sys/vm/nr_hugepages\n"


def window_differs(report, page):
    """Why it isn't the window that was asked for; empty when it is."""
    window = report.get("window") or {}
    want = {"first": f"{FIRST:#x}", "page_size": SIZES[page], "made": True}
    return "".join(f"the window's {key} is {window.get(key)}, not {value}; "
                   for key, value in want.items() if window.get(key) != value)


def check_selftest(page, machine, outcome):
    """The same steps pass as without, in that window."""
    report, why = parsed(outcome, 0, 1)
    impossible = expected.load(machine.name).get(f"selftest-edu-{INTERFACE}", {})
    return why or expected.judge(report, INTERFACE, impossible) or window_differs(report, page)


def check_nvme(page, _machine, outcome):
    """All was read as it was written, in that window."""
    report, why = parsed(outcome)
    if why or report["verified"] != {"blocks": 2048, "wrong": 0, "first_wrong": None}:
        return why or f"verified is {report['verified']}"
    return window_differs(report, page)


def window_cases(machine):
    """Of each page size that the machine is said to have memory for; and of one that none has."""
    found = []
    for page in machine.windows:
        found += [
            Case(f"window-selftest-{page}", f"{POOL}taken $WEIR_TEST_EDU -- "
                 f"weir selftest $WEIR_TEST_EDU --json --window {page}",
                 functools.partial(check_selftest, page), limit=120),
            Case(f"window-nvme-{page}", f"{POOL}taken $WEIR_TEST_NVME -- "
                 f"weir nvme bench --verify --yes --random --irq --namespace 2 --blocks 2048 "
                 f"--block-size 64K --depth 7 --json --window {page} $WEIR_TEST_NVME",
                 functools.partial(check_nvme, page), limit=120),
        ]
    if machine.windows:
        found += [
            bad_input("window-pages", "taken $WEIR_TEST_EDU -- weir selftest $WEIR_TEST_EDU "
                      "--json --window 1M", r"no windows with pages of 1048576 bytes", r"4 KiB"),
            bad_input("window-version-1", "WEIR_IOMMU=spapr taken $WEIR_TEST_EDU -- weir selftest "
                      "$WEIR_TEST_EDU --json --window 64K", r"by \"spaprv2\" alone"),
        ]
    return found
