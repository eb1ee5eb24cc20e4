# SPDX-License-Identifier: MIT
"""A headless Chromium, driven by the DevTools protocol over two pipes.

    with Browser() as browser:
        page = browser.open("<!DOCTYPE html>...", width=480, dark=True)
        page.evaluate("document.title")

The page is a file of its own folder. Everything that it asks for besides is refused, and kept in
page.requests; what the console says is in page.console.
"""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAM = "chromium"
PATIENCE = 60           # seconds


class BrowserError(Exception):
    """The browser doesn't answer, or not as it should."""


class Browser:
    """One process, with a profile of its own that goes with it."""

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="weir-browser-"))
        theirs_in, self.out = os.pipe()
        self.inn, theirs_out = os.pipe()
        # The protocol is on the descriptors 3 and 4.
        command = ('exec "$0" "$@" 3<&%d 4>&%d' % (theirs_in, theirs_out))
        self.process = subprocess.Popen(
            ["bash", "-c", command, PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu",
             "--remote-debugging-pipe", f"--user-data-dir={self.folder}/profile",
             "--disable-background-networking", "--disable-component-update", "--no-first-run",
             "--disable-dev-shm-usage", "--hide-scrollbars", "about:blank"],
            pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(theirs_in)
        os.close(theirs_out)
        self.number = 0
        self.buffer = b""
        self.events = []
        return self

    def __exit__(self, *_):
        os.close(self.out)
        os.close(self.inn)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def receive(self, deadline):
        """The next message."""
        while b"\0" not in self.buffer:
            wait = deadline - time.monotonic()
            if wait <= 0 or not select.select([self.inn], [], [], wait)[0]:
                raise BrowserError("the browser doesn't answer")
            more = os.read(self.inn, 1 << 20)
            if not more:
                raise BrowserError("the browser has ended")
            self.buffer += more
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        """One call of the protocol, and its result; events that come before it are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while (answer := self.receive(deadline)).get("id") != self.number:
            self.events.append(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, html, width, dark=False, height=900):
        """A tab with the page, loaded."""
        path = self.folder / "page.html"
        path.write_text(html, encoding="utf-8")
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session, path.as_uri(), width, height, dark)


class Page:
    """A loaded page."""

    def __init__(self, browser, session, url, width, height, dark):
        self.browser = browser
        self.session = session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        browser.events.clear()
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + PATIENCE
        while not any(event.get("method") == "Page.loadEventFired" for event in browser.events):
            browser.events.append(browser.receive(deadline))
        mine = [event for event in browser.events if event.get("sessionId") == session]
        self.requests = [event["params"]["request"]["url"] for event in mine
                         if event["method"] == "Network.requestWillBeSent"
                         and event["params"]["request"]["url"] != url]
        self.console = [json.dumps(event["params"]) for event in mine
                        if event["method"] in ("Runtime.consoleAPICalled", "Log.entryAdded",
                                               "Runtime.exceptionThrown")]

    def call(self, method, **params):
        """One call for this page."""
        return self.browser.call(method, self.session, **params)

    def evaluate(self, expression):
        """What an expression of JavaScript is in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise BrowserError(json.dumps(result["exceptionDetails"]))
        return result["result"].get("value")

    def picture(self, path, top=0, height=None):
        """The page as a PNG, or so many pixels of it from there on."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {**size, "y": top, "height": height or size["height"] - top, "scale": 1}
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def printed(self):
        """The page on paper, as PDF."""
        return base64.b64decode(self.call("Page.printToPDF")["data"])
