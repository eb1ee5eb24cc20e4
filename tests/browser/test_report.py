#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""'weir report' in a real browser: what it shows, to whom, and that it asks nobody.

usage: test_report.py WEIR    prints TAP
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from browser import Browser
from tree import Tree

# What makes mischief where it isn't escaped.
HOSTILE = '<img src=x onerror=alert(1)>"\'&amp;\x1b[31m'

# WCAG 2.1, 1.4.3: text of normal size.
CONTRAST = 4.5

# Of each piece of text, its contrast to what is really behind it; those that fall short.
FAINT = """(() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(
    v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] == 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())) continue;
    if (!e.checkVisibility()) continue;
    const [a, b] = [light(parts(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < %s) faint.push(e.className + ' ' + ratio.toFixed(2) + ' ' + e.textContent);
  }
  return faint;
})()""" % CONTRAST

# What sticks out to the right.
WIDE = """[...document.querySelectorAll('body *')]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 0.5)
  .map(e => e.className + ': ' + e.textContent.slice(0, 40))"""

DEAD_LINKS = """[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))
  .filter(href => !href.startsWith('#') || !document.getElementById(href.slice(1)))"""

ADDRESSES = "[...document.querySelectorAll('%s .address')].map(e => e.textContent).sort()"

count = 0


def check(name, wrong):
    """One case: @wrong is what is wrong, empty or false for nothing."""
    global count
    count += 1
    print(f"{'not ok' if wrong else 'ok'} {count} - {name}", flush=True)
    if wrong:
        print(f"# {wrong}", flush=True)


def report(weir, root):
    return subprocess.run([weir, "report", "--root", root], capture_output=True, text=True,
                          check=True).stdout


def looks(browser, html, addresses):
    """Each way of looking at the page."""
    for width in (1280, 480):
        for dark in (False, True):
            name = f"{width} pixels, {'dark' if dark else 'light'}"
            page = browser.open(html, width, dark)
            check(f"{name}: asks for nothing", page.requests)
            check(f"{name}: the console is silent", page.console)
            check(f"{name}: nothing sticks out", page.evaluate(WIDE))
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            check(f"{name}: nothing sticks out when all is open", page.evaluate(WIDE))
            check(f"{name}: all text can be read", page.evaluate(FAINT))
    check("the map has each function once",
          page.evaluate(ADDRESSES % ".bus") != addresses and page.evaluate(ADDRESSES % ".bus"))
    check("the groups have each function once",
          page.evaluate(ADDRESSES % ".groups") != addresses)
    check("what is counted adds up", page.evaluate(
        "[...document.querySelectorAll('.tile b')].reduce((n, e) => n + parseInt(e.textContent), 0)"
    ) != len(addresses))
    check("it names the machine", page.evaluate("document.querySelector('.machine').textContent")
          != "Gigabyte Technology Co., Ltd. Z390 M, Linux 6.12.107")
    check("links lead somewhere", page.evaluate(DEAD_LINKS))
    check("it can be printed", not page.printed().startswith(b"%PDF"))


def harmless(browser, weir):
    """What a hostile tree writes into the page is text."""
    with tempfile.TemporaryDirectory(prefix="weir-report-") as folder:
        tree = Tree(Path(folder))
        tree.function("0000:00:01.0", group=1, driver=HOSTILE.replace("/", ""))
        tree.text("/proc/cmdline", f"quiet intel_iommu={HOSTILE}\n")
        tree.text("/sys/kernel/iommu_groups/1/type", "<b>DMA\n")
        tree.text("/sys/class/dmi/id/product_name", f"{HOSTILE}\n")
        tree.text("/proc/sys/kernel/osrelease", f"{HOSTILE}\n")
        page = browser.open(report(weir, folder), 1280)
    check("hostile names: no element", page.evaluate(
        "document.querySelectorAll('img, script, h3 b').length"))
    check("hostile names: are shown", not page.evaluate(
        "document.querySelector('.facts').textContent.includes('<img src=x onerror=alert(1)>')"))
    check("hostile names: no escape", page.evaluate(
        "document.body.textContent.includes('\\x1b')"))
    check("hostile names: ask for nothing", page.requests or page.console)


def main():
    weir = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="weir-report-") as folder, Browser() as browser:
        tree = Tree.desktop(Path(folder))
        looks(browser, report(weir, folder), sorted(tree.addresses))
        harmless(browser, weir)
    print(f"1..{count}")


main()
