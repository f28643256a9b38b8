"""How commands end: by signals in order, and their exchange with them, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from binance_sbe.venue import environments

COMMAND = [sys.executable, "-m", "binance_sbe"]
DEMO = ["demo", "btcusdt", "--seconds", "60"]
BOOK = ["book", "btcusdt", "--simulate", "--seconds", "60"]
MARKER = "MARKERkey0123456789"
PROC = Path("/proc")

pytestmark = pytest.mark.skipif(not PROC.is_dir(), reason="processes are looked for in /proc")


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
            process.send_signal(number)
            out, said = process.communicate(timeout=20)
        exchange.send_signal(number)
        end, _ = exchange.communicate(timeout=20)
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


@pytest.mark.parametrize("command", [DEMO, BOOK], ids=["demo", "book"])
def test_the_key_is_in_no_command_line_and_not_given_to_the_exchange(command: list[str]) -> None:
    for process, child in started(command):
        for pid in (process.pid, child):
            assert MARKER.encode() not in (PROC / str(pid) / "cmdline").read_bytes()
            assert MARKER.encode() not in (PROC / str(pid) / "comm").read_bytes()
        assert MARKER.encode() not in (PROC / str(child) / "environ").read_bytes()
        process.terminate()
        process.communicate(timeout=20)


# where it serves


def serving(*arguments: str) -> tuple[str, str, set[str]]:
    """What it says, and the addresses it listens on, as the kernel has them."""
    command = [*COMMAND, "simulate", "btcusdt", "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        port = f"{int(line.rpartition(':')[2]):04X}"
        rows = [row.split() for row in (PROC / "net" / "tcp").read_text().splitlines()[1:]]
        listening = {
            row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[1].endswith(port)
        }
        process.terminate()
        _, said = process.communicate(timeout=20)
    return line, said, listening


def test_an_exchange_is_for_this_machine_unless_told_otherwise() -> None:
    line, said, listening = serving()
    assert line.startswith("serving btcusdt on ws://127.0.0.1:")
    assert (said, listening) == ("", {"0100007F"})
    line, said, listening = serving("--host", "0.0.0.0")
    assert line.startswith("serving btcusdt on ws://0.0.0.0:")
    assert (said, listening) == ("open to other machines: --host 0.0.0.0\n", {"00000000"})


@pytest.mark.parametrize("command", [["simulate"], ["watch", "btcusdt"]])
@pytest.mark.parametrize("host", ["", " ", "a b"])
def test_what_is_no_address_is_refused(command: list[str], host: str) -> None:
    done = subprocess.run(
        [*COMMAND, *command, "--host", host], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "is not an address to serve on" in done.stderr


def test_what_is_loopback_is_known() -> None:
    assert all(map(environments.is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(
        map(environments.is_loopback, ("0.0.0.0", "::", "10.0.0.1", "fe80::1%eth0", "host", ""))
    )
