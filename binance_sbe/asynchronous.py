"""What is opened by ``async with``, and says so to those who write something else."""

from __future__ import annotations

from typing import NoReturn


class Asynchronous:
    """The base of feeds, books, clients and the local exchange."""

    _usage = ""  # what is to be written

    def __enter__(self) -> NoReturn:
        raise TypeError(
            f"this needs 'async': write '{self._usage}', in an 'async def' that asyncio.run runs"
        )

    def __exit__(self, *_: object) -> None:
        """There is none to leave."""

    def __await__(self) -> NoReturn:
        raise TypeError(f"this is not awaited: write '{self._usage}'")

    def _not_open(self) -> RuntimeError:
        return RuntimeError(f"this is not open: write '{self._usage}', and use it in that block")

    def _closed(self) -> RuntimeError:
        return RuntimeError(
            f"this is closed, and nothing comes any more: use it in its block, '{self._usage}'"
        )
