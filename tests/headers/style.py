#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The house limits: lines of 100 columns (tabs of 8), files of 800 lines, functions of 80.

usage: style.py ROOT    prints TAP, one line a limit
"""

import pathlib
import sys

FOLDERS = ("include", "src", "tools", "drivers", "models", "examples", "bench", "tests")
SUFFIXES = (".c", ".h", ".py", ".sh", ".build")


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
    wide, tall, deep = [], [], []
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
    print("1..3")
    for number, (what, found) in enumerate((("lines of 100 columns", wide),
                                            ("files of 800 lines", tall),
                                            ("functions of 80 lines", deep)), 1):
        print(f"{'not ok' if found else 'ok'} {number} - {what}")
        for line in found:
            print(f"# {line}")


main()
