"""Pages say what is true: their code runs, their links lead somewhere, every name has a place."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pages import ROOT, Program, anchors, blocks, broken, not_run, prose

import binance_sbe
from binance_sbe import fix_sbe
from binance_sbe.api.json_stream import combined, stream_events
from binance_sbe.commands import options, tape_info
from binance_sbe.commands.events import events_of
from binance_sbe.output import json_text
from binance_sbe.simulator import Exchange
from binance_sbe.simulator.fix import FixAcceptor
from binance_sbe.simulator.ws_api import WsApi
from binance_sbe.venue import environments
from sbe_codegen import pages

DOCS = ROOT / "docs"
# Those that are in git: the reference is made of docstrings.
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*DOCS.rglob("*.md"), *ROOT.glob("*.md")]
    if path.parent.name != "reference"
)
WITH_CODE = [
    name for name in PAGES if blocks((ROOT / name).read_text("utf-8")) and "README" not in name
]


def module_of_docs(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


reference = module_of_docs("reference")
conf = module_of_docs("conf")


@pytest.fixture(scope="module")
def every_page() -> dict[str, str]:
    """The text of each page, those of the reference too, by its path from the root."""
    written = {name: (ROOT / name).read_text(encoding="utf-8") for name in PAGES}
    made = {f"docs/reference/{name}.md": text for name, text in reference.pages().items()}
    return written | made


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """What pages call the exchange is a local one, in a thread of its own, its FIX API included."""
    started = threading.Event()
    found: list[Any] = []

    async def serve() -> None:
        stop = asyncio.Event()
        async with (
            Exchange(["btcusdt", "ethusdt"]) as exchange,
            FixAcceptor(exchange) as acceptor,
            WsApi(exchange, key=acceptor.key) as api,
        ):
            found.extend((exchange, acceptor, api.url, asyncio.get_running_loop(), stop))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(20)
    exchange, acceptor, api_url, loop, stop = found
    folder = tmp_path_factory.mktemp("fix")
    (folder / "certificate.pem").write_bytes(acceptor.tls.pem)
    (folder / "key.pem").write_bytes(
        acceptor.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(environments.WS_API, "prod", api_url)
        patch.setitem(environments.FIX, "prod", "localhost")
        patch.setattr(environments, "FIX_PORT", int(acceptor.url.rpartition(":")[2]))
        patch.setenv("SSL_CERT_FILE", str(folder / "certificate.pem"))
        patch.setenv("BINANCE_PRIVATE_KEY", str(folder / "key.pem"))
        patch.setitem(environments.STREAMS, "prod", exchange.url)
        patch.setitem(environments.REST, "prod", exchange.url.replace("ws://", "http://"))
        patch.setenv("BINANCE_API_KEY", "any")
        yield exchange
    loop.call_soon_threadsafe(stop.set)
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBE_CODEGEN_CACHE", str(tmp_path_factory.getbasetemp() / "docs-cache"))


# code


@pytest.mark.parametrize("name", WITH_CODE)
def test_the_code_of_a_page_runs_and_gives_what_its_comments_say(
    name: str, exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "record=" in (ROOT / name).read_text(encoding="utf-8"):
        monkeypatch.chdir(tmp_path)  # it writes
    Program(ROOT / name).run()


def test_comments_that_show_values_are_checked(exchange: Exchange, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Text.\n\n```python\nx = 1\nx + 1      # 3\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"page.md:5: it gives 2, not 3"):
        Program(page).run()
    page.write_text("```python\nx = 1\nx + 1      # 2: two\n[x]  # what this is\n```\n")
    assert Program(page).run().checked == 1
    page.write_text("```python\nimport asyncio\nawait asyncio.sleep(0, 5)    # 5\n```\n")
    assert Program(page, has_await=True).run().checked == 1
    with pytest.raises(SyntaxError, match="await"):
        Program(page).run()


def test_the_feed_handler_for_production_handles_a_feed(exchange: Exchange) -> None:
    program = Program(DOCS / "howto/production.md").run()

    async def work() -> Any:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.5, stop.set)
        return await program.names["handle"]("k", stop, exchange.url)

    ledger = asyncio.run(work())
    assert len(ledger.connections) == 2
    assert sum(stream.frames for stream in ledger.streams.values()) > 50


def test_no_page_calls_code_something_else() -> None:
    """So that no snippet is left out of the tests by a name such as ``py``."""
    known = {
        "", "python", "cython", "pyx", "text", "json", "{toctree}",
    }  # fmt: skip
    for name in PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        found = set(re.findall(r"^(?:```|:::)(\S+)\s*$", text, re.MULTILINE))
        assert found <= known, name


# What is shown of other packages, and is not run for the reason that the page gives.
NOT_RUN = {("docs/howto/from_sbe_package.md", "import sbe\n")}


def test_no_python_on_a_page_is_left_out_of_the_tests() -> None:
    for name in PAGES:
        for line, code in not_run((ROOT / name).read_text(encoding="utf-8")):
            is_told = any(name == page and code.startswith(start) for page, start in NOT_RUN)
            assert is_told, f"{name}:{line}: make it a block of python, which is run:\n{code}"


def test_python_that_is_not_run_is_found() -> None:
    text = "A.\n\n```text\nimport os\n```\n\n    await feed.run()\n\n    make demo\n"
    assert [code for _, code in not_run(text.replace("    make demo\n", ""))] == [
        "import os\n",
        "await feed.run()\n",
    ]
    assert not list(
        not_run("```text\nnumbers: 1\n```\n\n    make demo\n\n    binance-sbe --help\n")
    )


def test_the_handler_on_the_page_is_that_of_the_examples() -> None:
    text = (DOCS / "howto/cython.md").read_text(encoding="utf-8")
    example = (ROOT / "examples/run_handler.pyx").read_text(encoding="utf-8")
    assert example in [code for _, code in blocks(text, "pyx")]


# what commands print


JSON_PAGE = DOCS / "formats/json.md"
FRAME = bytes.fromhex(
    "32001127010000007b600cba992a06007940e51700000000fef8f99e8f0000000000103adc0100000000"
    "fa9e8f0000000000206c6c02000000000742544355534454"
)  # that of the README


def commands_with_json() -> Iterator[str]:
    def subcommands(parser: Any) -> dict[str, Any]:
        choices = [each.choices for each in parser._actions if isinstance(each.choices, dict)]
        return choices[0] if choices else {}

    for name, command in subcommands(options._parser()).items():
        for action, parser in (subcommands(command) or {"": command}).items():
            if "--json" in parser._option_string_actions:
                yield f"{name} {action}".strip()


def test_the_page_of_json_has_every_command_that_prints_it() -> None:
    text = JSON_PAGE.read_text(encoding="utf-8")
    found = list(commands_with_json())
    assert {"watch", "replay", "book", "fix watch", "tape info", "tape cat"} <= set(found)
    for name in found:
        assert re.search(f"`binance-sbe {name}( TAPE)? --json`", text), name
    for name in tape_info_keys():
        assert f"`{name}`" in text, name


def tape_info_keys() -> set[str]:
    source = Path(tape_info.__file__).read_text(encoding="utf-8")
    return set(re.findall(r'"(\w+)": ', source[: source.index("def lines")]))


def test_the_samples_of_json_are_what_the_code_prints() -> None:
    samples = [code.strip() for _, code in blocks(JSON_PAGE.read_text(encoding="utf-8"), "json")]
    collector = binance_sbe.spot_stream.Collector()
    collector.append(FRAME, 1735689600004123456)
    (event,) = events_of(collector.take())
    assert json_text(event) == samples[0]
    message = binance_sbe.decode(FRAME)
    (exchanges,) = stream_events(message)
    assert json_text(combined(message, exchanges)) == samples[1]
    ticker = fix_sbe.MarketDataIncrementalBookTicker
    entry = {"md_entry_px": 9411894, "md_entry_size": 1848870}
    other = {"md_entry_px": 9412290, "md_entry_size": 4154931}
    frame = ticker.encode(
        last_book_update_id=782871499, price_exponent=-2, qty_exponent=-8, symbol="BTCUSDT",
        md_entries_bids=[entry], md_entries_asks=[other],
    )  # fmt: skip
    told = {"message": ticker.__name__} | ticker.decode(frame).to_dict()
    assert json_text(told) == samples[2]
    for sample in samples:
        json.loads(sample)


# Words in italics that explain nothing.
EMPHASIS = {"list", "decided"}


def test_terms_that_pages_explain_are_all_in_the_list_of_terms() -> None:
    """But for those of the pages for contributors, which are words of the code."""
    text = (DOCS / "terms.md").read_text(encoding="utf-8")
    heads = [
        word.strip().lower()
        for head in re.findall(r"^(\S.*)\n: ", text, re.MULTILINE)
        for word in head.split(",")
    ]
    assert len(heads) == len(set(heads)) > 40
    known = {*heads, *(word.lower() for word in re.findall(r"\*([\w ]+)\*", text))}
    for name in PAGES:
        if name in ("docs/design.md", "CONTRIBUTING.md"):
            continue
        page = prose((ROOT / name).read_text(encoding="utf-8"))
        for word in re.findall(r"(?<![*\w])\*([A-Za-z][\w ]*)\*(?![*\w])", page):
            one = word.lower()
            assert {one, one.removesuffix("s")} & (known | EMPHASIS), f"{name}: {word}"


# links, and the table of contents


def test_links_lead_somewhere(every_page: dict[str, str]) -> None:
    wrong = [each for name, text in every_page.items() for each in broken(name, text, every_page)]
    assert not wrong, "\n".join(wrong)


def test_links_that_lead_nowhere_are_found() -> None:
    page = "docs/a.md"
    texts = {
        page: "# A page: `x`\n\n[here](#a-page-x) [there](b.md#no) [no](c.md) ",
        "docs/b.md": "",
    }
    assert broken(page, texts[page], texts) == [
        "docs/a.md: b.md#no: there is no such heading",
        "docs/a.md: c.md: there is no such page",
    ]
    assert anchors("# One\n## One\n```text\n# Two\n```\n") == {"one", "one-1"}


def listed() -> list[str]:
    """The pages in the table of contents."""
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    trees = [code for _, code in blocks(text, "{toctree}")]
    return [
        line.strip()
        for tree in trees
        for line in tree.splitlines()
        if line.strip() and not line.startswith(":")
    ]


def test_every_page_is_in_the_table_of_contents(every_page: dict[str, str]) -> None:
    there = {
        name.removeprefix("docs/").removesuffix(".md")
        for name in every_page
        if name.startswith("docs/")
    }
    assert len(listed()) == len(set(listed()))
    assert set(listed()) == there - {"index"}


def test_the_site_has_markdown_with_its_pictures_and_a_list_of_all_pages(
    every_page: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, site = tmp_path / "project", tmp_path / "site"
    shutil.copytree(ROOT / "benchmarks/results", source / "benchmarks/results")
    shutil.copytree(DOCS, source / "docs", ignore=shutil.ignore_patterns("reference", "*.py"))
    for name, text in every_page.items():
        if "docs/reference/" in name:  # which are not in git
            (source / name).parent.mkdir(exist_ok=True)
            (source / name).write_text(text, encoding="utf-8")
    site.mkdir()
    monkeypatch.setattr(conf, "HERE", source / "docs")
    names = [name[5:-3] for name in every_page if name.startswith("docs/")]
    app = SimpleNamespace(
        outdir=site, builder=SimpleNamespace(name="html"), env=SimpleNamespace(found_docs=names)
    )
    conf.write_markdown(app, RuntimeError())
    assert not list(site.iterdir())  # of a build that failed
    conf.write_markdown(app, None)
    pictures = 0
    for name in names:
        page = site / f"{name}.md"
        for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            found = (page.parent / picture).resolve()
            assert found.is_relative_to(site.resolve()), f"{name}: {picture}"
            assert found.stat().st_size > 0
            pictures += 1
    assert pictures > 5
    lines = (site / "llms.txt").read_text(encoding="utf-8").splitlines()
    told = [line for line in lines if line.startswith("- [")]
    assert len(told) == len(listed())
    for line in told:
        assert re.search(r"\w[.)`*]+$", line), f"not a whole sentence: {line}"


@pytest.mark.parametrize(
    ("paragraph", "sentence"),
    [
        ("One thing: and another,\nin two lines. More.", "One thing: and another, in two lines."),
        ("See [the page](x.md) of 3.11 first. More.", "See the page of 3.11 first."),
        ("It is so", "It is so"),
    ],
)
def test_the_sentence_of_a_page_is_whole(paragraph: str, sentence: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{paragraph}\n\nNot this.\n", encoding="utf-8")
    assert conf.titled(page) == ("Title", sentence)


def test_every_page_begins_with_a_title_and_a_sentence(every_page: dict[str, str]) -> None:
    for name, text in every_page.items():
        if name.startswith("docs/"):
            title, _, rest = text.partition("\n\n")
            assert re.fullmatch(r"# [^\n]+", title), name
            assert re.match(r"[A-Z`][^\n]+", rest), name


def test_pages_say_a_command_that_works_from_a_checkout(every_page: dict[str, str]) -> None:
    """While no index has the package, nobody is told to get it from one."""
    for name, text in every_page.items():
        assert not re.search(r"pip install ['\"]?binance-sbe", text), name


def test_texts_of_the_code_send_to_pages_that_exist() -> None:
    known = {name for name in vars(pages) if name.isupper()}
    for name in known:
        assert pages.page(getattr(pages, name)) in {f"{each} of binance-sbe" for each in PAGES}
    assert known >= {"DECODE", "FEED"}
    sources = [
        path
        for package in ("binance_sbe", "sbe_codegen")
        for ending in ("*.py", "*.pyx", "*.pyi", "*.pxd", "*.jinja")
        for path in (ROOT / package).rglob(ending)
    ]
    assert len(sources) > 150
    for path in sources:
        text = path.read_text(encoding="utf-8")
        assert "README" not in text, path
        for found in re.findall(r"docs/[\w/]+\.md", text):
            assert (ROOT / found).is_file() or "reference/" in found, f"{path}: {found}"


# the reference


def every_public_name() -> list[tuple[str, str]]:
    modules = [*reference.MODULES, reference.GENERATED]
    return [(module, name) for module in modules for name in reference.public(module)]


def test_the_reference_has_the_public_modules() -> None:
    assert {
        "binance_sbe", "binance_sbe.sync", "binance_sbe.rest", "binance_sbe.websocket_api",
        "binance_sbe.fix", "binance_sbe.metrics", "binance_sbe.simulator", "sbe_codegen",
    } <= set(reference.MODULES)  # fmt: skip
    generated = {"fix_sbe", "spot_sbe", "spot_stream"}
    inside = {
        "asynchronous",
        "errors",
        "headers",
        "keys",
        "live",
        "logs",
        "output",
        "replayed",
        "route",
        "__init__",
        "__main__",
    }
    there = {path.stem for path in (ROOT / "binance_sbe").glob("*.py")}
    documented = {name.partition(".")[2] for name in reference.MODULES}
    assert there <= inside | documented | generated, "is it public? then it has a page"
    names = set(reference.public("binance_sbe"))
    assert names == set(binance_sbe.__all__)


def test_every_public_name_has_a_place_in_the_reference(every_page: dict[str, str]) -> None:
    for module, name in every_public_name():
        page = "generated_module" if module == reference.GENERATED else module
        text = every_page[f"docs/reference/{page}.md"]
        is_message = module == reference.GENERATED and f"`{name}`" in text
        heading = re.search(rf"^### {re.escape(name)}$", text, re.MULTILINE)
        assert heading or is_message or name == "boolEnum", (module, name)


def test_every_public_name_has_a_docstring() -> None:
    missing = []
    for module, name in every_public_name():
        found = getattr(importlib.import_module(module), name)
        is_inherited = isinstance(found, type) and not found.__doc__  # which says less
        if is_inherited or not reference.doc_of(found, name).strip():
            missing.append(f"{module}.{name}")
    assert not missing


def test_every_function_of_a_public_class_has_a_docstring() -> None:
    missing = set()
    for module, name in every_public_name():
        found = getattr(importlib.import_module(module), name)
        if not isinstance(found, type):
            continue
        for each, member, home in reference.members(found):
            raw = getattr(member, "__func__", member)
            if callable(raw) and not reference.doc_of(raw, each).strip():
                missing.add(f"{home.__module__}.{home.__name__}.{each}")
    assert not missing


def test_the_reference_says_what_each_attribute_is(every_page: dict[str, str]) -> None:
    """Those without a docstring have a text in docs/attributes.py, which has no others."""
    missing, shown = [], set()
    for name, text in every_page.items():
        if "docs/reference/" not in name:
            continue
        for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
            kind = part.partition("\n")[0]
            assert not re.search("^Attributes: ", part, re.MULTILINE), f"{name}: {kind}"
            for attribute, rest in re.findall(r"^\| `(\w+)` \| (.*) \|$", part, re.MULTILINE):
                shown.add((kind, attribute))
                if not rest.rpartition(" | ")[2].strip(" |"):
                    missing.append(f"{name}: {kind}.{attribute}: it belongs into attributes.py")
    assert not missing
    assert len(shown) > 300
    told = {
        (kind.rpartition(".")[2], attribute)
        for kind, texts in reference.ATTRIBUTES.items()
        for attribute in texts
    }
    used = {kind for kind, _ in shown}
    assert {pair for pair in told if pair[0] in used} <= shown
    assert len({kind for kind, _ in told} & used) > 40


def test_the_citation_is_of_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {binance_sbe.__version__}\n" in citation
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = changes.partition("\n## ")[2].partition("\n")[0]
    released = binance_sbe.__version__.partition(".dev")[0]
    assert first == released + " (not released)" * (released != binance_sbe.__version__)


# tables


def test_the_design_names_every_room() -> None:
    """Each folder with modules, and each module of the compiler and at the top of the package."""
    text = (DOCS / "design.md").read_text(encoding="utf-8")
    found = set()
    for package in ("binance_sbe", "sbe_codegen"):
        top = ROOT / package
        for path in [*top.rglob("*.py"), *top.rglob("*.pyx")]:
            folder = path.parent.relative_to(top).as_posix()
            if folder != ".":
                found.add(f"{folder}/")
            elif not path.stem.startswith("__"):
                found.add(path.stem)
    assert len(found) > 60
    missing = [name for name in sorted(found) if not re.search(f"`{name}(`|\\.py)", text)]
    assert not missing
    named = re.findall(r"`([a-z_/]+/)`", text)
    there = {"templates/", "project/", "tests/", *found}
    assert {name for name in named if name.removeprefix("sbe_codegen/") not in there} == set()


def test_the_table_of_messages_is_right() -> None:
    text = (DOCS / "formats/messages.md").read_text(encoding="utf-8")
    for message in binance_sbe.spot_stream.MESSAGES.values():
        row = next(line for line in text.splitlines() if f"`{message.__name__}` |" in line)
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[1] == str(message.TEMPLATE_ID)
        assert cells[4].split(", ") == list(message.DTYPE.names)


def test_the_conformance_table_names_tests_that_exist() -> None:
    table = (DOCS / "formats/conformance.md").read_text(encoding="utf-8")
    rows = [row for row in table.splitlines() if row.startswith("| ") and "**" not in row]
    rows = [row for row in rows if row.count("|") == 5]  # below are decisions, with reasons
    named = [name for row in rows[1:] for name in re.findall(r"test_\w+", row.split("|")[-2])]
    assert len(rows) > 40
    assert len(named) >= len(rows) - 1
    for name in named:
        assert list((ROOT / "tests").rglob(f"{name}.py")), name


def test_the_page_of_errors_has_all_of_them() -> None:
    text = (DOCS / "formats/errors.md").read_text(encoding="utf-8")
    for name in binance_sbe.__all__:
        found = getattr(binance_sbe, name)
        if isinstance(found, type) and issubclass(found, Exception):
            assert f"`{name}`" in text, name


def test_the_page_of_metrics_has_all_of_them() -> None:
    from binance_sbe.feed import metrics

    text = (DOCS / "formats/metrics.md").read_text(encoding="utf-8")
    source = Path(metrics.__file__).read_text(encoding="utf-8")
    for name in metrics._STREAM_COUNTERS:
        assert f"`binance_sbe_stream_{name}_total`" in text, name
    for stage in metrics._STAGES:
        assert f"`{stage}`" in text, stage
    totals = source[source.index("totals = {") : source.index("for name, (value")]
    for name in re.findall(r'^ +"(\w+)": \(', totals, re.MULTILINE):
        assert f"`binance_sbe_{name}_total`" in text, name
    for name in re.findall(r'"(binance_sbe_[a-z_]+)"', source):
        assert name in text, name


def test_the_page_of_log_fields_has_every_event() -> None:
    text = (DOCS / "formats/logs.md").read_text(encoding="utf-8")
    found = set()
    for path in (ROOT / "binance_sbe").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'(?:\blogged|\.say|\._say|\._log)\(\s*"([a-z_]+)"', source))
    assert len(found) > 8
    for event in found:
        assert f"`{event}`" in text, event
