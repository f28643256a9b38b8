"""``sbe-codegen new``: a small project for a venue, to begin with and to change.

The files are those of sbe_codegen/project, in which NAME stands for the project's name.
"""

from __future__ import annotations

from pathlib import Path

_FILES = Path(__file__).parent / "project"
_NAME = "NAME"


def write(name: str, out: Path) -> list[Path]:
    """Writes the project into the folder ``out / name``, and returns its files.

    Raises FileExistsError where there is something in that folder already.
    """
    folder = out / name
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            17, "is there already, and not empty: another name, or --out, will do", str(folder)
        )
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for source in sorted(_FILES.iterdir()):
        path = folder / source.name.removesuffix(".txt").replace(_NAME, name)
        path.write_text(source.read_text("utf-8").replace(_NAME, name), "utf-8")
        made.append(path)
    return made
