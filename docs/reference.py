"""Writes the reference: a page for each public module, from signatures, stubs and docstrings.

    .venv/bin/python docs/reference.py      # writes docs/reference/*.md

The pages are not in git: `make docs` makes them.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import re
import runpy
import textwrap
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "reference"

# Each page but that of generated modules, and what it begins with.
MODULES = {
    "binance_sbe": "Decoders of the streams, the feed, order books and the errors. Each decoder "
    "module is loaded when it is first used.",
    "binance_sbe.sync": "Feeds and order books without asyncio, in the thread that uses them. See "
    "[Threads and sync feeds](../howto/threads.md).",
    "binance_sbe.rest": "Answers of the REST API, and a client for market data. See [Use the REST "
    "and WebSocket APIs](../howto/api.md).",
    "binance_sbe.websocket_api": "Replies and events of the WebSocket API. See [Use the REST and "
    "WebSocket APIs](../howto/api.md#replies-of-the-websocket-api).",
    "binance_sbe.ws_api": "A client for the WebSocket API. See [Use the REST and WebSocket APIs]"
    "(../howto/api.md#a-client-for-the-websocket-api).",
    "binance_sbe.fix": "Sessions of the FIX API, and messages out of its byte stream. See [Use the "
    "FIX API](../howto/fix.md).",
    "binance_sbe.books.fix": "Order books over the FIX API. See [Use the FIX API]"
    "(../howto/fix.md).",
    "binance_sbe.metrics": "The counters of a feed for Prometheus. See [Metrics]"
    "(../formats/metrics.md).",
    "binance_sbe.tape": "Recordings of feeds. See [Record and read tapes](../howto/tape.md).",
    "binance_sbe.lake": "Recordings become tables, and files of other tools. See [From tape to "
    "table](../howto/archive.md).",
    "binance_sbe.lifecycle": "When versions of schemas were released, deprecated and retired. See "
    "[Versions of schemas](../concepts/versions.md).",
    "binance_sbe.simulator": "A local exchange for tests and demos, which needs no account.",
    "sbe_codegen": "The compiler of schemas. See [Compile a schema of your own]"
    "(../howto/own_schema.md).",
    "sbe_codegen.runtime.framing": "Messages out of byte streams, packets and captures. See "
    "[Cut messages out of packets and streams](../howto/framing.md).",
}
GENERATED = "binance_sbe.spot_stream"  # the example of a module that the compiler makes
EXAMPLE = "BestBidAskStreamEvent"  # and of a message in it
TOPICS = {  # what users of a page get without importing it: shown under the module, by its home
    "binance_sbe": [
        "sbe_codegen.runtime.tables.columns.Columns",
        "sbe_codegen.runtime.tables.results.DataTable",
        "binance_sbe.books.live.Books",
        "binance_sbe.books.keeper.LiveBook",
        "binance_sbe.books.keeper.Audit",
        "binance_sbe.books.level_arrays.Level",
        "binance_sbe.books.level_arrays.Levels",
        "binance_sbe.books.book.Comparison",
        "binance_sbe.books.order_book.FloatLevel",
        "binance_sbe.feed.ledger.Ledger",
        "binance_sbe.feed.ledger.Hole",
        "binance_sbe.feed.intake.streams.Stream",
        "binance_sbe.feed.intake.streams.Source",
        "binance_sbe.feed.ledger.Damaged",
        "binance_sbe.feed.ledger.ConnectionRecord",
        "binance_sbe.feed.backfill.FilledTrades",
        "binance_sbe.feed.intake.stats.Stats",
        "binance_sbe.feed.intake.stats.Histogram",
        "binance_sbe.feed.intake.handlers.FrameHandler",
    ],
    "binance_sbe.sync": [
        "binance_sbe.books.blocking.Books",
        "binance_sbe.feed.fix.blocking.BlockingConnection",
    ],
    "binance_sbe.tape": [
        "binance_sbe.tape.account.TapeLedger",
        "binance_sbe.tape.account.Session",
        "binance_sbe.tape.account.Break",
        "binance_sbe.tape.account.TapeConnection",
        "binance_sbe.tape.account.StreamAccount",
        "binance_sbe.tape.damage.Damage",
    ],
    "sbe_codegen": ["sbe_codegen.runtime.dispatch.DispatchedBatch"],
}
# What other modules of the package call, and users have no need of.
INSIDE = re.compile(
    r"(Tape)?Ledger\.(note_\w+|follow|is_growing|holes_since)|(OrderBook|LiveBook)\.(adopt|content|heal|options|restore)"
    r"|Recorder\.(asked|begin|detach|ended|entered|filled|forgotten|hole|opened|released|snapshot|text)"
    r"|Source\.(note_\w+)|Stream\.(note_\w+)|Columns\.of|SchemaError\.of|Histogram\.add"
)
CONSTANTS = {  # values have no docstrings of their own
    "__version__": "The version of the package.",
    "HEADERS": "The HTTP headers that ask the REST API for SBE in the version of the schema here.",
    "SOFH_LENGTH": "The length of the framing header, in bytes.",
    "FIX": "The id of the schema of the FIX API.",
    "SPOT": "The id of the schema of the REST and WebSocket APIs.",
    "PACKAGE": "The name of the package in the schema.",
    "SCHEMA_ID": "The id of the schema, which every message carries.",
    "SCHEMA_VERSION": "The version of the schema that the module was made of.",
    "BYTE_ORDER": "The byte order of the schema.",
    "HEADER_SIZE": "The length of the message header, in bytes.",
    "MESSAGES": "The message class of each template id.",
}


MEMBERS = {  # nor have these members of classes
    "TEMPLATE_ID": "The template id: which kind of message this is.",
    "BLOCK_LENGTH": "The length of the root block in this version, in bytes.",
    "FACTS": "What the schema says of the message beyond its fields.",
    "DTYPE": "The layout of the root block: a packed numpy dtype with the offsets of the wire.",
    "args": "",
}
# Nor have most attributes: a text, or a type and a text of those that only objects have.
ATTRIBUTES: dict[str, dict[str, str | tuple[str, str]]] = runpy.run_path(
    str(Path(__file__).with_name("attributes.py"))
)["ATTRIBUTES"]
MADE_BY_YOU = {  # of other classes you get objects, and do not make them
    "Client", "Collector", "Exchange", "FeedCollector", "FrameHandler", "Market", "OrderBook",
    "Splitter", "Reply",
}  # fmt: skip


def public(name: str) -> list[str]:
    """The public names of a module."""
    module = importlib.import_module(name)
    found = getattr(module, "__all__", None)
    if found is None:
        found = [each for each in dir(module) if not each.startswith("_")]
        found = [each for each in found if not isinstance(getattr(module, each), ModuleType)]
    return sorted(found, key=lambda each: (each == "__version__", each.lower()))


@cache
def stub(module: str) -> ast.Module | None:
    """The stub of a compiled module."""
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        return None
    name = Path(found.origin).name.partition(".")[0]
    path = Path(found.origin).with_name(f"{name}.pyi")
    return ast.parse(path.read_text(encoding="utf-8")) if path.exists() else None


def stubbed(module: str, *names: str) -> ast.AST | None:
    """What a stub has under a name, or under a name in a class."""
    node: Any = stub(module)
    for name in names:
        body = getattr(node, "body", ())
        node = next((each for each in body if getattr(each, "name", None) == name), None)
    return node


def shown_arguments(text: str) -> str:
    """Arguments and what is returned, one a line where they do not fit."""
    text = re.sub(r"(?<![\w.])(?:typing|collections\.abc|numpy|np|datetime|tls)\.(?=\w)", "", text)
    tree = ast.parse(f"def f{text}: ...").body[0]
    assert isinstance(tree, ast.FunctionDef)
    given = tree.args
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + [*given.defaults]
    parts = [argument(*each) for each in zip(plain, defaults, strict=True)]
    if given.vararg is not None:
        parts.append("*" + argument(given.vararg, None))
    elif given.kwonlyargs:
        parts.append("*")
    parts += [argument(*each) for each in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    if given.kwarg is not None:
        parts.append("**" + argument(given.kwarg, None))
    if parts and parts[0] in ("self", "cls"):
        del parts[0]
    returns = f" -> {ast.unparse(tree.returns)}" if tree.returns else ""
    if len(returns) > 80:
        returns = " -> (\n    " + returns[4:].replace(" | ", "\n    | ") + "\n)"
    line = f"({', '.join(parts)}){returns}"
    if len(line) <= 80:
        return line
    return "(\n" + "".join(f"    {part},\n" for part in parts) + f"){returns}"


def argument(found: ast.arg, default: ast.expr | None) -> str:
    name = found.arg + (f": {ast.unparse(found.annotation)}" if found.annotation else "")
    if default is None:
        return name
    equals = " = " if found.annotation else "="
    value = ast.unparse(default)
    return name + equals + (value if len(value) < 40 else "...")


def unquoted(signature: inspect.Signature) -> str:
    """A signature whose annotations are texts, as they were written."""
    text = str(signature)
    for parameter in signature.parameters.values():
        if isinstance(parameter.annotation, str):
            text = text.replace(f": {parameter.annotation!r}", f": {parameter.annotation}")
    if isinstance(signature.return_annotation, str):
        text = text.replace(
            f"-> {signature.return_annotation!r}", f"-> {signature.return_annotation}"
        )
    return re.sub(r"= ?<[^>]*>", "= ...", text)


def arguments(module: str, owner: type | None, name: str, found: Any) -> str:
    """The signature of a function, from its stub where it is compiled."""
    for place in [module, getattr(found, "__module__", None) or ""]:
        holders = [owner.__name__] if owner is not None else []
        node = stubbed(place, *holders, name) if place else None
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            return shown_arguments(f"({ast.unparse(node.args)}){returns}")
    try:
        return shown_arguments(unquoted(inspect.signature(found)))
    except (TypeError, ValueError):
        return "(...)"


def prose(text: str) -> str:
    """A docstring as Markdown."""
    lines = textwrap.dedent(text).strip().splitlines()
    out: list[str] = []
    fenced = False
    for line in lines:
        is_code = line.startswith("    ") and (fenced or not out or not out[-1].strip())
        if is_code and not fenced:
            out.append("```text")
            fenced = True
        elif fenced and line.strip() and not is_code:
            while out and not out[-1].strip():
                out.pop()
            out += ["```", ""]
            fenced = False
        if line.strip() == "::":
            continue
        line = line[4:] if fenced else re.sub(r"``([^`]+)``", r"`\1`", line)
        out.append(re.sub(r"::$", ":", line) if not fenced else line)
    if fenced:
        out.append("```")
    return "\n".join(out)


def doc_of(found: Any, name: str) -> str:
    """The docstring of an object, without what Cython and dataclasses put there."""
    if name in CONSTANTS:
        return CONSTANTS[name]
    if name in MEMBERS:
        return MEMBERS[name]
    if name.endswith("_DTYPE"):
        return f"The same of the entries of {name.removesuffix('_DTYPE').lower()}."
    if isinstance(found, str | int | float | tuple | dict) and not isinstance(found, type):
        return ""
    text = inspect.getdoc(found) or ""
    first, _, rest = text.partition("\n")
    if re.match(r"^[\w.]+\(.*\)( -> .+)?$", first):
        text = rest.strip()
    if isinstance(found, type) and found.__doc__ and re.match(rf"^{name}\(", found.__doc__):
        text = ""
    return text


def base_with_a_section(found: type) -> type | None:
    """The class that this one extends, where that is public too."""
    known = set(public("binance_sbe"))
    for base in found.__mro__[1:]:
        if base.__name__ in known and base.__name__ != found.__name__:
            return None if issubclass(base, BaseException) else base
    return None


def members(found: type) -> Iterator[tuple[str, Any, type]]:
    """The public members that are ours, each with the class that has it."""
    seen = set()
    for home in found.__mro__:
        if home is base_with_a_section(found):  # which has its own
            return
        if not (home.__module__ or "").startswith(("binance_sbe", "sbe_codegen")):
            continue
        for name, member in vars(home).items():
            if name.startswith("_") or name in seen:
                continue
            seen.add(name)
            if isinstance(member, type) or inspect.ismodule(member):
                continue
            yield name, member, home


def texts_of(found: type) -> dict[str, tuple[str, str]]:
    """Types (where they are said) and texts of attributes that have no docstring."""
    texts: dict[str, tuple[str, str]] = {}
    for home in found.__mro__:
        if home is base_with_a_section(found):
            break
        named = ATTRIBUTES.get(f"{home.__module__}.{home.__name__}", {})
        for name, told in (named or ATTRIBUTES.get(home.__name__, {})).items():
            texts.setdefault(name, ("", told) if isinstance(told, str) else (told[0], told[1]))
    return texts


def described(found: type) -> list[str]:
    """The members of a class, as a list or in sections."""
    functions, attributes = [], []
    fields = getattr(found, "__dataclass_fields__", {})
    for name, member, home in sorted(members(found), key=lambda each: each[0]):
        if INSIDE.fullmatch(f"{found.__name__}.{name}"):
            continue
        raw = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if isinstance(raw, cached_property):
            raw = property(raw.func)
        is_function = inspect.isroutine(raw) and not inspect.isgetsetdescriptor(raw)
        text = doc_of(raw, name)
        if is_function:
            form = arguments(home.__module__, home, name, raw)
            kind = "async " if inspect.iscoroutinefunction(raw) else ""
            functions.append(f"#### {found.__name__}.{name}\n")
            functions.append(f"```text\n{kind}{name}{form}\n```\n")
            functions.append((prose(text) if text else "") + "\n")
        else:
            node = stubbed(home.__module__, home.__name__, name)
            returns = getattr(node, "returns", None)
            fget = getattr(raw, "fget", None)
            if returns is not None:
                kind = ast.unparse(returns)
            else:
                kind = str(getattr(fget, "__annotations__", {}).get("return", ""))
            if name in fields:
                kind = str(fields[name].type)
            kind = kind.removeprefix("<class '").removesuffix("'>")
            first = " ".join(prose(text).split("\n\n")[0].split()) if text else ""
            if first.startswith("Alias for field number"):  # of named tuples
                first = ""
            attributes.append((name, kind, first))
    known = {name for name, _, _ in attributes}
    attributes += [
        (name, str(each.type), "")
        for name, each in fields.items()
        if name not in known and not name.startswith("_")
    ]
    texts = texts_of(found)
    attributes = [
        (name, kind or texts.get(name, ("", ""))[0], first or texts.get(name, ("", ""))[1])
        for name, kind, first in attributes
    ]
    known = {name for name, _, _ in attributes}
    attributes += [
        (name, kind, text) for name, (kind, text) in texts.items() if kind and name not in known
    ]
    attributes.sort()
    out = []
    if attributes and not any(kind or first for _, kind, first in attributes):
        out.append("Attributes: " + ", ".join(f"`{name}`" for name, _, _ in attributes) + "\n")
    elif attributes:
        out.append("| attribute | type | what it is |\n|---|---|---|")
        for name, kind, first in attributes:
            safe = kind.replace("|", "\\|")
            out.append(f"| `{name}` | {f'`{safe}`' if kind else ''} | {first} |")
        out[-1] += "\n"
    return [*out, *functions]


def section(module: str, name: str, found: Any) -> str:
    """The section of one public name."""
    lines = [f"### {name}\n"]
    text = doc_of(found, name)
    if isinstance(found, ModuleType) and not callable(found):
        where = f"{found.__name__}.md"
        first = text.partition("\n")[0]
        if found.__name__ in MODULES:
            lines.append(f"A module: [`{found.__name__}`]({where}).\n")
        else:
            lines.append(
                f"A module of decoders: {first} It has the interface of "
                "[a generated module](generated_module.md).\n"
            )
        return "\n".join(lines)
    if isinstance(found, type):
        try:
            form = shown_arguments(unquoted(inspect.signature(found)))
        except (TypeError, ValueError):
            form = "(...)"
        node = stubbed(found.__module__, found.__name__, "__new__") or stubbed(
            found.__module__, found.__name__, "__init__"
        )
        if isinstance(node, ast.FunctionDef):
            form = shown_arguments(f"({ast.unparse(node.args)})")
        bases = [each.__name__ for each in found.__bases__ if each is not object]
        is_shown = issubclass(found, BaseException | enum.Enum)
        known = [each for each in bases if is_shown and not each.startswith("_")]
        is_made = found.__name__ not in MADE_BY_YOU or form == "(...)"
        head = f"class {found.__name__}" + ("" if is_made else form.removesuffix(" -> None"))
        lines.append(f"```text\n{head}\n```\n")
        base = base_with_a_section(found)
        if base is not None:
            lines.append(f"A kind of `{base.__name__}`, with all that it has.\n")
        elif known:
            lines.append(f"A kind of {', '.join(f'`{each}`' for each in known)}.\n")
        lines.append(prose(text) + "\n")
        if issubclass(found, enum.Enum):
            lines.append("Members: " + ", ".join(f"`{each}`" for each in found.__members__) + "\n")
        else:
            lines += described(found)
    elif callable(found):
        actual = importlib.import_module("binance_sbe.live").books if name == "books" else found
        if isinstance(found, ModuleType):
            found, text = actual, doc_of(actual, name)
        lines.append(f"```text\n{name}{arguments(module, None, name, found)}\n```\n")
        lines.append(prose(text) + "\n")
    else:
        value = repr(found)
        if len(value) <= 100:
            lines.append(f"`{name} = {value}`\n")
        lines.append(text + "\n")
    return "\n".join(lines)


def kind_of(name: str, found: Any) -> str:
    if isinstance(found, type) and issubclass(found, BaseException):
        return "Errors"
    if isinstance(found, ModuleType) and not callable(found):
        return "Modules"
    if isinstance(found, type):
        return "Classes"
    return "Functions" if callable(found) else "Values"


def page(name: str) -> str:
    """The page of a module."""
    module = importlib.import_module(name)
    parts: dict[str, list[str]] = {
        kind: [] for kind in ("Functions", "Classes", "Errors", "Modules", "Values")
    }
    for each in public(name):
        found = getattr(module, each)
        parts[kind_of(each, found)].append(section(name, each, found))
    lines = [f"# {name}\n", MODULES[name] + "\n"]
    for kind, sections in parts.items():
        if sections:
            lines += [f"## {kind}\n", *sections]
    if TOPICS.get(name):
        lines.append("## What these give\n")
        lines.append("You get objects of these classes from the names above.\n")
        for path in TOPICS[name]:
            home, _, each = path.rpartition(".")
            lines.append(section(home, each, getattr(importlib.import_module(home), each)))
    return tidy("\n".join(lines))


def tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def generated_page() -> str:
    """The page of the interface that the compiler gives every module."""
    module = importlib.import_module(GENERATED)
    names = public(GENERATED)
    lines = [
        "# A generated module\n",
        "The compiler makes a module of each schema, and all of these have the same interface: "
        "`binance_sbe.spot_stream`, `binance_sbe.spot_sbe`, `binance_sbe.fix_sbe`, and those of "
        "[schemas of your own](../howto/own_schema.md). This page shows it with "
        f"`{GENERATED}`, and with `{EXAMPLE}` as the example of a message.\n",
        "A *template* is one kind of message, a *group* is a list inside of a message, and *var "
        "data* is a part of variable length, such as a text.\n",
        "## The module\n",
    ]
    messages = {each.__name__ for each in module.MESSAGES.values()}
    lines += [
        section(GENERATED, each, getattr(module, each))
        for each in names
        if each not in messages
        and not (each[0].islower() and isinstance(getattr(module, each), type))
    ]
    lines += [
        "## Message classes\n",
        "Each message of the schema is a class, named as in the schema. Those of this module: "
        + ", ".join(f"`{each}`" for each in names if each in messages)
        + ". What each field may be:\n",
        "| of the schema | attribute of a message |\n|---|---|",
        "| integer, float | `int`, `float`; None for null |",
        "| array of characters | `str`, up to the first NUL |",
        "| other array | a numpy view of the frame |",
        "| enum | the member of the `IntEnum`; an int without a name; `bool` for False and True |",
        "| set | an `IntFlag` |",
        "| composite | an object with attributes of its own |",
        "| group of fixed-size entries | a structured array, a view; `<group>_float`: a copy in "
        "float64; `<GROUP>_DTYPE`: its layout |",
        "| other group | a sequence of entry objects |",
        "| var data | `str` or `bytes`; `<data>_bytes`: the bytes as they came |",
        "| field with an exponent | the mantissa; `<field>_float`, `<field>_decimal` |",
        "| what an older sender does not have | None, an empty group, no data |\n",
        section(GENERATED, EXAMPLE, getattr(module, EXAMPLE)),
        "## In C\n",
        "Beside each module is a `.pxd` file with its C interface: see [For Cython]"
        "(../howto/cython.md).\n",
    ]
    return tidy("\n".join(lines))


def pages() -> dict[str, str]:
    """The Markdown of each page, by the name of its file without the ending."""
    return {name: page(name) for name in MODULES} | {"generated_module": generated_page()}


def main() -> None:
    OUT.mkdir(exist_ok=True)
    found = pages()
    for old in OUT.glob("*.md"):
        if old.stem not in found:
            old.unlink()
    for name, text in found.items():
        path = OUT / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
