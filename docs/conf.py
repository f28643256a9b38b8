"""How `make docs` builds the site: Sphinx with MyST, from the Markdown in this directory."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
VERSION = re.search(
    r'__version__ = "(.*)"', (HERE.parent / "sbe_codegen/version.py").read_text(encoding="utf-8")
)

project = "binance-sbe"
author = "the maintainers of binance-sbe"
copyright = author  # noqa: A001 - a name that Sphinx looks for
version = release = VERSION[1] if VERSION else ""
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "binance-sbe"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "default"
pygments_dark_style = "monokai"
suppress_warnings = ["misc.highlighting_failure"]


def titled(page: Path) -> tuple[str, str]:
    """The title of a page, and its first sentence: up to a full stop, not a colon."""
    text = page.read_text(encoding="utf-8")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    assert title is not None, page
    first = text[title.end() :].strip().split("\n\n")[0].replace("\n", " ")
    first = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", first)  # the texts of links
    sentence = re.match(r".+?\.(?= [A-Z(*`]|$)", first)
    return title[1], sentence[0] if sentence else first


def contents(index: Path) -> list[tuple[str, list[str]]]:
    """The parts of the table of contents: the caption of each, and its pages."""
    found = []
    for tree in re.findall(r":::\{toctree\}\n(.*?):::", index.read_text("utf-8"), re.DOTALL):
        caption = re.search(r":caption: (.+)", tree)
        pages = [line for line in tree.splitlines() if line and not line.startswith(":")]
        found.append((caption[1] if caption else "", pages))
    return found


def with_pictures(page: Path) -> tuple[str, dict[str, Path]]:
    """The Markdown of a page for the site, and its pictures by where they belong in the site.

    A picture outside of this directory can't be beside the page as its link says. It gets the place
    that it has in the project, and the link of the copy is another.
    """
    pictures = {}

    def placed(link: re.Match[str]) -> str:
        picture = (page.parent / link[2]).resolve()
        root = HERE if picture.is_relative_to(HERE) else HERE.parent
        place = picture.relative_to(root).as_posix()
        pictures[place] = picture
        up = "../" * len(page.parent.relative_to(HERE).parts)
        return f"{link[1]}({up}{place})"

    text = page.read_text(encoding="utf-8")
    return re.sub(r"(!\[[^]]*\])\((?!\w+:)([^)\s]+)\)", placed, text), pictures


def write_markdown(app: Any, error: Exception | None) -> None:
    """Puts the Markdown of each page and its pictures beside it, and llms.txt, which lists them."""
    if error is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    for name in app.env.found_docs:
        text, pictures = with_pictures(HERE / f"{name}.md")
        (out / f"{name}.md").parent.mkdir(parents=True, exist_ok=True)
        (out / f"{name}.md").write_text(text, encoding="utf-8")
        for place, picture in pictures.items():
            (out / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, out / place)
    name, summary = titled(HERE / "index.md")
    lines = [f"# {name}", "", f"> {summary}"]
    for caption, pages in contents(HERE / "index.md"):
        lines += ["", f"## {caption}", ""]
        for page in pages:
            title, sentence = titled(HERE / f"{page}.md")
            lines.append(f"- [{title}]({page}.md): {sentence}")
    (out / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    app.connect("build-finished", write_markdown)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
