#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each verb has a manual page, which tells of all its options and of no others.

usage: man.py PAGES WEIR    prints TAP

PAGES is the folder of the pages' sources.
"""

import re
import subprocess
import sys
from pathlib import Path


def run(weir, *words):
    return subprocess.run([weir, *words], capture_output=True, text=True, check=True).stdout


def options(text):
    """The long options in it, without those of a kernel or another program."""
    return set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", text))


def helped(weir, verb):
    """All that the verb's help says, with that of verbs that it has itself."""
    text = run(weir, "help", verb)
    for inner in re.findall(r"^  (\w+) ", text, re.M) if "VERB" in text else ():
        text += run(weir, verb, inner, "--help")
    return text


def differences(weir, verb, page):
    """What is wrong with a verb's page; empty when all is well."""
    text = helped(weir, verb)
    plain = page.replace("*", "").replace("_", "").replace("\\", "")
    wrong = []
    if missing := options(text) - options(plain):
        wrong.append(f"doesn't tell of {', '.join(sorted(missing))}")
    if more := options(plain) - options(text):
        wrong.append(f"tells of {', '.join(sorted(more))}, which there isn't")
    wrong += [f"has no section {part}" for part in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS",
                                                    "EXIT STATUS", "EXAMPLES", "SEE ALSO")
              if not re.search(rf"^# {part}$", page, re.M)]
    return wrong


def checks_untold(weir, page):
    """The checks of weir doctor that have no paragraph in its page."""
    ids = [line.split()[0] for line in run(weir, "doctor", "--checks").splitlines()[1:]]
    return [name for name in ids if not re.search(rf"^\*{name}\*$", page, re.M)] or \
        ([] if len(ids) > 40 else ["weir doctor lists no checks"])


def main():
    folder, weir = Path(sys.argv[1]), sys.argv[2]
    verbs = re.findall(r"^  (\w+) ", run(weir, "--help"), re.M)
    pages = {path.name.split(".")[0]: path.read_text(encoding="utf-8")
             for path in folder.glob("*.1.scd")}
    results = [("each verb has one, and nothing else",
                sorted(set(pages) ^ {"weir", *(f"weir-{verb}" for verb in verbs)})),
               ("weir names them all", [verb for verb in verbs
                                        if f"*weir-{verb}*(1)" not in pages["weir"]])]
    results += [(verb, differences(weir, verb, pages.get(f"weir-{verb}", ""))) for verb in verbs]
    results.append(("doctor's checks", checks_untold(weir, pages.get("weir-doctor", ""))))
    print(f"1..{len(results)}")
    for number, (name, wrong) in enumerate(results, 1):
        print(f"{'not ok' if wrong else 'ok'} {number} - manual pages: {name}")
        for line in wrong:
            print(f"# {line}")


main()
