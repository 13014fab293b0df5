"""A page in a headless Chromium, driven by its DevTools protocol over a pipe."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream", "--remote-debugging-pipe",
]  # fmt: skip


def chromium() -> str | None:
    """The program, or None."""
    return shutil.which("chromium") or shutil.which("google-chrome")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None: ...


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a file server for the folder, without headers beyond the usual."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Page:
    """A tab.  `messages` are the texts of its console and its uncaught errors so far."""

    def __init__(self, program: str, profile: str) -> None:
        to_browser, self._to = os.pipe()
        self._from, from_browser = os.pipe()
        command = f"exec {program} {' '.join(OPTIONS)} --user-data-dir={profile} about:blank"
        redirected = f"{command} 3<&{to_browser} 4>&{from_browser}"
        self._process = subprocess.Popen(
            ["bash", "-c", redirected],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._received = b""
        self._number = 0
        self._session: str | None = None
        self.messages: list[str] = []
        self._attach()

    def _attach(self) -> None:
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the protocol, and its result.  Raises RuntimeError."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._note(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            part = os.read(self._from, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self._received += part
        text, _, self._received = self._received.partition(b"\0")
        return json.loads(text)

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.consoleAPICalled":
            self.messages.append(" ".join(str(one.get("value")) for one in params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.messages.append(json.dumps(params["exceptionDetails"])[:2000])
        elif method == "Log.entryAdded":
            self.messages.append(f"{params['entry']['text']} {params['entry'].get('url')}")

    def run(self, script: str) -> Any:
        """The JSON value of an expression, which may be a promise.  Raises RuntimeError."""
        found = self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            raise RuntimeError(text)
        return found["result"].get("value")

    def open(self, address: str, before: str = "") -> None:
        """Loads a page; `before` is a script that runs ahead of its own."""
        script = None
        if before:
            added = self.call("Page.addScriptToEvaluateOnNewDocument", source=before)
            script = added["identifier"]
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.run(f"new Promise(r => {{ const look = () => document.readyState === 'complete' && "
                 f"location.href.startsWith({json.dumps(address.split('#')[0])}) ? r() : "
                 f"setTimeout(look, 20); look(); }})")  # fmt: skip
        if script:
            self.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)

    def until(self, condition: str, seconds: float = 150) -> Any:
        """The first true value of an expression.  Raises RuntimeError after so many seconds."""
        return self.run(
            f"new Promise((yes, no) => {{ const end = performance.now() + {1000 * seconds};"
            f"const look = () => {{ const found = ({condition}); if (found) yes(found);"
            f"else if (performance.now() > end) no(new Error({json.dumps(condition)}));"
            f"else setTimeout(look, 30); }}; look(); }})"
        )

    def size(self, width: int, height: int) -> None:
        """Of the window, in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def prefers(self, **features: str) -> None:
        """Media features: prefers(color_scheme="dark")."""
        given = [
            {"name": f"prefers-{name.replace('_', '-')}", "value": value}
            for name, value in features.items()
        ]
        self.call("Emulation.setEmulatedMedia", features=given)

    def picture(self, path: Path) -> None:
        """Writes a PNG of the window."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._to)
            os.close(self._from)
        self._process.terminate()
        self._process.wait(300)


@contextlib.contextmanager
def page() -> Iterator[Page]:
    """A tab of a new browser with a profile of its own."""
    program = chromium()
    assert program is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        tab = Page(program, profile)
        try:
            yield tab
        finally:
            tab.close()
