"""Prints what `make bench` installs: the dependencies of the package and of its extra ``bench``."""

from __future__ import annotations

import tomllib
from pathlib import Path


def main() -> None:
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["bench"]]
    own = next(each for each in wanted if each.startswith(project["name"]))
    wanted.remove(own)
    for extra in own.partition("[")[2].rstrip("]").split(","):
        wanted += extras[extra]
    print("\n".join(f"'{each}'" for each in dict.fromkeys(wanted)))


if __name__ == "__main__":
    main()
