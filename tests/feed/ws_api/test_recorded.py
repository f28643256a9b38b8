"""User data on tapes: what came is there, what is secret is not, and nobody serves it to others."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from served import KEY, run

import binance_sbe
from binance_sbe import lake, sync, ws_api
from binance_sbe.commands.cli import main
from binance_sbe.errors import LakeError, RecordingError, TapeError, Unreachable
from binance_sbe.feed import successive
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.ws_api import WsApi
from binance_sbe.tape import Kind, Recording, Tape

pytest.importorskip("pyarrow")
pytest.importorskip("xxhash")


def recording(path: Path, **options: Any) -> Recording:
    return Recording(path, min_free=0, durability="os", batch_seconds=0.01, **options)


def few_events(path: Path) -> list[bytes]:
    """A tape of some events, which also are returned."""
    found: list[bytes] = []

    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options, record=recording(path)) as api:
            await api.subscribe_user_data()
            for count in range(5):
                await server.emit("BTC", count)
                found.append(bytes(await anext(aiter(api))))

    run(work)
    return found


def test_events_and_gaps_are_kept_and_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(successive, "FIRST_PAUSE", 0.05)
    path, seen, gaps, signatures = tmp_path / "account", [], [], []

    async def work(server: WsApi, options: dict[str, Any]) -> None:
        async with ws_api.connect(**options, record=path) as api:
            await api.log_on()
            await api.subscribe_user_data()
            await api.depth("btcusdt", 5)
            for count in range(4):
                await server.emit("BTC", count)
                seen.append(bytes(await anext(aiter(api))))
                if count == 1:
                    await server.inflict("damage")
                    await server.inflict("cut")
                    while not api.gaps:
                        await asyncio.sleep(0.01)
            gaps.extend(api.gaps)
        signatures.extend(
            params["signature"] for _, params in server.asked if "signature" in params
        )
        assert "closed" in repr(api.recorder)

    run(work)
    with Tape(path) as tape:
        assert tape.is_private
        assert tape.verify().is_whole
        assert [bytes(event) for event in tape.messages()] == seen
        assert [(e.asset, e.free_qty_delta) for e in tape.messages()] == [
            ("BTC", count) for count in range(4)
        ]
        assert tape.streams == []
        assert [schema["id"] for schema in tape.schemas] == [3]
        connections = tape.ledger.connections
        assert len(connections) == 2
        assert all(each.closed_ns is not None for each in connections)
        damaged, gap = tape.ledger.breaks
        assert (damaged.frames, "no message" in damaged.cause) == (1, True)
        assert (gap.started_ns, gap.ended_ns, gap.cause, gap.frames) == (
            gaps[0].started_ns, gaps[0].ended_ns, gaps[0].cause, None,
        )  # fmt: skip
        kept = b"".join(b"".join(batch["frame"].to_pylist()) for batch in tape.frames())
        told = json.dumps([reader.metadata for reader in tape._readers])
    for secret in (KEY, *signatures):
        assert secret.encode() not in kept
        assert secret not in told
    assert len(signatures) >= 2
    for file in path.glob("*.arrow"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_private_tapes_are_for_their_owner_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "account"
    seen = few_events(path)
    with Tape(path) as tape, pytest.raises(TapeError, match="private data"):
        next(tape.batches())
    for play in (binance_sbe.replay, sync.replay):
        with pytest.raises(TapeError, match="private data"):
            play(path)
    with pytest.raises(LakeError, match="another product"):
        lake.convert(path, tmp_path / "archive")
    for command in (["replay", str(path)], ["relay", "--tape", str(path)]):
        assert main(command) == 1
        assert "private data" in capsys.readouterr().err
    assert main(["tape", "cat", str(path)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"]["e"] for line in lines] == ["balanceUpdate"] * len(seen)
    assert main(["tape", "info", str(path)]) == 0
    assert "private data: the events of an account" in capsys.readouterr().out
    assert main(["tape", "info", "--json", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["is_private"] is True
    assert main(["tape", "verify", str(path)]) == 0


def test_what_is_mended_or_cut_stays_private(tmp_path: Path) -> None:
    path, part = tmp_path / "account", tmp_path / "part"
    seen = few_events(path)
    (file,) = path.glob("*.arrow")
    with file.open("r+b") as open_file:
        open_file.truncate(file.stat().st_size - 40)  # its footer
    Tape.recover(path)
    assert main(["tape", "cut", str(path), "--out", str(part)]) == 0
    for each in (path, part):
        with Tape(each) as tape:
            assert tape.is_private
            assert [bytes(event) for event in tape.messages()] == seen
        (file,) = each.glob("*.arrow")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_account_beside_the_market(tmp_path: Path) -> None:
    seen = few_events(tmp_path / "account")

    async def market() -> None:
        async with Exchange(["btcusdt"], rate=300) as exchange:
            options: dict[str, Any] = {
                "url": exchange.url,
                "api_key": "k",
                "record": tmp_path / "market",
            }
            async with binance_sbe.connect("btcusdt@trade", **options) as feed:
                async for _ in feed:
                    break

    asyncio.run(market())
    with Tape(tmp_path / "market") as tape:
        assert not tape.is_private
        public = [bytes(message) for message in tape.messages()]
    with Tape([tmp_path / "market", tmp_path / "account"]) as tape:
        assert tape.is_private
        assert sorted(map(bytes, tape.messages())) == sorted(seen + public)


def test_a_tape_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")

    async def work(server: WsApi, options: dict[str, Any]) -> None:
        with pytest.raises(RecordingError, match="file"):
            async with ws_api.connect(**options, record=tmp_path / "file"):
                pass
        with pytest.raises(TypeError, match="record is a directory"):
            ws_api.connect(**options, record=7)  # type: ignore[arg-type]
        with pytest.raises(Unreachable):
            async with ws_api.connect(url="ws://127.0.0.1:1", record=recording(tmp_path / "none")):
                pass
        api = ws_api.connect(**options, record=recording(tmp_path / "gone", on_failure="raise"))
        async with api:
            await api.subscribe_user_data()
            shutil.rmtree(tmp_path / "gone")
            (tmp_path / "gone").write_text("in its place")

            async def until_it_fails() -> None:
                while True:
                    await server.emit("BTC", 1)
                    await anext(aiter(api))
                    await asyncio.sleep(0.05)

            with pytest.raises(RecordingError, match="gone"):
                await until_it_fails()

    run(work)
    with Tape(tmp_path / "none") as tape:
        assert [k for batch in tape.frames() for k in batch["kind"].to_pylist()] == [
            Kind.SUBSCRIPTION
        ]
