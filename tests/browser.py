"""A browser without a window, for the tests of pages: chromium, by its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def chromium() -> str:
    """The program; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    return found


class Tab:
    """One page. What it logs, and what it refuses to load or run, is in ``complaints``."""

    def __init__(self, socket: ClientConnection) -> None:
        self.complaints: list[str] = []
        self._socket = socket
        self._number = 0

    async def call(self, method: str, **params: Any) -> Any:
        self._number += 1
        await self._socket.send(
            json.dumps({"id": self._number, "method": method, "params": params})
        )
        async with asyncio.timeout(30):
            while True:
                told = json.loads(await self._socket.recv())
                if told.get("id") == self._number:
                    assert "error" not in told, told
                    return told["result"]
                if told.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                    self.complaints.append(json.dumps(told["params"]))

    async def value(self, code: str) -> Any:
        result = await self.call("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, code: str, seconds: float = 20.0) -> Any:
        """Waits until that is something."""
        found = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not (found := await self.value(code)):
                    await asyncio.sleep(0.05)
        assert found, f"{code}\n{await self.text()}"
        return found

    async def text(self) -> str:
        return str(await self.value("document.body.innerText"))

    async def size(self, width: int, height: int = 900) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    async def scheme(self, name: str) -> None:
        """What the system prefers: light or dark."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            code = {"Tab": 9, "Enter": 13, "ArrowDown": 40, "ArrowUp": 38}[key]
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key,
                windowsVirtualKeyCode=code, **text,
            )  # fmt: skip

    async def picture(self, path: Path) -> None:
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def tab(url: str) -> AsyncIterator[Tab]:
    """A page in a browser of its own, which ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            port = await _port(Path(folder) / "DevToolsActivePort")
            async with asyncio.timeout(20):
                target = await _target(port)
            async with connect(target, max_size=2**26, proxy=None, compression=None) as socket:
                page = Tab(socket)
                for domain in ("Page", "Runtime", "Log"):
                    await page.call(f"{domain}.enable")
                await page.call("Page.navigate", url=url)
                yield page
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _port(told: Path) -> int:
    async with asyncio.timeout(60):
        while not (told.exists() and "\n" in (text := told.read_text())):
            await asyncio.sleep(0.05)
    return int(text.split()[0])


async def _target(port: int) -> str:
    """The socket of the one page that is open."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /json HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.splitlines()
            if line.lower().startswith(b"content-length")
        )
        pages = [
            each for each in json.loads(await reader.readexactly(length)) if each["type"] == "page"
        ]
        writer.close()
        if pages:
            return str(pages[0]["webSocketDebuggerUrl"])
        await asyncio.sleep(0.1)
