"""What is said of the commands, and what a shell completes."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from typing import Any

import pytest

from binance_sbe.commands.helping import EPILOG
from binance_sbe.commands.options import parsed

COMMANDS = [
    "demo", "watch", "book", "plot", "doctor", "record", "tape", "replay", "relay", "simulate",
    "fix", "convert", "inspect",
]  # fmt: skip


def test_every_example_can_be_typed_and_fits_a_terminal() -> None:
    examples = re.findall(r"^  binance-sbe (.*?)(?:  .*)?$", EPILOG, re.MULTILINE)
    assert len(examples) > 8
    for example in examples:
        parsed(shlex.split(example))
    assert {shlex.split(example)[0] for example in examples} == set(COMMANDS)
    assert max(map(len, EPILOG.splitlines())) < 80


def test_help_has_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.endswith(EPILOG)


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    return {
        shell: subprocess.run(
            [sys.executable, "-m", "binance_sbe", "--print-completion", shell],
            capture_output=True, text=True, check=True,
        ).stdout
        for shell in ("bash", "zsh")
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("", [*COMMANDS, "--help", "--version", "--print-completion"]),
        ("wat", ["watch"]),
        ("watch --w", ["--web"]),
        ("watch btcusdt --environment ", ["prod", "testnet", "demo"]),
        ("watch --environment t", ["testnet"]),
        ("watch --streams de", ["depth20", "depth"]),
        ("watch --lines ", ["1", "2", "3"]),
        ("watch --port ", []),
        ("plot btcusdt --f", ["--for"]),
        ("simulate --with", []),
        ("record btcusdt --kinds t", ["trade"]),
        ("record btcusdt --compression ", ["zstd", "lz4", "none"]),
        ("record btcusdt --on", ["--on-failure"]),
        ("tape ver", ["verify"]),
        ("re", ["record", "relay", "replay"]),
        ("relay --sp", ["--speed"]),
        ("tape c", ["cut", "cat"]),
        ("tape cut x --st", ["--start", "--streams"]),
        ("tape cat x --streams b", ["bestBidAsk"]),
        ("simulate --faults c", ["cut", "close", "cull"]),
        ("inspect --schema fix", ["fix_sbe"]),
        ("--print-completion z", ["zsh"]),
    ],
)
def test_a_shell_completes_what_is_typed(
    line: str, wanted: list[str], scripts: dict[str, str]
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    words = ["binance-sbe", *line.split(" ")]
    program = (
        f"{scripts['bash']}\nCOMP_WORDS=({' '.join(map(shlex.quote, words))})\n"
        f"COMP_CWORD={len(words) - 1}\n_binance_sbe\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run([bash, "-uc", program], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == sorted(wanted)
    assert done.stderr == ""


def test_zsh_is_told_to_understand_bash(scripts: dict[str, str]) -> None:
    assert scripts["zsh"] == f"autoload -U +X bashcompinit && bashcompinit\n{scripts['bash']}"


def test_another_shell_is_refused(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        parsed(["--print-completion", "bsh"])
    assert "did you mean 'bash'?" in capsys.readouterr().err
