#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The house limits: lines of 100 columns (tabs of 8), files of 800 lines, functions of 80; and
no code for one architecture outside src/base.

usage: style.py ROOT    prints TAP, one line a limit
"""

import pathlib
import re
import sys

FOLDERS = ("include", "src", "tools", "drivers", "models", "examples", "bench", "tests")
SUFFIXES = (".c", ".h", ".py", ".sh", ".build")

ARCHITECTURE = re.compile(r"#\s*(el)?if.*\b__(x86_64|i386|aarch64|arm|powerpc|ppc|PPC|s390|riscv)")
# The barriers are here because public functions that are inline can't be in src/base.
MAY_DIFFER = ("src/base/", "include/weir/bar.h")


def files(root):
    """Everything that people read as code."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES:
                yield path


def long_functions(lines):
    """(line number, length) of C functions that are too long."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start - 1 > 80:
                yield start, number - start - 1
            start = None


def main():
    root = pathlib.Path(sys.argv[1])
    wide, tall, deep, uneven = [], [], [], []
    for path in files(root):
        name = path.relative_to(root)
        lines = path.read_text(encoding="utf-8").splitlines()
        wide += [f"{name}:{number}: {len(line.expandtabs())} columns"
                 for number, line in enumerate(lines, 1) if len(line.expandtabs()) > 100]
        if len(lines) > 800:
            tall.append(f"{name}: {len(lines)} lines")
        if path.suffix == ".c":
            deep += [f"{name}:{number}: a function of {length} lines"
                     for number, length in long_functions(lines)]
        if not str(name).startswith(MAY_DIFFER):
            uneven += [f"{name}:{number}: {line}" for number, line in enumerate(lines, 1)
                       if ARCHITECTURE.match(line)]
    print("1..4")
    for number, (what, found) in enumerate((("lines of 100 columns", wide),
                                            ("files of 800 lines", tall),
                                            ("functions of 80 lines", deep),
                                            ("one code for all architectures", uneven)), 1):
        print(f"{'not ok' if found else 'ok'} {number} - {what}")
        for line in found:
            print(f"# {line}")


main()
