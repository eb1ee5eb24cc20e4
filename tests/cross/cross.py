#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds for other architectures: compilers, sysroots and what runs the tests.

    tests/cross/cross.py ARCH     print a cross file for meson; ARCH as Debian calls it

The compilers are the distribution's (scripts/setup cross). A sysroot is unpacked from its packages
for the other architecture, under weir's cache: nothing is installed and the machine's apt never
hears of that architecture. Programs built so are run by QEMU's emulation of user space, unpacked
too. What that can't do is listed in expected.json.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'vm'))
from packages import Cache, PackageError, PackageSet, host_suite    # noqa: E402

EXPECTED = Path(__file__).with_name('expected.json')

# What weir and its tests are linked with, and the kernels' own tests. Of the suite that the
# compilers are of.
LIBRARIES = ('libarchive-dev', 'libc6-dev', 'libcap-dev', 'libcmocka-dev', 'libjson-c-dev',
             'libkmod-dev', 'libmount-dev', 'libpci-dev', 'libsmartcols-dev')

# QEMU 11.1 refuses MADV_DONTFORK and MADV_POPULATE_WRITE, where earlier ones ignore them: under it
# no memory could be made for DMA.
QEMU = PackageSet('qemu-user', ('qemu-user',), suite='trixie', suites=('trixie',),
                  only='^qemu-user$')


@dataclasses.dataclass(frozen=True)
class Target:
    """An architecture: Debian's name of it, the compilers', meson's and QEMU's."""

    name: str
    triplet: str
    family: str
    endian: str
    qemu: str

    @property
    def compiler(self):
        return f'{self.triplet}-gcc'

    def sysroot(self):
        return self._packages('sysroot', LIBRARIES)

    def busybox(self):
        """The userland of machines of that architecture."""
        return self._packages('busybox', ('busybox-static',), '^busybox-static$')

    def ldd(self, cache):
        """The command that lists a program's libraries, as ldd does."""
        return (str(cache.tree(QEMU) / 'usr/bin' / self.qemu), '-L',
                str(cache.tree(self.sysroot())), '-E', 'LD_TRACE_LOADED_OBJECTS=1')

    def _packages(self, what, names, only=''):
        suite = host_suite()
        return PackageSet(f'{what}-{self.name}', names, suite=suite, suites=(suite,),
                          arch=self.name, only=only)


TARGETS = {target.name: target for target in (
    Target('s390x', 's390x-linux-gnu', 's390x', 'big', 'qemu-s390x'),
    Target('ppc64el', 'powerpc64le-linux-gnu', 'ppc64', 'little', 'qemu-ppc64le'),
    Target('arm64', 'aarch64-linux-gnu', 'aarch64', 'little', 'qemu-aarch64'),
)}

CROSS_FILE = """\
[constants]
root = '{root}'

[binaries]
c = '{target.compiler}'
ar = '{target.triplet}-ar'
nm = '{target.triplet}-nm'
strip = '{target.triplet}-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['{qemu}', '-L', root]

[built-in options]
c_args = ['--sysroot=' + root]
c_link_args = ['--sysroot=' + root]

[properties]
sys_root = root
pkg_config_libdir = [root + '/usr/lib/{target.triplet}/pkgconfig', root + '/usr/share/pkgconfig']

[host_machine]
system = 'linux'
cpu_family = '{target.family}'
cpu = '{target.family}'
endian = '{target.endian}'
"""


def cross_file(target, cache):
    """The text of it; what it names stays as long as `cache` is open."""
    return CROSS_FILE.format(target=target, root=cache.tree(target.sysroot()),
                             qemu=cache.tree(QEMU) / 'usr/bin' / target.qemu)


# ---- what can't be tested under emulation -------------------------------------------------------

def load(target, path=EXPECTED):
    """The list for one target, checked: {program: {case: why it can't pass}}."""
    table = {}
    for entry in json.loads(path.read_text()):
        if set(entry) != {'why', 'on', 'cases'} or set(entry['on']) - set(TARGETS):
            raise ValueError(f'{path.name}: {entry} is not a reason, targets and cases')
        for name in entry['cases'] if target in entry['on'] else ():
            program, _, case = name.partition(': ')
            if not case or case in table.setdefault(program, {}):
                raise ValueError(f"{path.name}: '{name}' is no case, or listed twice")
            table[program][case] = entry['why']
    return table


def judge(program, listed, cases):
    """A program's cases, as far as they must be otherwise here than elsewhere.

    The list is exact: a listed case that passes is a failure as well. A case that fails by
    killing the program takes those after it along, so then these are listed too, each of them.
    """
    left = dict(listed)
    for case in cases:
        why = left.pop(case.test.removeprefix(f'{program}: '), None)
        if why and case.result == 'fail':
            case.result, case.why = 'pass', f'fails, as it must here: {why}'
        elif why and case.result == 'pass':
            case.result, case.why = 'fail', f'passes, but {EXPECTED.name} says: {why}'
    if not left:
        return cases
    *cases, end = cases
    if end.unrun == len(left):
        result, why = 'pass', "isn't reached, as it must be here"
    else:
        cases.append(end)
        result, why = 'fail', f'no such case ran, but {EXPECTED.name} says'
    return cases + [dataclasses.replace(end, test=f'{program}: {name}', result=result,
                                        why=f'{why}: {reason}')
                    for name, reason in left.items()]


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in TARGETS:
        print(f'usage: {sys.argv[0]} {"|".join(TARGETS)}', file=sys.stderr)
        return 2
    try:
        with Cache() as cache:
            print(cross_file(TARGETS[sys.argv[1]], cache), end='')
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
