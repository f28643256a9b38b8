"""Each step of `binance-sbe doctor`: when it passes, when it fails, and what it says then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from test_doctor import examined

import binance_sbe
from binance_sbe.api import rest
from binance_sbe.commands import doctor
from binance_sbe.commands.doctor import Finding, Patient, Trouble, Unknown
from binance_sbe.errors import ConnectionRefused, FeedError, MissingKey, Unreachable, exit_code
from binance_sbe.simulator.rest import Rest

KEY = "a" * 64


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)


def local(port: int = 1, **given: Any) -> Patient:
    return Patient(url=f"ws://127.0.0.1:{port}", **given)


# the findings as a whole


def step(outcome: str | Exception) -> Callable[[Patient], Any]:
    async def work(patient: Patient) -> str:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return work


STEPS = ("build", "key", "proxy", "host", "tls", "clock", "schema", "stream")


def examined_with(monkeypatch: pytest.MonkeyPatch, **outcomes: Any) -> list[Finding]:
    for name in STEPS:
        monkeypatch.setattr(doctor, f"_{name}", step(outcomes.get(name, f"{name} is well")))

    async def work() -> list[Finding]:
        return [each async for each in doctor.examine(local())]

    return asyncio.run(work())


def test_every_step_is_a_finding_in_this_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found = examined_with(monkeypatch)
    assert [(each.step, each.text, each.code) for each in found] == [
        (name if name != "tls" else "TLS", f"{name} is well", None) for name in STEPS
    ]
    assert doctor.code_of(found) == 0


def test_what_follows_a_fatal_trouble_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    found = examined_with(
        monkeypatch,
        key=Trouble(2, "no key"),
        host=Unknown("who knows"),
        tls=Trouble(3, "no way", is_fatal=True),
    )
    assert [(each.step, each.text, each.code) for each in found[1:]] == [
        ("key", "no key", 2), ("proxy", "proxy is well", None), ("host", "who knows", 0),
        ("TLS", "no way", 3),
    ]  # fmt: skip
    assert doctor.code_of(found) == 2
    assert doctor.code_of([found[0], found[2]]) == 0


def test_a_step_that_the_demo_has_no_decoder_for_is_told_and_the_rest_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = ModuleNotFoundError("no", name="binance_sbe.spot_sbe")
    found = examined_with(monkeypatch, clock=lacking, schema=lacking)
    for each in found[-3:-1]:
        assert each.code == 0
        assert each.text.startswith("not tried: binance_sbe.spot_sbe is not compiled: 'make build'")
    assert found[-1] == Finding("stream", "stream is well")
    with pytest.raises(ModuleNotFoundError):
        examined_with(monkeypatch, clock=ModuleNotFoundError("no", name="numpy"))


@pytest.mark.parametrize(
    ("code", "line"),
    [(None, "ok    key     text"), (0, "?     key     text"), (5, "FAIL  key     text")],
)
def test_a_finding_is_a_line(code: int | None, line: str) -> None:
    assert doctor.line_of(Finding("key", "text", code)) == line


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MissingKey("x"), 2), (Unreachable("x"), 3), (ConnectionRefused("ws://h", 401, ""), 4),
        (FeedError("x"), 1), (binance_sbe.NotSbe(None, b""), 1),
    ],
)  # fmt: skip
def test_each_kind_of_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_a_patient_hides_its_key_and_knows_where_to_go() -> None:
    patient = local(9443, api_key="a key that is long")
    assert "a key that" not in repr(patient)
    assert patient.stream_url == "ws://127.0.0.1:9443"
    assert patient.rest_url == "http://127.0.0.1:9443"
    assert Patient("demo").stream_url == "wss://demo-stream-sbe.binance.com:9443"


# the key


@pytest.mark.parametrize(
    ("patient", "said"),
    [
        (Patient(api_key=KEY), None),
        (Patient(api_key=f" {KEY}\n"), None),
        (local(api_key="any"), None),
        (Patient(api_key="a" * 63), "the API key has 63 characters: keys have 64 letters and"),
        (Patient(api_key="a" * 65), "the API key has 65 characters"),
        (Patient(api_key="a" * 63 + "-"), "the API key has 64 characters"),
        (Patient(), "SBE market data needs an API key"),
        (local(), "SBE market data needs an API key"),
        (local(api_key="two words"), "has characters that no key has"),
    ],
)
def test_the_key(patient: Patient, said: str | None) -> None:
    if said is None:
        told = asyncio.run(doctor._key(patient))
        assert told == "there is one; its type shows only to the exchange, which takes Ed25519 only"
        return
    with pytest.raises(Trouble, match=said) as caught:
        asyncio.run(doctor._key(patient))
    assert (caught.value.code, caught.value.is_fatal) == (2, False)


# the clock


class Clocks:
    """Of this machine, and of an exchange that is ``ahead`` of it; a request takes ``seconds``.

    The first takes much longer, as it opens the connection.
    """

    def __init__(self, ahead: float, seconds: float) -> None:
        self.now = 1_800_000_000.0
        self.ahead = ahead
        self.seconds = seconds
        self.asked: list[Any] = []
        self.requests = 0

    def time(self) -> float:
        return self.now

    def client(self, **options: Any) -> Any:
        self.asked.append(options)
        return self

    async def __aenter__(self) -> Clocks:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def server_time(self) -> int:
        self.requests += 1
        way = self.seconds / 2 if self.requests > 1 else 20.0
        self.now += way
        theirs = int((self.now + self.ahead) * 1e6)
        self.now += way
        return theirs


@pytest.mark.parametrize(
    ("ahead", "seconds", "text", "is_off"),
    [
        (0.0, 0.2, "0 ms behind the exchange's, give or take 100 ms", False),
        (0.5, 0.2, "500 ms behind the exchange's, give or take 100 ms", False),
        (-0.5, 0.2, "500 ms ahead of the exchange's, give or take 100 ms", False),
        (1.0, 0.2, "1000 ms behind the exchange's, give or take 100 ms", False),
        (1.05, 0.2, "1050 ms behind the exchange's, give or take 100 ms", False),
        (-1.05, 0.2, "1050 ms ahead of the exchange's, give or take 100 ms", False),
        (1.15, 0.2, "1150 ms behind the exchange's, give or take 100 ms", True),
        (-1.15, 0.2, "1150 ms ahead of the exchange's, give or take 100 ms", True),
        (1.05, 0.002, "1050 ms behind the exchange's, give or take 1 ms", True),
        (3600.0, 0.02, "3600000 ms behind the exchange's, give or take 10 ms", True),
        (-3600.0, 0.02, "3600000 ms ahead of the exchange's, give or take 10 ms", True),
        (1.5, 1.2, "1500 ms behind the exchange's, give or take 600 ms", False),
    ],
)
def test_a_clock_that_is_slow_or_fast_does_not_pass(
    ahead: float, seconds: float, text: str, is_off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = Clocks(ahead, seconds)
    monkeypatch.setattr(rest, "Client", clocks.client)
    monkeypatch.setattr(doctor, "time", SimpleNamespace(time=clocks.time))
    if not is_off:
        assert asyncio.run(doctor._clock(local(7))) == text
    else:
        with pytest.raises(Trouble) as caught:
            asyncio.run(doctor._clock(local(7)))
        assert str(caught.value) == f"{text}: times of arrival will be wrong; is NTP running?"
        assert (caught.value.code, caught.value.is_fatal) == (5, False)
    assert clocks.asked == [{"url": "http://127.0.0.1:7", "timeout": 10.0, "proxy": True}]


@pytest.mark.parametrize(("seconds", "way"), [(7, "behind"), (-7, "ahead of")])
def test_a_clock_is_compared_with_that_of_the_exchange(
    seconds: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_answer = Rest.answer
    monkeypatch.setattr(
        Rest, "answer",
        lambda self, path, headers, now: true_answer(self, path, headers, now + seconds),
    )  # fmt: skip
    found = examined()
    assert found["clock"].code == doctor.CLOCK
    assert f" ms {way} the exchange's, give or take " in found["clock"].text
    assert found["stream"].code is None


def test_a_clock_that_can_not_be_compared_is_no_trouble() -> None:
    with pytest.raises(Unknown, match=r"^not compared: http://127\.0\.0\.1:1"):
        asyncio.run(doctor._clock(local()))


# the host


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    connected: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.01)  # what has just connected is known by then
        for writer in connected:
            writer.transport.abort()
        await asyncio.sleep(0)


def test_every_address_of_the_host_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that answers is enough, and the others are told."""

    async def work() -> str:
        loop = asyncio.get_running_loop()

        async def found(host: str, port: int, **_: Any) -> Any:
            places = ("127.0.0.1", "127.0.0.2", "127.0.0.1")
            return [(socket.AF_INET, 1, 6, "", (place, port)) for place in places]

        async with serving() as port:
            monkeypatch.setattr(loop, "getaddrinfo", found)
            return await doctor._host(Patient(url=f"ws://localhost:{port}"))

    text = asyncio.run(work())
    first, second = text.split(", ", 2)[0], text.split(": ", 1)[1]
    assert first == "localhost"
    one, _, other = second.partition(", ")
    assert one.startswith("127.0.0.1 answers in ")
    assert one.endswith(" ms")
    assert other.startswith("127.0.0.2 does not ([Errno ")


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("ws://h", "h", 80), ("wss://h", "h", 443), ("ws://h:5", "h", 5),
        ("wss://[::1]:5", "::1", 5),
    ],
)  # fmt: skip
def test_the_port_is_that_of_the_url_or_of_the_scheme(url: str, host: str, port: int) -> None:
    assert doctor._place_of(Patient(url=url)) == (host, port)


def trouble_of(work: Any) -> Trouble:
    with pytest.raises(Trouble) as caught:
        asyncio.run(work)
    return caught.value


def test_a_host_that_does_not_answer_is_no_route(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = trouble_of(doctor._host(local(closed_port())))
    assert (closed.code, closed.is_fatal) == (3, True)
    assert "nothing listens there: are host and port right?" in str(closed)
    nowhere = trouble_of(doctor._host(Patient(url="ws://no-such-host.invalid")))
    assert (nowhere.code, nowhere.is_fatal) == (3, True)
    assert "there is no such name" in str(nowhere)

    async def late(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(doctor, "_ADDRESS_SECONDS", 0.01)
    monkeypatch.setattr(asyncio, "open_connection", late)
    assert str(trouble_of(doctor._host(local(7)))) == (
        "ws://127.0.0.1:7: no answer within 0.01 s: is there a firewall between?"
    )
    monkeypatch.setattr(doctor, "_SECONDS", 0.01)
    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", late)
    assert str(trouble_of(doctor._host(local(7)))) == (
        "ws://127.0.0.1:7: no address of it within 0.01 s"
    )


# TLS


def test_tls_is_not_tried_without_need() -> None:
    assert asyncio.run(doctor._tls(local())) == "not used: ws://"


def test_a_good_certificate_passes_and_another_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def work() -> str:
        async with serving(context) as port:
            return await doctor._tls(Patient(url=f"wss://localhost:{port}"))

    refused = trouble_of(work())
    assert (refused.code, refused.is_fatal) == (3, True)
    assert "the certificate is not good: is the clock of this machine right" in str(refused)
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    assert asyncio.run(work()) == "TLSv1.3, and the certificate is good"


def test_a_server_without_tls_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> str:
        async with serving() as port:
            return await doctor._tls(Patient(url=f"wss://localhost:{port}"))

    monkeypatch.setattr(doctor, "_SECONDS", 0.1)
    late = trouble_of(silent())
    assert str(late).endswith(": no TLS handshake within 0.1 s: is it a server of TLS?")
    assert (late.code, late.is_fatal) == (3, True)


def test_the_build_names_versions() -> None:
    import platform

    import numpy as np

    assert asyncio.run(doctor._build(local())) == (
        f"binance-sbe {binance_sbe.__version__}, Python {platform.python_version()}, "
        f"numpy {np.__version__}"
    )
    assert os.environ.get("BINANCE_API_KEY") is None
