"""What `binance-sbe --help` says below the commands, and what shells complete."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from sbe_codegen.printing import close_output

from ..output import say
from ..venue.streams import KINDS

SHELLS = ("bash", "zsh")
EPILOG = """\
without an API key:
  binance-sbe demo                         ten seconds of all of it
  binance-sbe watch --simulate btcusdt     until Ctrl-C; --web: in a browser
  binance-sbe book --simulate btcusdt      an order book, checked
  binance-sbe simulate --faults all        an exchange to try programs with

with one in BINANCE_API_KEY:
  binance-sbe doctor                       why nothing comes
  binance-sbe watch btcusdt ethusdt        prices, connections, what was lost
  binance-sbe watch btcusdt --json         one event a line, for other programs
  binance-sbe watch btcusdt --metrics-port 9100      counters for Prometheus
  binance-sbe plot btcusdt --for 30s --out btc.png   a picture to look at later

over FIX, with the private key's file in BINANCE_PRIVATE_KEY:
  binance-sbe fix watch --simulate btcusdt     the same market; needs no key
  binance-sbe fix doctor                   why no session comes up

what came is kept:
  binance-sbe record btcusdt --out tape --for 1h     all of it, as it comes
  binance-sbe tape info tape               what is on it, and what is missing
  binance-sbe tape verify tape             whether it is as it was written
  binance-sbe tape cut tape --out less --streams trade     a smaller one
  binance-sbe tape cat tape --count 10     frames, as JSON; --hex: as bytes
  binance-sbe replay tape --speed 10       as if it came now, ten times faster
  binance-sbe convert tape --out archive       Parquet, for other programs

for several programs at once:
  binance-sbe relay                        one feed, for all that subscribe
  binance-sbe relay --tape tape --speed 10     what is on a tape

frames of one's own:
  binance-sbe inspect frame.hex            byte by byte; - for stdin

exit codes: 0 done (Ctrl-C and SIGTERM included), 1 the feed or the exchange
failed (of record: or the disk; of tape: it is not whole, or the work was
interrupted), 2 wrong arguments or no key, 3 no route to the exchange, 4 the
exchange refuses the key or the address; of doctor: 5 the clock is off, 6 the
schema is outdated.
`binance-sbe COMMAND --help` has the options of each command.
"""


_OF_FEEDS = (
    "0 done (Ctrl-C and SIGTERM included), 1 the feed failed, 2 wrong arguments or no key, "
    "3 no route to the exchange, 4 the exchange refuses the key or the address"
)
_OF_TAPES = "0 done, 1 the tape can't be read, 2 wrong arguments"
# Of each command, how it is called, and how it ends.
OF_COMMANDS: Mapping[str, tuple[Sequence[str], str]] = {
    "demo": (("demo", "demo btcusdt --for 1m"), _OF_FEEDS),
    "watch": (
        ("watch --simulate btcusdt", "watch btcusdt ethusdt --kinds trade --json",
         "watch --simulate --web"),
        _OF_FEEDS,
    ),
    "book": (("book --simulate btcusdt", "book btcusdt --once --json"), _OF_FEEDS),
    "plot": (("plot btcusdt --simulate --for 10s --out btcusdt.png",), _OF_FEEDS),
    "doctor": (
        ("doctor --simulate", "doctor btcusdt --environment testnet"),
        f"{_OF_FEEDS}, 5 the clock is off, 6 the schema is outdated",
    ),
    "record": (
        ("record btcusdt --simulate --out tape --for 10s",
         "record btcusdt ethusdt --out tape --rotate 1h --rotate 2GB --books"),
        f"{_OF_FEEDS}; 1 also where the disk could not take all of it",
    ),
    "tape info": (("tape info tape", "tape info tape --json"), _OF_TAPES),
    "tape verify": (
        ("tape verify tape",),
        "0 the tape is whole, 1 it is not, or not all of it was read, 2 wrong arguments",
    ),
    "tape recover": (
        ("tape recover tape",), "0 done, 1 it can't be done, or was interrupted, 2 wrong arguments",
    ),
    "tape cut": (
        ("tape cut tape --out less --streams trade --start 2026-11-27T09:30",),
        "0 done, 1 nothing would be in it, it can't be written, or was interrupted, "
        "2 wrong arguments",
    ),
    "tape cat": (("tape cat tape --count 10", "tape cat tape --hex"), _OF_TAPES),
    "replay": (("replay tape --speed 10", "replay tape --speed max --json"), _OF_TAPES),
    "relay": (
        ("relay --simulate", "relay btcusdt --kinds trade,depth", "relay --tape tape --speed max"),
        f"{_OF_FEEDS}; 1 also where a tape can't be read",
    ),
    "simulate": (
        (
            "simulate", "simulate btcusdt --faults cut@2.5,damage --port 0",
            "simulate --fix 9002 --ws-api 9444 --keys keys",
        ),
        "0 done (Ctrl-C and SIGTERM included), 1 the port is taken, 2 wrong arguments",
    ),
    "fix watch": (("fix watch --simulate btcusdt", "fix watch btcusdt --json"), _OF_FEEDS),
    "fix doctor": (("fix doctor --simulate",), f"{_OF_FEEDS}, 5 the clock is off"),
    "convert": (
        ("convert tape --out archive", "convert tape --out files --format tardis --kinds trade"),
        "0 done, 1 some of it is not done (run again, it goes on there), 2 wrong arguments",
    ),
    "inspect": (("inspect frame.hex", "inspect - --schema spot_sbe"),
                "0 done, 1 it is no message, 2 wrong arguments"),
}  # fmt: skip


def epilog_of(command: str) -> str:
    """What the help of a command ends with."""
    examples, codes = OF_COMMANDS[command]
    lines = [f"  binance-sbe {each}" for each in examples]
    return "\n".join(["examples:", *lines, "", *wrap(f"exit codes: {codes}", 78)])


class PrintCompletion(argparse.Action):
    """Prints what a shell is to evaluate, and ends."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        say(*script(parser, str(values)))
        close_output()
        raise SystemExit(0)


def script(whole: argparse.ArgumentParser, shell: str) -> list[str]:
    """Lines for bash, which zsh understands as well once it is told to."""
    commands = _commands(whole)
    names = "|".join(commands)
    lines = ["autoload -U +X bashcompinit && bashcompinit"] if shell == "zsh" else []
    lines += [
        "_binance_sbe() {",
        '    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"',
        '    local command="" words="" i',
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        f'        case "${{COMP_WORDS[i]}}" in {names}) command="${{COMP_WORDS[i]}}"; break;; esac',
        "    done",
        '    case "$command $before" in',
    ]
    for name, command in {"": whole, **commands}.items():
        parsers = command, *(_actions(command).values() if name else ())
        values = dict(pair for each in parsers for pair in _values(each))
        for option, words in values.items():
            lines.append(f'        "{name} {option}") words="{words}";;')
    lines += ["        *)", '            case "$command" in']
    for name, command in commands.items():
        actions = _actions(command)
        options = (each for parser in (command, *actions.values()) for each in _options(parser))
        words = " ".join(dict.fromkeys([*actions, *options]))
        lines.append(f'                {name}) words="{words}";;')
    first = " ".join([*commands, *_options(whole)])
    lines += [
        f'                *) words="{first}";;',
        "            esac;;",
        "    esac",
        '    COMPREPLY=($(compgen -W "$words" -- "$word"))',
        "}",
        "complete -o default -F _binance_sbe binance-sbe",  # files where nothing else fits
    ]
    return lines


def _commands(whole: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    (found,) = (each for each in whole._actions if each.dest == "command")
    assert isinstance(found.choices, Mapping)
    return found.choices


def _actions(command: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Of a command that has some, such as `tape`."""
    found = (each.choices for each in command._actions if isinstance(each.choices, Mapping))
    return next(found, {})


def _options(command: argparse.ArgumentParser) -> list[str]:
    return [
        option
        for each in command._actions
        if each.help != argparse.SUPPRESS
        for option in each.option_strings
        if option.startswith("--")
    ]


def _values(command: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Each option that takes something, and the words that it takes; none where it is anything."""
    from ..simulator.faults import KINDS as FAULTS

    lists: Mapping[str, Sequence[str]] = {
        "streams": [*KINDS],
        "kinds": [*KINDS],
        "faults": ["all", *FAULTS],
    }
    for each in command._actions:
        if each.nargs == 0 or each.help == argparse.SUPPRESS:
            continue
        words = lists.get(each.dest, each.choices or ())
        for option in each.option_strings:
            yield option, " ".join(map(str, words))
