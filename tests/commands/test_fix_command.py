"""`binance-sbe fix`: as a program runs it, with a local exchange and against none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: text for name, text in os.environ.items() if not name.startswith("BINANCE")}
    return subprocess.run(
        [sys.executable, "-m", "binance_sbe", "fix", *arguments],
        capture_output=True, text=True, timeout=60, check=False, env=plain | environment,
    )  # fmt: skip


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = tmp_path / "key.pem"
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(path)


def test_a_market_is_watched_as_lines_and_as_json() -> None:
    done = run("watch", "btcusdt", "ethusdt", "--simulate", "--seconds", "2.5")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("BTCUSDT: bid 9")
    assert lines[1].startswith("ETHUSDT: bid 3")
    assert lines[-1].endswith("sessions: 1, holes: 0, came twice: 0")
    done = run("watch", "btcusdt", "--simulate", "--seconds", "1", "--json", "--kinds", "trade")
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {each["message"] for each in found} == {"MarketDataIncrementalTrade"}
    assert found[0]["md_entries"][0].keys() == {
        "trade_id", "md_entry_px", "md_entry_size", "aggressor_side",
    }  # fmt: skip


def test_the_doctor_takes_the_steps_one_by_one(key: str) -> None:
    done = run("doctor", "--simulate")
    assert done.returncode == 0, done.stderr
    steps = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert steps == ["key", "host", "logon", "stream"]
    done = run(
        "doctor", "--private-key", key, "--url", "tcp+tls://127.0.0.1:1", BINANCE_API_KEY="x"
    )
    assert done.returncode == 3
    assert done.stdout == "key: an Ed25519 private key\n"
    assert done.stderr.startswith("binance-sbe: host: tcp+tls://127.0.0.1:1: ")


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["doctor"], {}, "BINANCE_PRIVATE_KEY"),
        (["doctor"], {"BINANCE_PRIVATE_KEY": "/nope"}, "/nope: the private key can't be read"),
        (["watch", "--private-key", "KEY"], {}, "BINANCE_API_KEY"),
        (["watch", "--url", "wss://h:1"], {}, "tcp+tls:// or tcp:// with a host"),
        (["watch", "--kinds", "trades"], {}, "did you mean 'trade'?"),
        (["watch", "b c"], {}, "'b c' is not a symbol"),
        (["watch", "--seconds", "0"], {}, "not a duration"),
        (["watch", "--simulate", "--url", "tcp://h:1"], {}, "not allowed with"),
        (["watch", "--simulate", "--private-key", "KEY"], {}, "--private-key is for the exchange"),
        ([], {}, "required: ACTION"),
        (["look"], {}, "invalid command: 'look'"),
    ],
)
def test_bad_input_is_told_in_a_sentence(
    arguments: list[str], environment: dict[str, str], said: str, key: str
) -> None:
    done = run(*(key if each == "KEY" else each for each in arguments), **environment)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
