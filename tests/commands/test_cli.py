"""The commands, as processes: what a person sees, and the exit codes."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import vectors

COMMAND = [sys.executable, "-m", "binance_sbe"]


def run(
    *arguments: str, key: str | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "BINANCE_API_KEY"}
    if key is not None:
        environment["BINANCE_API_KEY"] = key
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        **options,
    )


@pytest.fixture
def exchange() -> Iterator[str]:
    """The URL of `binance-sbe simulate` as a process."""
    process = subprocess.Popen(
        [*COMMAND, "simulate", "btcusdt", "--port", "0", "--key", "good"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("serving btcusdt on ws://127.0.0.1:")
    yield line.split()[-1]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "frames sent" in out
    assert err == ""


def test_the_demo_shows_a_market_and_what_arrived() -> None:
    done = run("demo", "--seconds", "2", "btcusdt", "ethusdt")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("local exchange on ws://127.0.0.1:")
    assert any(line.startswith("  BTCUSDT") and " bid " in line for line in lines)
    assert any("messages/s" in line and "median" in line and "p99" in line for line in lines)
    for name in ("Trades", "BestBidAsk", "DepthSnapshot", "DepthDiff"):
        told = next(line for line in lines if line.startswith(f"{name}StreamEvent: "))
        assert int(told.split()[1].replace(",", "")) > 10
    assert any(re.search(r" rows of 40 bytes, [\d,]+ trades$", line) for line in lines)
    assert any(line.startswith("  frame, received_ns, event_time, ") for line in lines)
    (at,) = (i for i, line in enumerate(lines) if line.startswith("rejected frames: 0; left-over"))
    assert re.fullmatch(r"ledger: left out by the exchange \(no loss\) [\d,]+", lines[at + 1])
    assert lines[at + 2] == "try next:"


@pytest.mark.parametrize("columns", [120, 80])
def test_the_demo_on_a_terminal_is_a_live_table_that_fits(columns: int) -> None:
    pytest.importorskip("rich")
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40"}
    process = subprocess.Popen(
        [*COMMAND, "demo", "--seconds", "2"], stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    shown = read_all(master, 30)
    assert process.wait(20) == 0
    for text in ("Binance SBE, local exchange", "last trade", "BTCUSDT", "\x1b["):
        assert text in shown
    assert "rejected frames: 0" in shown
    assert "Traceback" not in shown
    assert "…" not in shown


def read_all(terminal: int, seconds: float) -> str:
    shown, until = b"", time.monotonic() + seconds
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
    os.close(terminal)
    return shown.decode(errors="replace")


@pytest.mark.parametrize("to_group", [False, True], ids=["process", "terminal"])
def test_ctrl_c_ends_the_demo_cleanly(to_group: bool) -> None:
    process = subprocess.Popen(
        [*COMMAND, "demo", "--seconds", "60"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("local exchange")
    process.stdout.readline()
    time.sleep(1)
    if to_group:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert err == ""
    assert "rejected frames: 0" in out


def test_watch_needs_a_key_and_says_so_in_one_sentence() -> None:
    done = run("watch", "btcusdt")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    for text in ("API key", "Ed25519", "BINANCE_API_KEY", "api-management"):
        assert text in done.stderr


def test_watch_shows_another_exchange(exchange: str) -> None:
    done = run("watch", "BTCUSDT", "--seconds", "1.5", "--url", exchange, key="good")
    assert done.returncode == 0, done.stderr
    assert "  BTCUSDT" in done.stdout
    assert re.search(r"\n[\d,]+ messages? in \d+ batch(es)?, 1\.\d s\nledger: ", done.stdout)


def test_what_the_exchange_refuses_is_said(exchange: str) -> None:
    refused = run("watch", "btcusdt", "--url", exchange, key="bad")
    assert refused.returncode == 4
    assert "HTTP 401" in refused.stderr
    unknown = run("watch", "nosuch", "--url", exchange, key="good")
    assert unknown.returncode == 1
    assert "SUBSCRIBE nosuch@trade, " in unknown.stderr
    assert "Traceback" not in refused.stderr + unknown.stderr


def test_an_exchange_that_stops_is_said_and_exits_1() -> None:
    server = subprocess.Popen(
        [*COMMAND, "simulate", "btcusdt", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    url = server.stdout.readline().split()[-1]
    environment = os.environ | {"BINANCE_API_KEY": "k"}
    watch = subprocess.Popen(
        [*COMMAND, "watch", "btcusdt", "--url", url, "--give-up", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert watch.stdout is not None
    watch.stdout.readline()
    server.terminate()
    server.communicate(timeout=20)
    out, err = watch.communicate(timeout=20)
    assert watch.returncode == 1
    assert "the exchange closed with 1001" in err
    assert "(attempt 2)" in err
    assert re.search(r"no connection for \d s: given up", err)
    assert re.search(r"\n[\d,]+ messages? in \d+ batch(es)?", out)


def test_a_port_in_use_is_said_and_exits_1() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("simulate", "--port", port)
    assert done.returncode == 1
    reason = f"can't serve on 127.0.0.1:{port}: something serves there already"
    assert done.stderr == f"binance-sbe: {reason}; --port 0 takes a free port\n"


@pytest.mark.parametrize(
    ("host", "reason"),
    [("no-such-host.invalid", "no such host"), ("192.0.2.1", "does not have that address")],
)
def test_a_host_that_is_not_of_this_machine_is_said(host: str, reason: str) -> None:
    done = run("simulate", "--port", "0", "--host", host)
    assert done.returncode == 1
    assert f"can't serve on {host}:0: " in done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_there_is_not_is_named() -> None:
    done = run("inspect", "no/such/file")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "binance-sbe: no/such/file: No such file or directory\n"


def test_wrong_arguments_are_said_and_exit_2() -> None:
    done = run("demo", "--seconds", "0", key="k")
    assert done.returncode == 2, done
    assert "'0' is not a duration" in done.stderr
    assert "Traceback" not in done.stderr


def test_output_that_nobody_reads_any_more_is_no_error() -> None:
    command = f"{sys.executable} -m binance_sbe demo --seconds 2 | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        ("| true", 0, ""),  # which reads nothing, so that it is noticed at the very end
        ("> /dev/full", 1, "binance-sbe: [Errno 28] No space left on device\n"),
    ],
)
def test_output_that_can_not_be_written_at_the_end(where: str, code: int, said: str) -> None:
    command = f"sleep 0.5; echo {vectors.TRADES.hex()} | {sys.executable} -m binance_sbe inspect -"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"({command}) {where}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, said)


def test_the_version_is_shown() -> None:
    import binance_sbe

    assert run("--version").stdout == f"binance-sbe {binance_sbe.__version__}\n"


def test_an_exchange_with_faults_says_which_there_were() -> None:
    faults = "cut,unknown,shutdown@0.5"
    command = [*COMMAND, "simulate", "btcusdt", "--port", "0", "--faults", faults]
    server = subprocess.Popen(
        [*command, "--every", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    url = server.stdout.readline().split()[-1]
    environment = os.environ | {"BINANCE_API_KEY": "k"}
    watch = subprocess.run(
        [*COMMAND, "watch", "btcusdt", "--url", url, "--seconds", "3"],
        capture_output=True, text=True, env=environment, timeout=30,
    )  # fmt: skip
    server.terminate()
    out, _ = server.communicate(timeout=20)
    assert watch.returncode == 0
    assert "(attempt 1)" in watch.stderr
    assert re.search(
        r"^\d\.\d s: cut: a connection breaks off in the middle of a frame$", out, re.M
    )
    assert re.search(r"^\d\.\d s: shutdown: serverShutdown is announced", out, re.M)
    assert re.search(r"^1 times: serverShutdown", out, re.M)


def test_hex_digits_in_place_of_a_file_are_noticed() -> None:
    done = run("inspect", "32001127010000009700")
    assert done.returncode == 2
    assert "FRAME is a file: echo 320011270100... | binance-sbe inspect -" in done.stderr


def test_the_demo_needs_the_decoders_of_the_streams_only() -> None:
    """`make demo` builds no others, which take minutes."""
    code = """
import runpy, sys
for name in ("spot_sbe", "fix_sbe"):
    sys.modules[f"binance_sbe.{name}"] = None
sys.argv = ["binance-sbe", "demo", "--seconds", "2"]
runpy.run_module("binance_sbe", run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "DepthDiffStreamEvent: " in done.stdout


@pytest.mark.parametrize("command", ["demo", "watch", "book"])
def test_lines_and_metrics_arrive(command: str) -> None:
    done = subprocess.run(
        [*COMMAND, command, "btcusdt", "--simulate", "--lines", "2", "--metrics-port", "0",
         "--seconds", "2.5"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"metrics at http://127\.0\.0\.1:\d+/metrics", done.stderr)
    if command != "book":
        assert "connection 2 (line 2)" in done.stdout
