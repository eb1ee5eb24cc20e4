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
    def compare(self, name, *cases):
        with Cache() as cache, tempfile.TemporaryDirectory() as scratch:
            include = cache.tree(HEADERS) / "usr/include"
            program = Path(scratch) / name
            done = subprocess.run(
                ["cc", "-D_GNU_SOURCE", "-isystem", include, "-isystem",
                 include / "x86_64-linux-gnu", "-I", TOP / "include", "-I", TOP / "src",
                 TOP / f"tests/unit/{name}.c", "-lcmocka", "-o", program],
                capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            done = subprocess.run([program], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for test in cases:
                self.assertIn(test, done.stdout + done.stderr)

    def test_uapi(self):
        self.compare("test_uapi", "iommufd", "dma_buf", "procmap")

    def test_uapi_hwpt(self):
        self.compare("test_uapi_hwpt", "iommufd_hwpt_numbers", "iommufd_hwpt_layouts",
                     "iommufd_vendors")
