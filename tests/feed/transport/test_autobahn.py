"""The cases of Autobahn's test suite, as kosoku serves them; Autobahn's own server wants Python 2.

`echo_client` is what they are tried with, and may be started against Autobahn's server by hand.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from echo_client import AGENT, run

from binance_sbe.feed.transport import conversation

pytest.importorskip("kosoku", reason="a package of Autobahn's cases")

# It changes sys.path, so it has a process of its own.
SERVER = "from kosoku._cli import main; main()"

# What is not simply OK: the verdict, and why that is right.
VERDICTS = {
    "6.4.1": "NON-STRICT",  # text that is not UTF-8 is refused when all of it has come
    "6.4.2": "NON-STRICT",
    "6.4.3": "NON-STRICT",
    "6.4.4": "NON-STRICT",
    "7.1.6": "INFORMATIONAL",  # whether what comes before a close is sent back
    "7.13.1": "INFORMATIONAL",  # codes that nobody has, 5000 and 65535: 1002
    "7.13.2": "INFORMATIONAL",
    "12.1.1": "UNIMPLEMENTED",  # compression is not offered
    "13.1.1": "UNIMPLEMENTED",
}
# 65,536 and 16,384 fragments at once: more than 10,000 in a second are refused with 1008.
FLOODS = ("9.3.1", "9.3.2", "9.4.1", "9.4.2")


@contextmanager
def serving(cases: list[str], reports: Path) -> Iterator[str]:
    """The URL of a server of these cases, which has written its reports in the end."""
    chosen = [each for case in cases for each in ("-i", case)]
    chosen += [each for case in FLOODS for each in ("-x", case)]
    command = [sys.executable, "-c", SERVER, "-m", "fuzzingserver", "-o", str(reports), *chosen]
    with subprocess.Popen([*command, "127.0.0.1:0"], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        found = re.search(r"ws://\S+:\d+", server.stderr.readline())
        try:
            assert found is not None
            yield found[0]
            server.wait(20)
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("cases", "least"),
    [(["1.*", "2.*", "3.*", "4.*", "5.*", "7.*", "10.*"], 100), (["6.*"], 140),
     (["9.*", "12.1.1", "13.1.1"], 50)],
    ids=["frames", "text", "limits"],
)  # fmt: skip
def test_the_cases_of_autobahn_are_passed(
    cases: list[str], least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A feed sends little; an echo of 16 MiB waits for whoever reads it.
    monkeypatch.setattr(conversation, "_MOST_UNSENT", 64 << 20)
    with serving(cases, tmp_path) as url:
        count = asyncio.run(asyncio.wait_for(run(url), 100))
    results = json.loads((tmp_path / "index.json").read_text())[AGENT]
    assert len(results) == count >= least
    told = {name: (each["behavior"], each["behaviorClose"]) for name, each in results.items()}
    wrong = {
        name: (verdict, close)
        for name, (verdict, close) in told.items()
        if verdict != VERDICTS.get(name, "OK") or close not in ("OK", VERDICTS.get(name))
    }
    assert wrong == {}
