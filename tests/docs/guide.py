#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a guide shows is what there is: its code is an example's, and what it names is weir's.

usage: guide.py GUIDE EXAMPLE MAP    prints TAP
"""

import re
import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main():
    guide, example, names = map(read, sys.argv[1:])
    exported = set(re.findall(r"\b(weir_\w+);", names))
    blocks = re.findall(r"^```c\n(.*?)^```$", guide, re.M | re.S)
    results = [("it shows code", bool(blocks))]
    results += [(f"'{block.strip().splitlines()[0].strip()}' is the example's", block in example)
                for block in blocks]
    results += [(f"{name}() exists", name in exported)
                for name in sorted(set(re.findall(r"\b(weir_\w+)\(\)", guide)))]
    print(f"1..{len(results)}")
    for number, (name, good) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")


main()
