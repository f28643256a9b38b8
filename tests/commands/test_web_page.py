"""`binance-sbe watch --web` as a process, in a browser: what is seen, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from browser import Tab, chromium, tab
from web import COMMAND, page, state_of, watched
from websockets.exceptions import ConnectionClosed

from binance_sbe.simulator import Exchange
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import Trade, Trades

MARKUP = "<IMG SRC=X ONERROR=ALERT(1)>"
HAS_PRICES = "document.querySelectorAll('#ladder tbody tr').length > 20"
PICTURES = os.environ.get("WEB_PICTURES")  # a folder for them, to look at


def run(work: Callable[..., Awaitable[None]], *options: str) -> None:
    """With an exchange, its watch as a process, and the page of that in a browser."""
    chromium()

    async def main() -> None:
        async with (
            asyncio.timeout(110),
            Exchange(["btcusdt", "ethusdt"]) as exchange,
            watched(exchange.url, "btcusdt", "ethusdt", *options) as (url, process),
            tab(url) as opened,
        ):
            await opened.size(1280)
            await opened.until(HAS_PRICES)
            await work(exchange, process, opened)

    asyncio.run(main())


async def picture(opened: Tab, name: str) -> None:
    if PICTURES:
        await opened.picture(Path(PICTURES) / f"{name}.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_prices_are_there_at_two_widths_light_and_dark(scheme: str) -> None:
    async def work(exchange: Exchange, process: Any, opened: Tab) -> None:
        await opened.scheme(scheme)
        await opened.until(f"document.documentElement.dataset.theme === '{scheme}'")
        dark = await opened.value("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", dark))) < 200) is (scheme == "dark")
        for width in (1280, 390):
            await opened.size(width)
            await asyncio.sleep(0.3)
            await picture(opened, f"{scheme}_{width}")
            assert await opened.value(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            )
            assert await opened.value("getComputedStyle(document.body).fontVariantNumeric") == (
                "tabular-nums"
            )
            text = await opened.text()
            for symbol in ("BTCUSDT", "ETHUSDT"):
                assert re.search(rf"{symbol}\s+live\s.*?\d+\.\d\d", text), text
            assert re.search(r"spread \d+\.\d\d, mid \d+\.\d+", text)
            assert re.search(r"\d\d:\d\d:\d\d\.\d{3}\s+(buy|sell)\s+\d+\.\d\d", text)
            assert "since the start: p50" in text
            assert "nothing lost, nothing odd" in text
            assert "connection 1 (line 1)" in text
        await opened.value("document.querySelector('#theme').click()")
        other = {"light": "dark", "dark": "light"}[scheme]
        assert await opened.value("document.documentElement.dataset.theme") == other
        assert opened.complaints == []

    run(work)


def test_another_book_is_chosen_by_the_keyboard() -> None:
    async def work(exchange: Exchange, process: Any, opened: Tab) -> None:
        for _ in range(2):  # the theme, then the first symbol
            await opened.press("Tab")
        focus = "document.activeElement.textContent"
        assert await opened.value(focus) == "BTCUSDT"
        await opened.press("ArrowDown")
        assert await opened.value(focus) == "ETHUSDT"
        await opened.press("Enter")
        title = "document.querySelector('#ladder-title').textContent"
        await opened.until(f"{title} === 'Order book ETHUSDT'")
        await asyncio.sleep(0.5)
        assert await opened.value(focus) == "ETHUSDT"  # what is drawn anew leaves it there
        pressed = "document.querySelector('button[aria-pressed=true]').textContent"
        assert await opened.value(pressed) == "ETHUSDT"

    run(work)


OLD = "[...document.querySelectorAll('#quotes .chip')].every((chip) => chip.textContent === 'old')"
LIVE = OLD.replace("'old'", "'live'")


def test_a_silent_exchange_makes_prices_old_and_its_return_makes_them_live() -> None:
    async def work(exchange: Exchange, process: Any, opened: Tab) -> None:
        assert exchange.inflict("silence")
        await opened.until(OLD)
        text = await opened.text()
        await picture(opened, "silent")
        assert re.search(r"old: BTCUSDT, ETHUSDT: nothing has come for [5-9] s", text), text
        assert re.search(r"These prices are old: nothing has come for [5-9] s", text)
        assert re.search(r"connection 1 \(line 1\) is silent: last read [\d.]+ s ago", text)
        for connection in list(exchange._connections):
            connection.transport.abort()
        await opened.until(LIVE)
        assert "connections ended" in await opened.text()

    run(work)


def test_a_lost_connection_makes_prices_old_and_says_why() -> None:
    async def work(exchange: Exchange, process: Any, opened: Tab) -> None:
        assert exchange._server is not None
        exchange._server.close(close_connections=False)  # nobody gets in again
        assert exchange.inflict("cut")
        await opened.until(OLD)
        await opened.until("document.querySelector('#banner').textContent.startsWith('Old prices')")
        text = await opened.text()
        await picture(opened, "cut")
        assert "Old prices: no connection is open: " in text
        assert "no connection brings it; the last event was" in text
        assert "1 connections ended" in text

    run(work)


def test_a_page_that_has_lost_its_own_socket_says_so_and_comes_back() -> None:
    async def work(exchange: Exchange, process: Any, opened: Tab) -> None:
        banner = "document.querySelector('#banner').textContent"
        os.kill(process.pid, signal.SIGSTOP)
        await opened.until(f"{banner}.startsWith('binance-sbe does not answer this page.')")
        assert await opened.value(OLD)
        os.kill(process.pid, signal.SIGCONT)
        await opened.until(f"{banner} === ''")
        await opened.until(LIVE)
        process.send_signal(signal.SIGINT)
        await opened.until(f"/binance-sbe has ended|has lost its connection/.test({banner})")
        await opened.until(f"/What is shown is of [0-9:.]+, [0-9]+ s ago/.test({banner})")
        assert await opened.value(OLD)
        assert "These prices are old: this page has lost binance-sbe" in await opened.text()
        await picture(opened, "lost")
        assert await asyncio.wait_for(process.wait(), 20) == 0

    run(work)


def test_a_symbol_with_markup_stays_text() -> None:
    async def work(exchange: Exchange, process: Any, opened: Tab) -> None:
        now = time.time_ns() // 1000
        stray = Trades(MARKUP, -2, -8, now, now, (Trade(1, 100, 10**8, False),))
        exchange.send("btcusdt@trade", encode(stray))
        await opened.until("document.querySelector('#account').textContent.includes('img src')")
        assert await opened.value("document.querySelectorAll('img').length") == 0
        text = await opened.text()
        assert f"nobody has subscribed to: {MARKUP.lower()}@trade" in text
        for connection in list(exchange._connections):  # and so is what a server says in the end
            await connection.close(1001, "</script><script>document.title='x'</script>")
        await opened.until(LIVE)
        assert await opened.value("document.title") == "binance-sbe watch"
        assert await opened.value("document.querySelectorAll('script').length") == 1
        assert opened.complaints == []

    run(work)


def test_the_policy_of_the_page_stops_what_is_not_of_the_page() -> None:
    async def work(exchange: Exchange, process: Any, opened: Tab) -> None:
        await opened.value(
            "const one = document.createElement('script'); one.textContent = 'window.bad = 1';"
            "document.body.append(one);"
            "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"bad = 1\">');"
        )
        await asyncio.sleep(0.3)
        assert await opened.value("window.bad === undefined")
        assert any("Content Security Policy" in text for text in opened.complaints)

    run(work)


# without a browser


def test_no_key_is_on_the_page_or_in_what_it_is_sent() -> None:
    async def main() -> None:
        async with Exchange(["btcusdt"]) as exchange, watched(exchange.url, "btcusdt") as (url, _):
            port = int(url.split(":")[2].strip("/"))
            async with page(port) as socket:
                await asyncio.sleep(1)
                found = json.dumps(await state_of(socket))
        assert "BTCUSDT" in found
        assert "a-key-of-mine" not in found

    asyncio.run(main())


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_its_pages(ends: signal.Signals) -> None:
    async def main() -> None:
        async with watched(None, "btcusdt", ends=ends) as (url, process):
            port = int(url.split(":")[2].strip("/"))
            async with page(port) as socket, page(port):  # of which one reads nothing more
                assert (await state_of(socket))["title"] == "local exchange"
                process.send_signal(ends)
                with pytest.raises(ConnectionClosed) as ended:
                    await asyncio.wait_for(socket.recv(), 20)
                assert ended.value.rcvd is not None
                assert ended.value.rcvd.code == 1001
            out, err = await asyncio.wait_for(process.communicate(), 20)
        assert (process.returncode, err) == (0, b"")
        assert re.search(rb"^[\d,]+ messages?, 0 rejected\nledger: ", out)

    asyncio.run(main())


def command(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "binance_sbe", "watch", *options], capture_output=True, text=True,
        timeout=60, check=False, env=os.environ | {"BINANCE_API_KEY": "k"} | environment,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--port", "80"], "--port: there is no --web that it is about"),
        (["--web", "--once"], "--once is not for --web, which shows all of it, all the time"),
        (["--web", "--json"], "--json is not for --web"),
        (["--web", "--as", "exchange"], "--as is not for --web"),
        (["--as", "own"], "--as: there is no --json that it is about"),
        (["--web", "--streams", "trade"], "--streams is not for --web"),
        (["--web", "--port", "65536"], "'65536' is not a port: 0 to 65535"),
        (["--web", "--host", ""], "'' is not an address to serve on"),
    ],
)
def test_what_does_not_go_together_is_refused(options: list[str], said: str) -> None:
    done = command("--simulate", *options)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]


def test_it_ends_by_itself_after_a_time_and_warns_where_others_can_look() -> None:
    done = command("--web", "--simulate", "--port", "0", "--seconds", "0.5", "--host", "0.0.0.0")
    assert done.returncode == 0
    assert done.stderr == "open to other machines, and to whoever is on them: --host 0.0.0.0\n"
    assert re.match(r"watch it at http://127\.0\.0\.1:\d+/ until Ctrl-C\n", done.stdout)


def test_a_feed_that_ends_ends_the_page_with_its_code() -> None:
    async def main() -> None:
        async with Exchange(["btcusdt"]) as exchange:
            process = await asyncio.create_subprocess_exec(
                *COMMAND, "btcusdt", "--url", exchange.url, "--give-up", "1",
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env=os.environ | {"BINANCE_API_KEY": "k"},
            )  # fmt: skip
            assert process.stdout is not None
            await process.stdout.readline()
        _, err = await asyncio.wait_for(process.communicate(), 40)
        assert process.returncode in (1, 3)
        assert b"binance-sbe: " in err.splitlines()[-1]

    asyncio.run(main())
