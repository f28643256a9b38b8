"""`binance-sbe simulate --fix --ws-api`: as other programs reach it, by what it says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from binance_sbe import spot_sbe, ws_api

PASSWORD: dict[str, str] = {}
COMMAND = [sys.executable, "-m", "binance_sbe"]


def environment() -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("BINANCE")}
    return kept | PASSWORD


@contextlib.contextmanager
def simulated(*arguments: object, lines: int) -> Iterator[list[str]]:
    """The first lines of an exchange that serves meanwhile; it has to end well."""
    with subprocess.Popen(
        [*COMMAND, "simulate", "btcusdt", "--port", "0", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield [process.stdout.readline().rstrip() for _ in range(lines)]
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


def named(line: str) -> tuple[dict[str, str], list[str]]:
    """The environment and the arguments of the command that a line names."""
    words = shlex.split(line.partition("to look at it: ")[2])
    at = words.index("binance-sbe")
    return dict(each.split("=", 1) for each in words[:at]), words[at + 1 :]


def shown(command: list[str], **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *command, "--seconds", "2"], capture_output=True, text=True,
        env=environment() | given, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_that_it_names_shows_its_market_over_fix(tmp_path: Path) -> None:
    keys = tmp_path / "the keys"
    with simulated("--fix", 0, "--keys", keys, lines=2) as (first, line):
        assert first.startswith("serving btcusdt on ws://127.0.0.1:")
        given, command = named(line)
        done = shown(command, **given)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.match(r"BTCUSDT: bid \d", done.stdout)
    assert stat.S_IMODE((keys / "private.pem").stat().st_mode) == 0o600


def test_other_api_keys_than_those_that_were_given_are_refused_and_none_is_shown(
    tmp_path: Path,
) -> None:
    with simulated("--fix", 0, "--keys", tmp_path, "--key", "mine", lines=2) as lines:
        assert "mine" not in "".join(lines)
        given, command = named(lines[1])
        assert shown(command, **given, BINANCE_API_KEY="mine").returncode == 0
        assert shown(command, **given, BINANCE_API_KEY="another").returncode == 4


def test_the_key_stays_and_user_data_come(tmp_path: Path) -> None:
    keys = tmp_path / "keys"

    async def subscribed(url: str) -> object:
        async with ws_api.connect(
            url=url, api_key="any", private_key=keys / "private.pem"
        ) as connection:
            await connection.log_on()
            await connection.subscribe_user_data()
            async for message in connection:
                return message
        return None

    found = []
    for _ in range(2):
        with simulated("--ws-api", 0, "--keys", keys, lines=2) as (_, line):
            (url,) = re.findall(r"WebSocket API on (ws://127\.0\.0\.1:\d+);", line)
            message = asyncio.run(asyncio.wait_for(subscribed(url), 30))
            assert isinstance(message, spot_sbe.BalanceUpdateEvent)
        found.append((keys / "private.pem").read_bytes())
    assert found[0] == found[1]


def test_exchanges_of_one_directory_have_one_certificate_and_addresses_stand_in_brackets(
    tmp_path: Path,
) -> None:
    given = "--fix", 0, "--ws-api", 0, "--keys", tmp_path, "--host", "::1"
    with simulated(*given, lines=3) as first:
        trusted = (tmp_path / "certificate.pem").read_bytes()
        with simulated(*given, lines=3):
            assert (tmp_path / "certificate.pem").read_bytes() == trusted
            environment, command = named(first[1])
            assert shown(command, **environment).returncode == 0
        assert re.search(r"WebSocket API on ws://\[::1\]:\d+;", first[2])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["certificate.pem", "private.pem", "server.pem"]
    assert stat.S_IMODE((tmp_path / "server.pem").stat().st_mode) == 0o600
    with simulated("--fix", 0, "--keys", tmp_path, lines=2) as lines:  # another host: a new one
        environment, command = named(lines[1])
        assert shown(command, **environment).returncode == 0
        assert (tmp_path / "certificate.pem").read_bytes() != trusted


def test_a_key_that_is_encrypted_needs_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "private.pem").write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"open sesame"),
        )
    )
    code, said = refused("--fix", 0, "--keys", tmp_path)
    assert (code, "BINANCE_PRIVATE_KEY_PASSWORD" in said) == (2, True)
    monkeypatch.setattr(f"{__name__}.PASSWORD", {"BINANCE_PRIVATE_KEY_PASSWORD": "open sesame"})
    with simulated("--fix", 0, "--keys", tmp_path, lines=2) as (_, line):
        given, command = named(line)
        assert shown(command, **given).returncode == 0


def refused(*arguments: object) -> tuple[int, str]:
    done = subprocess.run(
        [*COMMAND, "simulate", "--port", "0", *map(str, arguments)],
        capture_output=True, text=True, env=environment(), timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


def test_what_can_not_be_is_said(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("a file")
    other = tmp_path / "other"
    other.mkdir()
    (other / "private.pem").write_text("no key")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, code, said in (
            (("--fix", 0), 2, "--fix and --ws-api need --keys DIR"),
            (("--keys", other), 2, "--keys: there is neither --fix nor --ws-api"),
            (("--fix", 70_000, "--keys", other), 2, "70000"),
            (("--fix", 0, "--keys", plain), 1, f"--keys {plain}: "),
            (("--ws-api", 0, "--keys", other), 2, "private.pem"),
            (("--ws-api", port, "--keys", tmp_path / "a"), 1, f"can't serve on 127.0.0.1:{port}"),
            (("--fix", port, "--keys", tmp_path / "b"), 1, f"can't serve on 127.0.0.1:{port}"),
            (("--fix", port, "--keys", tmp_path / "b"), 1, "--fix 0 takes a free port"),
        ):
            found = refused(*arguments)
            assert found[0] == code, found
            assert said in found[1]


@pytest.mark.parametrize("option", ["--fix", "--ws-api"])
def test_without_the_package_that_signs_the_extra_is_named(tmp_path: Path, option: str) -> None:
    program = (
        "import sys; sys.modules['cryptography'] = None; from binance_sbe.commands.cli import main;"
        f"sys.exit(main(['simulate', '--port', '0', {option!r}, '0', '--keys', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "keys"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "signing needs cryptography" in done.stderr
    assert "Traceback" not in done.stderr
