"""`binance-sbe relay`, as a process between others."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
COMMAND = [sys.executable, "-m", "binance_sbe"]
ENVIRONMENT = os.environ | {"BINANCE_API_KEY": "any"}


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A process that serves, and its URL."""
    with subprocess.Popen(
        [*COMMAND, *arguments, "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1], process
        process.kill()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False,
    )  # fmt: skip


def test_programs_share_a_relay_of_an_exchange() -> None:
    with started("simulate", "btcusdt") as (exchange, _), started("relay", "--url", exchange) as (
        url, relay,
    ):  # fmt: skip
        done = run("watch", "btcusdt", "--json", "--seconds", "1.5", "--url", url)
        assert done.returncode == 0, done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert len({event["stream"] for event in events}) == 4
        relay.send_signal(signal.SIGTERM)
        out, err = relay.communicate(timeout=20)
        assert relay.returncode == 0
        assert err == ""
        assert "messages came" in out


def test_a_tape_is_played_to_its_client_and_the_command_ends(tmp_path: Path) -> None:
    tape = str(tmp_path / "tape")
    assert run("record", "btcusdt", "--simulate", "--out", tape, "--for", "2s").returncode == 0
    with started("relay", "--tape", tape, "--speed", "max") as (url, relay):
        done = run("watch", "btcusdt", "--json", "--url", url, "--give-up", "1")
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert relay.wait(20) == 0
    whole = run("tape", "cat", tape)
    assert len(events) == len(whole.stdout.splitlines()) > 100


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["--speed", "2"], 2, "--speed: there is no --tape"),
        (["--wait-for", "2"], 2, "--wait-for: there is no --tape"),
        (["--tape", "x", "btcusdt"], 2, "--tape takes the place of an exchange"),
        *(
            (["--tape", "x", *given.split()], 2, f"an exchange: leave {given.split()[0]} out")
            for given in (
                "--url ws://h:1",
                "--simulate",
                "--environment testnet",
                "--proxy none",
                "--kinds trade",
                "--lines 2",
                "--renew-at 04:30",
                "--give-up 5s",
            )
        ),
        (["--tape", "/nowhere/at/all"], 1, "there is no such file or directory"),
        (["btcusdt", "--url", "ws://127.0.0.1:1"], 3, "nothing listens there"),
        (["--speed", "fast"], 2, "'fast' is not a speed"),
    ],
)
def test_what_can_not_be_relayed_is_said_in_a_sentence(
    given: list[str], code: int, said: str
) -> None:
    done = run("relay", "--port", "0", *given)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_and_other_addresses_are_said() -> None:
    with started("simulate", "btcusdt") as (exchange, _):
        port = exchange.rpartition(":")[2]
        done = run("relay", "--url", exchange, "--port", port)
        assert done.returncode == 1
        assert "something serves there already" in done.stderr
        done = run("relay", "--url", exchange, "--port", "0", "--host", "0.0.0.0", "--seconds", "1")
        assert done.returncode == 0
        assert "open to other machines: --host 0.0.0.0" in done.stderr
