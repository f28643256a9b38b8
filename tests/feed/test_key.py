"""The API key leaves to the exchange, and to nowhere else: all that is said is searched for it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import traceback
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import binance_sbe
from binance_sbe import rest
from binance_sbe.commands import doctor, health
from binance_sbe.errors import FeedError, SbeError
from binance_sbe.keys import KEY_HEADER
from binance_sbe.metrics import serve
from binance_sbe.simulator import Exchange

KEY = "MARKERkey" + "0123456789ABCDEFabcdef" * 2 + "0123456789a"
STREAM = "btcusdt@trade"


# what a server may do with a key


def percent(text: str) -> str:
    return "".join(f"%{ord(c):02X}" for c in text)


def escapes(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in text)


def answer(status: str, body: str, *headers: str) -> bytes:
    content = body.encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def upgraded(request: str, *headers: str) -> bytes:
    nonce = next(
        line.split(":", 1)[1].strip()
        for line in request.split("\r\n")
        if line.lower().startswith("sec-websocket-key")
    )
    digest = hashlib.sha1(f"{nonce}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    accept = f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}"
    lines = [
        "HTTP/1.1 101 x",
        "Upgrade: websocket",
        "Connection: Upgrade",
        accept,
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


def framed(kind: int, content: bytes) -> bytes:
    return bytes([0x80 | kind, len(content)]) + content if len(content) < 126 else b""


def closing(reason: str) -> bytes:
    return framed(8, (1008).to_bytes(2, "big") + reason.encode())


HOSTILE: dict[str, Callable[[str], bytes]] = {
    "401 with the request": lambda r: answer("401 x", r),
    "403 in another case": lambda r: answer("403 x", f"<b>{KEY.lower()} {KEY.upper()}</b>"),
    "429 percent-encoded": lambda r: answer("429 x", percent(KEY), "Retry-After: 1"),
    "400 as JSON": lambda r: answer("400 x", json.dumps({"code": -2015, "msg": r}) + escapes(KEY)),
    "500 with the request": lambda r: answer("500 x", r),
    "redirect": lambda r: answer("302 x", "", f"Location: http://127.0.0.1:1/{KEY}"),
    "no accept": lambda r: answer(f"101 {KEY}", "", f"Upgrade: {KEY}", "Connection: Upgrade"),
    "wrong protocol": lambda r: upgraded(r, f"Sec-WebSocket-Protocol: {KEY}"),
    "wrong extension": lambda r: upgraded(r, f"Sec-WebSocket-Extensions: {KEY}"),
    "no HTTP": lambda r: r.encode(),
    "a bad status": lambda r: f"HTTP/1.1 {KEY} {KEY}\r\n\r\n".encode(),
    "a bad header": lambda r: f"HTTP/1.1 200 x\r\n{KEY}\r\n\r\n".encode(),
    "a bad length": lambda r: f"HTTP/1.1 200 x\r\nContent-Length: {KEY}\r\n\r\n".encode(),
    "a close reason": lambda r: upgraded(r) + closing(KEY),
    "a close reason with escapes": lambda r: upgraded(r) + closing(f"\x1b[2J{KEY}"),
    "texts": lambda r: upgraded(r) + framed(1, KEY.encode()) + closing("so"),
    "a refusal": lambda r: (
        upgraded(r) + framed(1, f'{{"error":{{"code":2,"msg":"{KEY}"}},"id":1}}'.encode())
    ),
    "a reserved bit": lambda r: upgraded(r) + bytes([0xF2, 2]) + KEY.encode(),
    "text that is none": lambda r: upgraded(r) + framed(1, b"\xff" + KEY.encode()),
}


@contextlib.asynccontextmanager
async def hostile(make: Callable[[str], bytes], asked: list[str]) -> AsyncIterator[str]:
    serving: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            asked.append(request)
            writer.write(make(request))
            await asyncio.sleep(0.05)
        except (OSError, EOFError, StopIteration):
            pass
        finally:
            writer.close()
            serving.discard(task)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.gather(*serving)
        await asyncio.sleep(0.02)


# what is searched


class Everything(logging.Handler):
    """All that handlers can make of records, of all loggers at all levels."""

    def __init__(self) -> None:
        super().__init__(0)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.name}: {self.format(record)}")
        self.texts.append(f"{record.name}: {record.msg} {record.args!r} {vars(record)!r}")
        if record.exc_info and record.exc_info[1] is not None:
            self.texts += told(record.exc_info[1])

    def __repr__(self) -> str:
        return "<Everything>"


def told(error: BaseException, with_frames: bool = True) -> list[str]:
    """All that can be made of an exception, and of those that it came from."""
    texts = traceback.format_exception(error)
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
        texts += [str(each), repr(each), repr(each.args), repr(vars(each))]
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if with_frames and "binance_sbe" in frame.f_code.co_filename:
                texts.append(f"{frame}: {frame.f_locals!r}")
        if isinstance(each, SbeError):
            texts.append(pickle.dumps(each, 0).decode("latin-1"))
    return texts


def holds(text: str) -> bool:
    return KEY.lower() in text.lower() or any(
        re.search(re.escape(way(part)), text, re.IGNORECASE)
        for way in (percent, escapes)
        for part in (KEY[:20],)
    )


@pytest.fixture
def everything(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """Texts to be searched at the end; what is logged and printed meanwhile is among them."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    root, handler = logging.getLogger(), Everything()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield handler.texts
    root.removeHandler(handler)
    root.setLevel(level)
    gc.collect()
    handler.texts += capfd.readouterr()
    found = [text for text in handler.texts if holds(text)]
    if found:
        pytest.fail(f"{len(found)} texts hold the key: {found[0][:2000]}", pytrace=False)


def state_of(feed: Any) -> list[str]:
    ledger = feed.ledger
    objects = [feed, ledger, feed.stats, feed._connections, feed._connections.engine.supervisor]
    objects += [*ledger.connections, *ledger.holes, *ledger.damaged]
    objects += [
        each for c in feed._connections.engine.supervisor.connections.values() for each in (c,)
    ]
    texts = [repr(each) for each in objects]
    texts += [repr(vars(each)) for each in objects if hasattr(each, "__dict__")]
    return [*texts, *health.plain_lines(feed), *map(repr, asyncio.all_tasks())]


def test_a_life_of_a_feed_says_nothing_of_the_key(everything: list[str]) -> None:
    async def work() -> None:
        async with Exchange(["btcusdt"], api_keys=[KEY]) as exchange:
            feed = binance_sbe.connect(STREAM, url=exchange.url, api_key=KEY, lines=2)
            everything.extend(state_of(feed))
            async with feed:
                await anext(feed)
                for client in list(exchange._connections):
                    client.transport.abort()
                while feed.reconnects < 2:
                    await anext(feed)
                feed.renew()
                with pytest.raises(FeedError) as caught:
                    await feed.subscribe("nosuch@trade")
                everything.extend(told(caught.value))
                exchange.send(STREAM, b"damaged " + KEY[:9].encode())
                exchange.send_text({"x": KEY})
                with contextlib.suppress(SbeError):
                    for _ in range(20):
                        await anext(feed)
                everything.extend(state_of(feed))
                with serve(feed, 0) as port:
                    url = f"http://127.0.0.1:{port}/metrics"
                    everything.append(await asyncio.to_thread(page, url))
            everything.extend(state_of(feed))

    asyncio.run(work(), debug=True)


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as found:
        return str(found.read().decode())


@pytest.mark.parametrize("what", HOSTILE)
def test_a_server_that_quotes_the_key_is_not_quoted(what: str, everything: list[str]) -> None:
    asked: list[str] = []

    async def work() -> None:
        async with hostile(HOSTILE[what], asked) as url:
            feed = binance_sbe.connect(
                STREAM, url=url, api_key=KEY, open_timeout=2.0,
                reply_timeout=2.0, reconnect=False,
            )  # fmt: skip
            try:
                async with feed:
                    await anext(feed)
            except FeedError as error:
                everything.extend([*told(error), *state_of(feed)])
            else:
                pytest.fail("nothing was wrong")
            gc.collect()
            await asyncio.sleep(0)

    asyncio.run(work(), debug=True)
    assert KEY in asked[0], "it is to get it"


@pytest.mark.parametrize("what", HOSTILE)
def test_rest_and_doctor_do_not_quote_the_key(what: str, everything: list[str]) -> None:
    asked: list[str] = []

    async def work() -> None:
        async with hostile(HOSTILE[what], asked) as url:
            client = rest.Client(url=url, api_key=KEY, timeout=2.0)
            everything.extend([repr(client), repr(vars(client))])
            with pytest.raises(TypeError, match="an API key is not pickled") as unpickled:
                pickle.dumps(client)
            everything.extend(told(unpickled.value))
            async with client:
                with pytest.raises(SbeError) as caught:
                    await client.depth("btcusdt")
                # the frame that decodes an answer has it, whatever it is
                everything.extend([*told(caught.value, with_frames=False), repr(vars(client))])
            patient = doctor.Patient(url=url, api_key=KEY)
            everything.extend([repr(patient), repr(vars(patient))])
            async for finding in doctor.examine(patient):
                everything.append(doctor.line_of(finding))

    asyncio.run(work(), debug=True)
    assert KEY_HEADER in asked[0], "it is to get it"


@pytest.mark.parametrize("command", [["watch", "btcusdt"], ["book", "btcusdt"], ["doctor"]])
def test_commands_print_no_key(command: list[str]) -> None:
    """With all loggers at DEBUG, on the standard error of the process."""
    code = (
        "import logging, sys; logging.basicConfig(level=1); "
        "from binance_sbe.commands.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    async def work(what: str) -> tuple[int | None, bytes]:
        async with hostile(HOSTILE[what], []) as url:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, *command, "--url", url,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=os.environ | {"BINANCE_API_KEY": KEY, "PYTHONASYNCIODEBUG": "1"},
            )  # fmt: skip
            out, _ = await asyncio.wait_for(process.communicate(), 60)
            return process.returncode, out

    for what in ("401 with the request", "403 in another case"):
        code_of_exit, out = asyncio.run(work(what))
        assert code_of_exit == 4
        assert not holds(out.decode())
        assert b"Traceback" not in out
        assert "refused the connection with HTTP 40" in out.decode()


def test_what_holds_a_key_is_known_to_this_test() -> None:
    assert all(map(holds, (KEY, KEY.upper(), percent(KEY), escapes(KEY), f"a {KEY.lower()} b")))
    assert not holds(KEY[:19])
