# SPDX-License-Identifier: MIT
"""What src/kernel/uapi.h declares, against the newest kernel headers that Debian packages.

The host's own headers, which the unit test uapi is built with, may be older than IOMMUFD.
"""

import subprocess
import tempfile
import unittest
from pathlib import Path

from packages import Cache, PackageSet

TOP = Path(__file__).resolve().parents[2]
HEADERS = PackageSet("linux-headers", ("linux-libc-dev",), suite="trixie-backports",
                     only=r"^linux-libc-dev$")


class NewestHeaders(unittest.TestCase):
    def test_uapi(self):
        with Cache() as cache, tempfile.TemporaryDirectory() as scratch:
            include = cache.tree(HEADERS) / "usr/include"
            program = Path(scratch) / "test-uapi"
            done = subprocess.run(
                ["cc", "-D_GNU_SOURCE", "-isystem", include, "-isystem",
                 include / "x86_64-linux-gnu", "-I", TOP / "include", "-I", TOP / "src",
                 TOP / "tests/unit/test_uapi.c", "-lcmocka", "-o", program],
                capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            done = subprocess.run([program], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for test in ("iommufd", "dma_buf", "procmap"):
                self.assertIn(test, done.stdout + done.stderr)
