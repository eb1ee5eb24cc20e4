#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What README.md shows is what there is: the example's source, and the command's output.

usage: readme.py README EXAMPLE WEIR    prints TAP
"""

import os
import re
import subprocess
import sys


def main():
    readme, example, weir = sys.argv[1:]
    with open(readme, encoding="utf-8") as file:
        text = file.read()
    with open(example, encoding="utf-8") as file:
        source = file.read()
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("WEIR_")}
    run = subprocess.run([weir, "selftest", "soft:edu"], capture_output=True, text=True,
                         env=environment, check=False)
    usage = subprocess.run([weir, "--help"], capture_output=True, text=True, check=False).stdout
    verbs = re.search(r"^## The command$.*?((?:^    .*\n)+)", text, re.M | re.S)
    code = re.search(r"^```c\n(.*?)^```$", text, re.M | re.S)
    output = re.search(r"^<!-- the output of: weir selftest soft:edu -->\n```\n(.*?)^```$", text,
                       re.M | re.S)
    results = (
        ("example", code and code.group(1) == source),
        ("verbs", verbs and re.findall(r"^  (\w+) ", usage, re.M) ==
         list(dict.fromkeys(re.findall(r"^    weir (\w+)", verbs.group(1), re.M)))),
        ("selftest", run.returncode == 0 and output and output.group(1) == run.stdout),
    )
    print(f"1..{len(results)}")
    for number, (name, good) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - README: {name}")
    if not results[-1][1]:
        print("\n".join("# " + line for line in (run.stdout + run.stderr).splitlines()))


main()
