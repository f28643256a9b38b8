"""`binance-sbe doctor`, `examine`, and what errors of the way to the exchange say."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import binance_sbe
from binance_sbe.commands import doctor, options
from binance_sbe.errors import ConnectionRefused, MissingKey, Unreachable
from binance_sbe.feed.transport.opening import unreachable
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.rest import Rest
from binance_sbe.venue import environments

COMMAND = [sys.executable, "-m", "binance_sbe", "doctor"]
LIFECYCLE = """{"environment": "PROD",
 "latestSchema": {"id": 4, "version": 0, "releaseDate": "2027-01-05"},
 "deprecatedSchemas": [{"id": 3, "version": 5, "releaseDate": "2026-07-07",
                        "deprecatedDate": "2027-01-05"}],
 "retiredSchemas": []}"""


def findings_of(patient: doctor.Patient) -> dict[str, doctor.Finding]:
    async def work() -> dict[str, doctor.Finding]:
        return {each.step: each async for each in doctor.examine(patient)}

    return asyncio.run(work())


def examined(exchange_options: dict[str, Any] | None = None, **given: Any) -> dict[str, Any]:
    """The findings about a local exchange."""

    async def work() -> dict[str, doctor.Finding]:
        async with Exchange(["btcusdt"], **(exchange_options or {})) as exchange:
            patient = doctor.Patient(url=exchange.url, **{"api_key": "good", **given})
            return {each.step: each async for each in doctor.examine(patient)}

    return asyncio.run(work())


@pytest.fixture(scope="module")
def exchange() -> Iterator[str]:
    command = [sys.executable, "-m", "binance_sbe", "simulate", "btcusdt", "--port", "0"]
    with subprocess.Popen([*command, "--key", "good"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
        server.terminate()


def run(*arguments: str, key: str | None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "BINANCE_API_KEY"}
    if key is not None:
        environment["BINANCE_API_KEY"] = key
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=environment, timeout=60,
        check=False,
    )  # fmt: skip


def test_all_is_well_with_a_local_exchange(exchange: str) -> None:
    done = run("--url", exchange, key="good")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line[:4] for line in lines] == ["ok  "] * 8
    assert [line.split()[1] for line in lines] == [
        "build", "key", "proxy", "host", "TLS", "clock", "schema", "stream",
    ]  # fmt: skip
    assert "the first event after" in lines[-1]
    assert "good" not in done.stdout.replace("is good", "")


def test_the_exit_code_is_that_of_the_first_trouble(exchange: str) -> None:
    refused = run("--url", exchange, key="secret-key")
    assert refused.returncode == 4
    assert "not know this key here, or it is not of type Ed25519, or this address" in refused.stdout
    assert "secret-key" not in refused.stdout + refused.stderr
    without = run("--url", exchange, key=None)
    assert without.returncode == 2
    assert "FAIL  key     SBE market data needs an API key" in without.stdout
    assert "?     stream  not tried, without a key" in without.stdout
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    closed = run("--url", f"ws://127.0.0.1:{port}", key="k")
    assert closed.returncode == 3
    assert "nothing listens there: are host and port right?" in closed.stdout
    assert "stream" not in closed.stdout
    no_tls = run("--url", exchange.replace("ws:", "wss:"), key="k")
    assert no_tls.returncode == 3
    assert "FAIL  TLS" in no_tls.stdout
    nowhere = run("--url", "wss://no-such-host.invalid", key="k")
    assert nowhere.returncode == 3
    assert "there is no such name: is the host right, and does this machine have DNS?" in (
        nowhere.stdout
    )


def test_a_clock_that_is_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    true_answer = Rest.answer
    monkeypatch.setattr(
        Rest, "answer", lambda self, path, headers, now: true_answer(self, path, headers, now - 7)
    )
    clock = examined()["clock"]
    assert clock.code == doctor.CLOCK
    assert re.match(r"(69|70)\d\d ms ahead of the exchange's, give or take", clock.text)
    assert "NTP" in clock.text


def test_a_schema_that_is_not_current_is_found(tmp_path: Path) -> None:
    file = tmp_path / "lifecycle.json"
    file.write_text(LIFECYCLE)
    schema = examined(lifecycle=str(file))["schema"]
    assert schema.code == doctor.OUTDATED
    assert schema.text == (
        "REST 3:5 is deprecated since 2027-01-05: 4:0 is current; update binance-sbe"
    )
    current = {"id": 3, "version": 5, "releaseDate": "2026-07-07"}
    file.write_text(json.dumps({"environment": "PROD", "latestSchema": current}))
    assert examined(lifecycle=str(file))["schema"].code is None


@pytest.mark.parametrize(
    ("lifecycle", "said"),
    [
        ("/no/such/file", "No such file"),
        ("http://127.0.0.1:1/x.json", "127.0.0.1:1"),
    ],
)
def test_a_lifecycle_that_can_not_be_read_is_no_trouble(lifecycle: str, said: str) -> None:
    found = examined(lifecycle=lifecycle)
    assert found["schema"].code == 0
    assert "which is current is not known" in found["schema"].text
    assert said in found["schema"].text
    assert doctor.code_of(list(found.values())) == 0


def test_a_lifecycle_may_be_a_url_that_has_none() -> None:
    async def work() -> None:
        async with Exchange(["btcusdt"]) as exchange:
            where = exchange.url.replace("ws:", "http:") + "/lifecycle.json"
            patient = doctor.Patient(url=exchange.url, api_key="k", lifecycle=where)
            found = {each.step: each async for each in doctor.examine(patient)}
            assert "HTTP 401" in found["schema"].text

    asyncio.run(work())


def test_a_stream_that_says_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_SECONDS", 0.5)
    stream = examined({"rate": 1e-9})["stream"]
    assert stream.code == doctor.GENERAL
    assert stream.text.startswith("btcusdt@bestBidAsk: acknowledged, but nothing came")


def test_a_key_of_the_wrong_form_is_found() -> None:
    patient = doctor.Patient(api_key="x" * 20)
    found = {}

    async def work() -> None:
        async for finding in doctor.examine(patient):
            found[finding.step] = finding
            if finding.step == "key":
                break

    asyncio.run(work())
    assert found["key"].code == doctor.ARGUMENTS
    assert "20 characters: keys have 64" in found["key"].text


@pytest.mark.parametrize("word", ["PRIVATE", "PUBLIC"])
def test_a_key_file_is_not_a_key(word: str) -> None:
    text = f"-----BEGIN {word} KEY-----\nMC4CAQAwBQYDK2VwBCIEIN\n-----END {word} KEY-----"

    async def work() -> None:
        async with binance_sbe.connect("btcusdt@trade", api_key=text):
            pass

    with pytest.raises(MissingKey, match="this is a key file: what is asked for is") as caught:
        asyncio.run(work())
    assert "MC4CAQ" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, "", "The exchange does not know this key here, or it is not of type Ed25519"),
        (400, '{"code":-2014,"msg":"API-key format invalid."}', "is it complete?"),
        (400, '{"code":-2015,"msg":"x"}', "this address is not on the list"),
        (403, "<html>", "A firewall of the exchange's"),
        (404, "", "There are no SBE streams at this host"),
        (418, "", "try again in a few minutes"),
        (429, "", "try again in a few minutes"),
        (451, "", "does not serve the place"),
    ],
)
def test_what_a_refusal_means_is_said(status: int, body: str, said: str) -> None:
    assert said in str(ConnectionRefused("wss://h", status, body))
    assert str(ConnectionRefused("wss://h", 429, "", 30.0)).endswith("try again in 30 s.")
    assert str(ConnectionRefused("wss://h", 500, "")).endswith("with HTTP 500")


def test_what_is_unreachable_says_why() -> None:
    import errno
    import ssl

    for error, said in (
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "is this machine on the network?"),
        (ConnectionResetError(), "the other side hung up"),
        (ssl.SSLCertVerificationError("certificate has expired"), "is the clock of this machine"),
        (ssl.SSLError("WRONG_VERSION_NUMBER"), "is it ws:// rather than wss://?"),
        (OSError(), "the other side hung up"),
        (OSError(1, "odd"), "[Errno 1] odd"),
    ):
        assert said in str(unreachable("wss://h", error))


def test_each_environment_has_streams_and_rest() -> None:
    assert set(environments.STREAMS) == set(environments.REST)
    assert doctor.Patient("testnet").stream_url.startswith("wss://stream-sbe.testnet.")
    assert doctor.Patient("demo").rest_url == "https://demo-api.binance.com"


def test_a_host_where_nothing_listens_is_explained() -> None:
    async def work() -> None:
        async with binance_sbe.connect("btcusdt@trade", url="ws://127.0.0.1:1", api_key="k"):
            pass

    with pytest.raises(Unreachable, match="nothing listens there"):
        asyncio.run(work())


def test_doctor_examines_a_local_exchange_and_every_symbol() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "binance_sbe", "doctor", "btcusdt", "ethusdt", "--simulate"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"stream .* BTCUSDT bid .*; after \d+ ms: ETHUSDT bid ", done.stdout) or (
        re.search(r"stream .* ETHUSDT bid .*; after \d+ ms: BTCUSDT bid ", done.stdout)
    )
    assert options.parsed(["doctor", "--symbol", "ethusdt"]).symbol == ["ethusdt"]  # as it was
