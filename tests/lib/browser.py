"""Chromium without a window, led over the pipe of its DevTools protocol: how it shows a page, what it complains of, and
pictures. Standard library only.

    with Browser(directory) as browser:
        page = browser.open("http://127.0.0.1:9464/", width=390, height=800, dark=True)
        page.document(), page.complaints, page.value("document.title")
        page.picture("phone.png")
"""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import time
import zlib

COMMANDS = ("chromium", "chromium-browser")
ANSWER_S = 60


def command():
    """The path of the browser; None: it is not installed."""
    return next((found for found in map(shutil.which, COMMANDS) if found), None)


class Browser:
    """A running one, with a profile of its own below `directory`; its pages end with it."""

    def __init__(self, directory):
        self.profile = os.path.join(directory, "browser")
        self.number = 0
        self.left = b""
        self.pages = {}
        self.process = self.to = self.of = None

    def __enter__(self):
        # It reads from 3 and writes to 4, so the pipes must be elsewhere before.
        ours_of, theirs_to = _moved(os.pipe())
        theirs_of, ours_to = _moved(os.pipe())
        argv = [command(), "--headless", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-extensions",
                "--disable-background-networking", "--disable-component-update", "--no-proxy-server",
                "--hide-scrollbars", f"--user-data-dir={self.profile}", "--remote-debugging-pipe", "about:blank"]
        if os.geteuid() == 0:
            argv.insert(1, "--no-sandbox")  # it refuses to be root otherwise
        os.makedirs(self.profile, exist_ok=True)
        with open(os.path.join(self.profile, "log"), "wb") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                ["bash", "-c", f'exec "$@" 3<&{theirs_of} 4>&{theirs_to}', "bash", *argv], pass_fds=(theirs_of, theirs_to),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        os.close(theirs_of)
        os.close(theirs_to)
        self.to, self.of = ours_to, ours_of
        return self

    def __exit__(self, kind, error, trace):
        os.close(self.to)
        os.close(self.of)
        try:
            self.process.wait(5)  # it ends with its pipe
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)  # its own group, see start_new_session
            self.process.wait()
        return False

    def _read(self, deadline):
        """The next message."""
        while b"\0" not in self.left:
            ready, _, _ = select.select([self.of], [], [], max(0, deadline - time.monotonic()))
            octets = os.read(self.of, 1 << 16) if ready else b""
            assert octets, "the browser has ended" if ready else "the browser does not answer"
            self.left += octets
        message, self.left = self.left.split(b"\0", 1)
        return json.loads(message)

    def _take(self, message):
        page = self.pages.get(message.get("sessionId"))
        if page is not None and "method" in message:
            page.take(message["method"], message["params"])

    def ask(self, method, session=None, **params):
        """The result of a call."""
        self.number += 1
        call = {"id": self.number, "method": method, "params": params}
        if session is not None:
            call["sessionId"] = session
        os.write(self.to, json.dumps(call).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_S
        while True:
            message = self._read(deadline)
            self._take(message)
            if message.get("id") == self.number:
                assert "error" not in message, (method, message["error"])
                return message["result"]

    def wait(self, condition, what):
        """Takes messages until the condition holds."""
        deadline = time.monotonic() + ANSWER_S
        while not condition():
            try:
                self._take(self._read(deadline))
            except AssertionError as error:
                raise AssertionError(f"{what}: {error}") from None

    def open(self, url, width=1280, height=900, dark=False, scripts=True):
        """The Page, loaded; without scripts as somebody sees it who has turned them off."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log"):
            page.ask(f"{domain}.enable")
        page.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        page.ask("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        page.ask("Emulation.setScriptExecutionDisabled", value=not scripts)
        page.ask("Page.navigate", url=url)
        self.wait(lambda: page.loaded, f"{url} to load")
        return page


class Page:
    """One page; `complaints` is what the console shows of errors and warnings."""

    def __init__(self, browser, session):
        self.browser = browser
        self.session = session
        self.loaded = False
        self.complaints = []

    def take(self, method, params):
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(params["args"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"])

    def ask(self, method, **params):
        return self.browser.ask(method, self.session, **params)

    def document(self):
        """Its HTML as it stands."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        return self.ask("DOM.getOuterHTML", nodeId=root)["outerHTML"]

    def value(self, expression):
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def size(self):
        """(width, height) of all of it, beyond the window too."""
        content = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        return content["width"], content["height"]

    def picture(self, path):
        """Writes all of it as a PNG; returns the colour of the first pixel."""
        width, height = self.size()
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        png = base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"])
        with open(path, "wb") as file:
            file.write(png)
        return first_pixel(png)


def _moved(pipe):
    """The same pipe by higher numbers."""
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in pipe]
    for fd in pipe:
        os.close(fd)
    return moved


def first_pixel(png):
    """(red, green, blue) of the first pixel of a PNG of 8 bits, RGB or RGBA."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
    bits, colours = struct.unpack(">BB", png[24:26])
    assert bits == 8 and colours in (2, 6), (bits, colours)
    at, data = 8, b""
    while at < len(png):
        (size,), kind = struct.unpack(">I", png[at:at + 4]), png[at + 4:at + 8]
        data += png[at + 8:at + 8 + size] if kind == b"IDAT" else b""
        at += size + 12
    # Nothing is left of it or above it, so no filter changes it.
    return tuple(zlib.decompress(data)[1:4])
