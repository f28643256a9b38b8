"""Requests of the user's that are under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count

from ...errors import FeedError


@dataclass
class Ticket:
    """Ends when each name is acknowledged somewhere."""

    number: int
    method: str
    names: set[str]
    until: float


class Tickets:
    """``answer(number, error)`` is called once for each, with None where all went well."""

    def __init__(self, answer: Callable[[int, FeedError | None], object]) -> None:
        self._answer = answer
        self._numbers = count(1)
        self._open: dict[int, Ticket] = {}

    def __len__(self) -> int:
        return len(self._open)

    def deadlines(self) -> list[float]:
        return [ticket.until for ticket in self._open.values()]

    def add(self, method: str, names: Iterable[str], until: float) -> int:
        number = next(self._numbers)
        self._open[number] = Ticket(number, method, set(names), until)
        return number

    def settle(self, method: str, names: Iterable[str]) -> None:
        """These names are acknowledged."""
        for number, ticket in list(self._open.items()):
            if ticket.method == method:
                ticket.names.difference_update(names)
                if not ticket.names:
                    self._end(number, None)

    def refuse(self, method: str, names: Iterable[str], error: FeedError) -> bool:
        """These are refused; whether anybody had asked for them."""
        refused = set(names)
        asked = [
            number
            for number, ticket in self._open.items()
            if ticket.method == method and ticket.names & refused
        ]
        for number in asked:
            self._end(number, error)
        return bool(asked)

    def expire(self, now: float, why: Callable[[Ticket], str]) -> None:
        """Those whose time is over get an error, with what ``why`` says of it."""
        for number, ticket in list(self._open.items()):
            if now >= ticket.until:
                few = ", ".join(sorted(ticket.names)[:5])
                self._end(number, FeedError(f"{ticket.method} {few}: {why(ticket)}"))

    def fail(self, error: FeedError) -> None:
        for number in list(self._open):
            self._end(number, error)

    def _end(self, number: int, error: FeedError | None) -> None:
        del self._open[number]
        self._answer(number, error)
