#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compile each public header alone, as C17 and as C++17. Prints TAP.

    headers.py INCLUDE_DIR CC CXX

CC and CXX are command lines; an empty CXX skips the C++ half. Headers are found when the test
runs, so a new one needs no entry anywhere.
"""

import shlex
import subprocess
import sys
from pathlib import Path

WARNINGS = ['-pedantic', '-Wall', '-Wextra', '-Werror', '-fsyntax-only']


def main():
    include = Path(sys.argv[1])
    cc, cxx = (shlex.split(arg) for arg in sys.argv[2:4])
    languages = [('C17', 'c', cc, '-std=c17'), ('C++17', 'c++', cxx, '-std=c++17')]
    headers = sorted(path.relative_to(include) for path in include.glob('weir/*.h'))

    print(f'1..{len(headers) * len(languages)}')
    number = 0
    failed = False
    for header in headers:
        for name, language, compiler, std in languages:
            number += 1
            if not compiler:
                print(f'ok {number} - {header} as {name} # SKIP no C++ compiler')
                continue
            # Twice: the second time finds a missing include guard. From standard input, and
            # with -I, not -isystem, which would keep the compiler quiet about the header.
            # ISO C wants a declaration, and a header of macros has none.
            source = f'#include <{header}>\n' * 2 + 'extern int declared;\n'
            done = subprocess.run([*compiler, std, *WARNINGS, f'-I{include}', '-x', language, '-'],
                                  input=source, capture_output=True, text=True)
            print('not ok' if done.returncode else 'ok', f'{number} - {header} as {name}')
            failed |= done.returncode != 0
            for line in (done.stdout + done.stderr).splitlines():
                print('#', line)
    return failed


if __name__ == '__main__':
    sys.exit(main())
