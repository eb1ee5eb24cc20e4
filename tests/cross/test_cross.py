# SPDX-License-Identifier: MIT
"""What the cross builds promise, held without a compiler, an emulator or a network."""

import configparser
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import check    # noqa: E402
import cross    # noqa: E402
import packages     # noqa: E402


class Sysroots(unittest.TestCase):
    """Packages of another architecture, which the host doesn't notice."""

    def test_requests_differ(self):
        own = packages.PackageSet('thing', ('thing',), suite='trixie')
        self.assertEqual(own.request(), [list(packages.SUITES), 'trixie', ['thing'], ''])
        requests = [own.request()] + [target.sysroot().request()
                                      for target in cross.TARGETS.values()]
        self.assertEqual(len({json.dumps(request) for request in requests}), 4)
        for target in cross.TARGETS.values():
            self.assertEqual(target.sysroot().suites, (packages.host_suite(),))

    def apt(self, *args):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        with mock.patch.object(packages, 'host_mirror', return_value='mirror.invalid'):
            packages.Apt(Path(folder.name), *args)
        return [(Path(folder.name) / name).read_text() for name in ('apt.conf', 'sources.list')]

    def test_apt_knows_one_architecture(self):
        conf, sources = self.apt(('bookworm',), 's390x')
        self.assertIn('APT::Architecture "s390x";', conf)
        self.assertIn('#clear APT::Architectures;\nAPT::Architectures { "s390x"; };', conf)
        self.assertEqual(sources.count('\n'), 1)
        self.assertIn('mirror.invalid bookworm main', sources)
        self.assertIn('signed-by=', sources)
        self.assertNotIn('APT::Architecture', self.apt()[0])

    def test_links_stay_inside(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder)
            (tree / 'usr/lib/deep').mkdir(parents=True)
            (tree / 'lib').mkdir()
            (tree / 'lib/libx.so.1').write_text('x')
            (tree / 'usr/lib/deep/libx.so').symlink_to('/lib/libx.so.1')
            (tree / 'usr/lib/beside.so').symlink_to('deep/libx.so')
            (tree / 'usr/lib64').symlink_to('/lib')
            packages.keep_links_inside(tree)
            self.assertEqual((tree / 'usr/lib/deep/libx.so').read_text(), 'x')
            self.assertEqual(os.readlink(tree / 'usr/lib/beside.so'), 'deep/libx.so')
            self.assertEqual((tree / 'usr/lib64/libx.so.1').read_text(), 'x')

    def test_cross_file(self):
        cache = mock.Mock()
        cache.tree = lambda want: Path('/cache') / want.name
        for target in cross.TARGETS.values():
            parser = configparser.ConfigParser()
            parser.read_string(cross.cross_file(target, cache))
            self.assertEqual(parser['constants']['root'], f"'/cache/sysroot-{target.name}'")
            self.assertEqual(parser['binaries']['exe_wrapper'],
                             f"['/cache/qemu-user/usr/bin/{target.qemu}', '-L', root]")
            self.assertIn("'--sysroot=' + root", parser['built-in options']['c_link_args'])
        self.assertEqual([target.name for target in cross.TARGETS.values()
                          if target.endian == 'big'], ['s390x'])


class Expected(unittest.TestCase):
    """A list of what can't pass hides nothing but that."""

    def load(self, *entries):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'expected.json'
            path.write_text(json.dumps(entries))
            return cross.load('arm64', path)

    def test_own_list(self):
        for name in cross.TARGETS:
            self.assertTrue(cross.load(name))

    def test_load(self):
        both = {'why': 'so', 'on': ['s390x', 'arm64'], 'cases': ['a: x', 'b: y: z']}
        other = {'why': 'so', 'on': ['s390x'], 'cases': ['a: x', 'c: x']}
        self.assertEqual(self.load(both, other), {'a': {'x': 'so'}, 'b': {'y: z': 'so'}})

    def test_bad_lists(self):
        good = {'why': 'so', 'on': ['arm64'], 'cases': ['a: x']}
        for bad in ({}, good | {'on': ['mips']}, good | {'cases': ['a']}, good | {'more': 1},
                    good | {'cases': ['a: x', 'a: x']}):
            with self.subTest(bad), self.assertRaises(ValueError):
                self.load(bad)
        with self.assertRaises(ValueError):
            self.load(good, good)

    def judge(self, listed, *lines, status=0):
        """(test, result) of a program that prints these lines of TAP."""
        entry = {'name': 'weir:unit / p', 'stdout': '\n'.join(lines), 'returncode': status,
                 'result': 'FAIL', 'duration': 1}
        program, cases = check.program_cases('s390x', entry)
        return [(case.test, case.result) for case in cross.judge(program, listed, cases)]

    def test_nothing_listed(self):
        self.assertEqual(self.judge({}, '1..2', 'ok 1 - a', 'not ok 2 - b', status=1),
                         [('p: a', 'pass'), ('p: b', 'fail')])

    def test_listed_must_fail(self):
        self.assertEqual(self.judge({'b': 'so'}, '1..2', 'ok 1 - a', 'not ok 2 - b', status=1),
                         [('p: a', 'pass'), ('p: b', 'pass')])
        self.assertEqual(self.judge({'b': 'so'}, '1..2', 'ok 1 - a', 'ok 2 - b'),
                         [('p: a', 'pass'), ('p: b', 'fail')])
        self.assertEqual(self.judge({'b': 'so'}, '1..2', 'ok 1 - a', 'not ok 2 - b # SKIP'),
                         [('p: a', 'pass'), ('p: b', 'skip')])

    def test_failed_teardown(self):
        self.assertEqual(self.judge({'a': 'so'}, '1..1', 'not ok 1 - a Could not run test: 1 != 2',
                                    status=1), [('p: a', 'pass')])

    def test_listed_must_be_there(self):
        self.assertEqual(self.judge({'c': 'so'}, '1..1', 'ok 1 - a'),
                         [('p: a', 'pass'), ('p: c', 'fail')])

    def test_what_a_killed_program_took_along(self):
        tap = '1..3', 'ok 1 - a'
        self.assertEqual(self.judge({'b': 'so', 'c': 'so'}, *tap, status=-7),
                         [('p: a', 'pass'), ('p: b', 'pass'), ('p: c', 'pass')])
        # One of them isn't listed, or one that isn't there is.
        self.assertEqual(self.judge({'b': 'so'}, *tap, status=-7),
                         [('p: a', 'pass'), ('p', 'fail'), ('p: b', 'fail')])
        self.assertEqual(self.judge({'b': 'so', 'c': 'so', 'd': 'so'}, *tap, status=-7)[1],
                         ('p', 'fail'))
        self.assertEqual(self.judge({}, *tap, status=-7), [('p: a', 'pass'), ('p', 'fail')])


if __name__ == '__main__':
    unittest.main()
