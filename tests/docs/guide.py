#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a guide shows is what there is: its code is an example's, what it names is weir's, and the
output of commands is what they print.

usage: guide.py GUIDE [--example FILE] [--map FILE] [--weir PROGRAM]    prints TAP

Commands run on the machine of desktop.py. Their output follows a comment that names them:

    <!-- the output of: weir groups -->
"""

import argparse
import re
import shlex
import subprocess
import tempfile

import desktop

OUTPUT = re.compile(r"^<!-- the output of: weir ([^\n]*) -->\n```\n(.*?)^```$", re.M | re.S)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def check_code(guide, example):
    blocks = re.findall(r"^```c\n(.*?)^```$", guide, re.M | re.S)
    yield "it shows code", bool(blocks), ""
    for block in blocks:
        yield f"'{block.strip().splitlines()[0].strip()}' is the example's", block in example, ""


def check_names(guide, names):
    exported = set(re.findall(r"\b(weir_\w+);", names))
    for name in sorted(set(re.findall(r"\b(weir_\w+)\(\)", guide))):
        yield f"{name}() exists", name in exported, ""


def check_output(guide, weir):
    blocks = OUTPUT.findall(guide)
    yield "it shows output", bool(blocks), ""
    with tempfile.TemporaryDirectory() as root:
        desktop.build(root)
        for words, shown in blocks:
            run = subprocess.run([weir, *shlex.split(words), "--root", root], text=True,
                                 capture_output=True, check=False)
            yield f"weir {words}", run.stdout == shown, run.stdout + run.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("guide")
    parser.add_argument("--example", help="the source that the guide's code is from")
    parser.add_argument("--map", help="the version map of the library that it names functions of")
    parser.add_argument("--weir", help="the program that prints what the guide shows")
    args = parser.parse_args()
    guide = read(args.guide)
    results = []
    if args.example:
        results += check_code(guide, read(args.example))
    if args.map:
        results += check_names(guide, read(args.map))
    if args.weir:
        results += check_output(guide, args.weir)
    print(f"1..{len(results)}")
    for number, (name, good, said) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
        if not good and said:
            print("\n".join("# " + line for line in said.splitlines()))


main()
