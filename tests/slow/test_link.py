"""A feed behind a network that misbehaves: what was published has come, or is in a hole.

Two hosts in network namespaces with a link between them that loses, delays, reorders and swallows
packets (see link/link.py). Needs root and /dev/net/tun, as containers of a CI have them;
LINK_SECONDS=30 makes each trouble last that long.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from recorded import STREAMS
from test_recovery import check, ids_of

import binance_sbe

HERE = Path(__file__).parent.parent / "link"
SECONDS = float(os.environ.get("LINK_SECONDS", "4"))
SERVER, CLIENT, OTHER = "10.88.0.1", "10.88.0.2", "10.88.0.3"
PORT = 9443
TROUBLES = {
    "loses, delays and reorders": "loss 3 delay 20 jitter 10 reorder 5 duplicates 2",
    "swallows everything": "hole 1",
    "swallows large packets": "mtu 250",
    "is too slow": "rate 300 delay 50",
    "forgets its connections": "hole 2",
    "changes the address": "",
}


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def can_be_made() -> bool:
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        return False
    try:
        ip("netns", "add", f"sbe-try-{os.getpid()}")
        ip("netns", "del", f"sbe-try-{os.getpid()}")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


class Process:
    """A child that says "ready", and is spoken to by lines."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.heard() == "ready"

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def ask(self, line: str) -> str:
        self.say(line)
        return self.heard()

    def end(self, seconds: float = 30.0) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(seconds) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


@contextlib.contextmanager
def link() -> Iterator[tuple[Process, list[str], list[str]]]:
    """The link, and what to put before a command to run it at either end."""
    names = [f"sbe-{os.getpid()}-{end}" for end in "ab"]
    with contextlib.ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
        between = Process(sys.executable, str(HERE / "link.py"), *names)
        stack.callback(between.kill)
        for name, address in zip(names, (SERVER, CLIENT), strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "tun0")
            ip("-n", name, "link", "set", "tun0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield between, *(["ip", "netns", "exec", name] for name in names)


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
@pytest.mark.timeout(int(200 + 12 * SECONDS))
def test_behind_a_bad_link_what_was_published_came_or_is_in_a_hole(tmp_path: Path) -> None:
    if not can_be_made():
        pytest.skip("network namespaces can't be made here: not root, or without ip or TUN")
    with contextlib.ExitStack() as stack:
        between, there, here = stack.enter_context(link())
        peer = [sys.executable, str(HERE / "peer.py")]
        truth = tmp_path / "truth"
        exchange = Process(*there, *peer, "exchange", SERVER, str(PORT), str(truth))
        stack.callback(exchange.kill)
        feeds = []
        for lines in (1, 2):
            path = tmp_path / f"feed{lines}"
            url = f"ws://{SERVER}:{PORT}"
            feeds.append(Process(*here, *peer, "feed", url, str(lines), str(path)))
            stack.callback(feeds[-1].kill)
        for trouble, command in TROUBLES.items():
            if command:
                between.say(command)
            else:
                ip("-n", here[-1], "addr", "del", f"{CLIENT}/24", "dev", "tun0")
                ip("-n", here[-1], "addr", "add", f"{OTHER}/24", "dev", "tun0")
            time.sleep(SECONDS)
            between.say("clear")
            for feed in feeds:
                assert feed.ask("flows"), trouble
            time.sleep(0.5)
        time.sleep(1.0)
        assert exchange.ask("stop") == "over"
        time.sleep(2.0)
        for feed in feeds:
            feed.say("end")
            feed.end()
        published = pickle.loads(truth.read_bytes())
        for lines in (1, 2):
            compare(published, lines, *pickle.loads((tmp_path / f"feed{lines}").read_bytes()))


def compare(
    published: dict[str, list[bytes]], lines: int, frames: list[bytes], holes: list[Any],
    counters: dict[str, Any], causes: list[str],
) -> None:  # fmt: skip
    """What came is the truth, less what the holes say; and no hole has what came."""
    listed = [
        SimpleNamespace(stream=s, last_before=b, first_after=a, ids=a - b - 1, cause=c)
        for s, b, a, c in holes
    ]
    streams = {name: SimpleNamespace(**each) for name, each in counters.items()}
    ledger = SimpleNamespace(holes=listed, streams=streams)
    kinds = dict(zip((10000, 10001, 10002, 10003), STREAMS, strict=True))
    heads: dict[str, int] = {}  # another process does not know when the feed has subscribed
    for frame in frames:
        name = kinds[binance_sbe.decode(frame).TEMPLATE_ID]
        heads.setdefault(name, published[name].index(frame))
    exchange: Any = SimpleNamespace(published=published, culled=set(), heads=heads)
    feed: Any = SimpleNamespace(ledger=ledger)
    check(exchange, feed, frames)
    came: dict[str, list[tuple[int, int]]] = {name: [] for name in STREAMS}
    for frame in frames:
        message: Any = binance_sbe.decode(frame)
        came[kinds[message.TEMPLATE_ID]].append(ids_of(message))
    for name, ids in came.items():
        last = ids_of(binance_sbe.decode(published[name][-1]))
        assert max(ids) == last, f"{name}: the end is missing"
        for hole in (each for each in listed if each.stream == name):
            inside = [i for i in ids if hole.last_before < i[1] and i[0] < hole.first_after]
            assert inside == [], f"{name}: {hole} has what came"
    for name in ("btcusdt@trade", "btcusdt@depth"):
        assert streams[name].lost == sum(h.ids for h in listed if h.stream == name)
    assert len(causes) > 2 * lines
    assert {h.cause for h in listed} & {"not sent", "no reply"} == set()
