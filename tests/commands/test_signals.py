"""What ends commands: signals in order, and the end of a parent, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from binance_sbe.commands.signals import SIGNALS, at_end_of_parent, at_signal


async def turn() -> None:
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", SIGNALS)
def test_of_blocks_inside_one_another_the_inner_one_is_told(number: int) -> None:
    told: list[str] = []

    async def work() -> None:
        with at_signal(lambda: told.append("outer")):
            os.kill(os.getpid(), number)
            await turn()
            with at_signal(lambda: told.append("inner")):
                os.kill(os.getpid(), number)
                await turn()
            os.kill(os.getpid(), number)
            await turn()

    before = signal.getsignal(number)
    asyncio.run(work())
    assert told == ["outer", "inner", "outer"]
    after = signal.getsignal(number)  # asyncio leaves the default, or Python's own
    assert after in (before, signal.SIG_DFL, signal.default_int_handler)
    signal.signal(number, before)


def test_a_block_that_was_left_early_is_not_told_and_the_next_is() -> None:
    told: list[str] = []

    async def work() -> None:
        outer, inner = (at_signal(lambda n=n: told.append(n)) for n in ("outer", "inner"))
        with pytest.raises(KeyError), outer:
            raise KeyError
        with inner:
            os.kill(os.getpid(), signal.SIGTERM)
            await turn()

    asyncio.run(work())
    assert told == ["inner"]


def test_sighup_stays_ignored_and_the_others_are_not() -> None:
    told: list[int] = []

    async def work() -> None:
        with at_signal(lambda: told.append(1)):
            os.kill(os.getpid(), signal.SIGHUP)
            await turn()
            assert told == []
            os.kill(os.getpid(), signal.SIGTERM)
            await turn()

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        asyncio.run(work())
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert told == [1]


def test_the_end_of_a_parent_is_told_once_and_what_it_says_is_not_its_end() -> None:
    told: list[int] = []

    async def work() -> None:
        ours, theirs = os.pipe()
        loop: Any = asyncio.get_running_loop()
        with at_end_of_parent(lambda: told.append(1), ours):
            os.write(theirs, b"a line\n")
            await turn()
            assert told == []
            os.close(theirs)
            await turn()
            await turn()
            assert told == [1]
        assert not loop.remove_reader(ours)
        os.close(ours)
        ours, theirs = os.pipe()
        with at_end_of_parent(lambda: told.append(2), ours):
            pass
        os.close(theirs)
        await turn()
        assert not loop.remove_reader(ours)
        os.close(ours)

    asyncio.run(work())
    assert told == [1]


# as processes


COMMAND = [sys.executable, "-m", "binance_sbe"]
DEMO = ["demo", "btcusdt", "--seconds", "60"]
BOOK = ["book", "btcusdt", "--simulate", "--seconds", "60"]
MARKER = "MARKERkey0123456789"
PROC = Path("/proc")

pytestmark = pytest.mark.usefixtures("hangups")
needs_proc = pytest.mark.skipif(not PROC.is_dir(), reason="processes are looked for in /proc")


def status(pid: int) -> dict[str, str]:
    """What the kernel says of a process; nothing where it is gone, or only not yet waited for."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return {}
    found = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {} if found["State"].startswith("Z") else found


def children(parent: int) -> list[int]:
    pids = [int(path.name) for path in PROC.iterdir() if path.name.isdigit()]
    return [pid for pid in pids if status(pid).get("PPid") == str(parent)]


def until(there_is: object, seconds: float = 20.0) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if there_is():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def started(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A command that shows something, and its exchange."""
    environment = os.environ | {"BINANCE_API_KEY": MARKER}
    with subprocess.Popen(
        [*COMMAND, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        assert until(lambda: children(process.pid))
        (child,) = children(process.pid)
        try:
            yield process, child
        finally:
            process.kill()
            if status(child):
                os.kill(child, signal.SIGKILL)


@needs_proc
@pytest.mark.parametrize("command", [DEMO, BOOK], ids=["demo", "book"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_an_exchange_ends_with_its_command(command: list[str], number: signal.Signals) -> None:
    for process, child in started(command):
        os.kill(process.pid, number)
        _, said = process.communicate(timeout=20)
        assert until(lambda pid=child: not status(pid)), "the exchange runs on"
        if number is not signal.SIGKILL:
            assert (process.returncode, said) == (0, "")


def test_an_exchange_that_starts_when_its_parent_is_gone_ends() -> None:
    """Before it can have looked."""
    command = [*COMMAND, "simulate", "btcusdt", "--port", "0", "--with-parent"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")
    assert b"serving" in out


def ended_by(number: signal.Signals, process: subprocess.Popen[str]) -> tuple[str, str]:
    process.send_signal(number)
    try:
        return process.communicate(timeout=20)
    finally:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_view_and_an_exchange_end_in_order(number: signal.Signals) -> None:
    command = [*COMMAND, "simulate", "btcusdt", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as exchange:
        assert exchange.stdout is not None
        url = exchange.stdout.readline().split()[-1]
        view = [*COMMAND, "watch", "btcusdt", "--url", url]
        with subprocess.Popen(
            view, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"BINANCE_API_KEY": MARKER},
        ) as process:  # fmt: skip
            assert process.stdout is not None
            process.stdout.readline()
            out, said = ended_by(number, process)
        end, _ = ended_by(number, exchange)
    assert (process.returncode, said) == (0, "")
    assert "ledger: " in out
    assert exchange.returncode == 0
    assert "frames sent" in end


def test_sighup_stays_ignored_under_nohup() -> None:
    command = " ".join([*COMMAND, "simulate", "btcusdt", "--port", "0"])
    with subprocess.Popen(
        ["bash", "-c", f"trap '' HUP; exec {command}"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None
        process.terminate()


@needs_proc
@pytest.mark.parametrize("command", [DEMO, BOOK], ids=["demo", "book"])
def test_the_key_is_in_no_command_line_and_not_given_to_the_exchange(command: list[str]) -> None:
    for process, child in started(command):
        for pid in (process.pid, child):
            assert MARKER.encode() not in (PROC / str(pid) / "cmdline").read_bytes()
            assert MARKER.encode() not in (PROC / str(pid) / "comm").read_bytes()
        assert MARKER.encode() not in (PROC / str(child) / "environ").read_bytes()
        process.terminate()
        process.communicate(timeout=20)


INTERRUPTED = """
import sys
from binance_sbe.commands import cli

async def work(options):
    try:
        exec("raise KeyboardInterrupt")  # as in a dataclass of a module that is being imported
    except KeyboardInterrupt:
        return 1

cli._COMMANDS["doctor"] = work
sys.exit(cli.main(["doctor"]))
"""


def test_an_interrupt_amid_text_that_is_executed_leaves_the_exit_code(tmp_path: Path) -> None:
    """CPython notes such ones, and kills itself after ``-m`` although they were caught."""
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
