"""Dictionaries of texts that many batches share, so that their codes mean the same."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from .forms import NO_TEXT


class Symbols:
    """What `decode_many` and `Collector` take as ``symbols``: the texts of all their batches.

    A batch that is decoded with it has codes that are good in those before it and after it, and its
    dictionaries begin with all texts of those before it. So batches can be written to one Arrow IPC
    stream or file (``pyarrow.ipc.IpcWriteOptions(emit_dictionary_deltas=True)``), compared and
    concatenated. Texts of one name (``symbol``) are one dictionary, whichever message or group of
    whichever module has them.

    It grows by every distinct text, and nothing is ever taken out: give it to streams whose texts
    are few, as names of instruments are. Threads may share one.
    """

    def __init__(self) -> None:
        self._codes: dict[str, dict[str, int]] = {}
        self._lock = Lock()

    def texts(self, name: str) -> list[str]:
        """The texts of the dictionary ``name`` by their codes, those that there are by now."""
        return list(self._codes.get(name, ()))

    def __len__(self) -> int:
        return sum(map(len, self._codes.values()))

    def __repr__(self) -> str:
        return f"<Symbols: {', '.join(f'{len(t)} {n}' for n, t in self._codes.items()) or 'none'}>"

    def share(self, contents: Any, layout: Any) -> None:
        """Gives what was written for a message or group (`contents.Contents`) the shared codes."""
        for i, name in enumerate(layout.dictionaries):
            with self._lock:
                known = self._codes.setdefault(name, {})
                codes = [known.setdefault(text, len(known)) for text in contents.dictionaries[i]]
                texts = list(known)
            column = contents.records[name]
            there = column != NO_TEXT
            column[there] = np.array(codes, np.uint32)[column[there]]
            contents.dictionaries[i] = texts
        for inner, group in zip(contents.groups, layout.groups.values(), strict=True):
            self.share(inner, group)


def checked(symbols: object) -> Symbols | None:
    """``symbols`` if that is what is wanted; TypeError for anything else."""
    if symbols is not None and not isinstance(symbols, Symbols):
        raise TypeError(f"symbols is a Symbols or None, not {type(symbols).__name__}")
    return symbols
