#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hold a library's exports, its version map and the public headers against each other. TAP.

    symbols.py --map FILE --include DIR [--only HEADER... | --without HEADER...] NM LIBRARY

The headers, the map and the built library must name the same symbols. The one exception is the
version node WEIR_PRIVATE_0.1.0, for weir's own libraries: its symbols must be in the map one by one
and in no public header.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

PRIVATE = 'WEIR_PRIVATE_0.1.0'

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*', re.DOTALL)
DIRECTIVE = re.compile(r'^[ \t]*#(?:\\\n|.)*$', re.MULTILINE)
# Types and arguments come between the marker and the name too, but neither is followed by one
# of these: "WEIR_API struct weir_mem *weir_x(...)", "WEIR_API extern const char weir_y[];".
DECLARATION = re.compile(r'\bWEIR_API\b[^;{]*?\b(weir_\w+)\s*[(\[;=]')
NODE = re.compile(r'([\w.]+)\s*\{(.*?)\}[^;]*;', re.DOTALL)


def declared(headers):
    """The symbols that the headers mark WEIR_API."""
    names = set()
    for path in headers:
        text = DIRECTIVE.sub('', COMMENT.sub(' ', path.read_text()))
        found = DECLARATION.findall(text)
        # A declaration that the expression can't read must not go unnoticed.
        if len(found) != len(re.findall(r'\bWEIR_API\b', text)):
            raise ValueError(f'{path}: can\'t tell what each WEIR_API declares')
        names |= set(found)
    return names


def mapped(path):
    """The global symbols of each node of a version map."""
    nodes = {}
    for name, body in NODE.findall(COMMENT.sub(' ', path.read_text())):
        body = re.split(r'\blocal\s*:', body)[0]
        body = re.sub(r'\bglobal\s*:', ' ', body)
        nodes[name] = {symbol.strip() for symbol in body.split(';') if symbol.strip()}
    return nodes


def exported(nm, library):
    """The symbols of each version that a built library offers."""
    nodes = {}
    output = subprocess.run([nm, '-D', '--defined-only', '--with-symbol-versions', library],
                            check=True, capture_output=True, text=True).stdout
    for line in output.splitlines():
        _, kind, name = line.split()
        symbol, _, version = name.partition('@')
        if kind != 'A':         # the version nodes themselves
            nodes.setdefault(version.lstrip('@'), set()).add(symbol)
    return nodes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--map', type=Path, required=True)
    parser.add_argument('--include', type=Path, required=True)
    parser.add_argument('--only', action='append', default=[],
                        help='a header that this library implements, and no others')
    parser.add_argument('--without', action='append', default=[],
                        help='a header that another library implements')
    parser.add_argument('nm')
    parser.add_argument('library')
    args = parser.parse_args()

    everything = sorted(args.include.glob('weir/*.h'))
    headers = [path for path in everything
               if (not args.only or path.name in args.only) and path.name not in args.without]
    in_headers = declared(headers)
    in_map = mapped(args.map)
    in_library = exported(args.nm, args.library)
    private = in_map.pop(PRIVATE, set())
    private_exports = in_library.pop(PRIVATE, set())
    public = set().union(*in_map.values())
    exports = set().union(*in_library.values())
    words = {word for path in everything for word in re.findall(r'\w+', path.read_text())}

    def per_node(nodes):
        return {f'{symbol}@{node}' for node, symbols in nodes.items() for symbol in symbols}

    # Each check: its name, and the symbols that break it, which must be none.
    checks = [
        ('each declaration is exported', in_headers - exports),
        ('each export is declared', exports - in_headers),
        ('each declaration is in the map', in_headers - public),
        ('the map names only what is declared', public - in_headers),
        ('the map and the library agree', per_node(in_map) ^ per_node(in_library)),
        ('private symbols: the map and the library agree', private ^ private_exports),
        ('private symbols: none in a public header', private & words),
        ('no wildcards', {name for name in public | private if re.search(r'\W', name)}),
        ('there is something to compare', set() if in_headers else {'no WEIR_API at all'}),
    ]
    print(f'1..{len(checks)}')
    for number, (name, broken) in enumerate(checks, 1):
        print('not ok' if broken else 'ok', f'{number} - {args.map.stem}: {name}')
        if broken:
            print('#', ', '.join(sorted(broken)))
    return any(broken for _, broken in checks)


if __name__ == '__main__':
    sys.exit(main())
