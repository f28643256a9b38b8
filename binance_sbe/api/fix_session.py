"""One FIX session in SBE, without I/O: bytes and times in, bytes and events out.

Rules are those of FIX 4.4's session layer as the exchange has them: every session begins with
number 1, nothing is sent again (there is no ResendRequest), and a message with a number that is not
the next one ends the session. `Session` knows no sockets and no clock.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections import deque
from typing import Any, Literal, NamedTuple

from sbe_codegen.runtime.errors import DecodeError

from .. import fix_sbe
from ..errors import FixError, FramingError, LogonRefused
from ..keys import Key, remember_key
from ..output import shown
from .fix import Splitter
from .fix_wire import (
    SESSION_MESSAGES,
    Now,
    name_of,
    on_the_wire,
    reason_of,
    signed_text,
    text_of,
)
from .signing import Signer, check_recv_window

LOGON_SECONDS = 10.0
LOGOUT_SECONDS = 5.0
MESSAGES, MESSAGE_SECONDS = 2000, 60.0  # the exchange's limit for market data
MOST_KEPT = 1 << 16  # bytes of a damaged message
_OWN_MESSAGES = 20  # of these, kept for heartbeats and the end
_COMP_ID = re.compile(r"[A-Za-z0-9_-]{1,8}")
_CLOCK_MICROS = 1_000_000  # a difference of clocks that is worth a word


class LoggedOn(NamedTuple):
    """The exchange has let us in. ``is_deprecated``: it will give up our schema's version.

    ``heartbeat`` is in seconds, ``version`` that of the schema with which the exchange answered.
    """

    heartbeat: int
    uuid: str
    is_deprecated: bool
    version: int  # of the schema, that the exchange speaks


class Received(NamedTuple):
    """A message, with its number and when the exchange sent it, us since 1970."""

    message: Any
    seq_num: int
    sending_time: int


class Damaged(NamedTuple):
    """A message that can't be decoded; the session goes on."""

    error: DecodeError
    seq_num: int
    frame: bytes


class Maintenance(NamedTuple):
    """A News: the exchange will end this session soon. Open another one before that."""

    message: Any


class LoggedOut(NamedTuple):
    """The session has ended as sessions do; ``text`` is what the exchange said."""

    text: str


class Failed(NamedTuple):
    """The session has ended otherwise."""

    error: FixError


Event = LoggedOn | Received | Damaged | Maintenance | LoggedOut | Failed


class Session:
    """The client's side of one session. Times are `Now`; numbers begin with 1.

    `log_on`, then `receive` with every piece that comes, and `tick` not later than `next_tick`
    says; what `to_send` gives goes out after each. It is over when ``state`` is "closed".

    ``heartbeat`` is in seconds, 5 to 60. ``sender`` names the session, 1 to 8 letters, digits,
    ``-`` and ``_``; sessions of one account have different names. ``recv_window`` is how many
    seconds after its time of sending a message is still taken. ``messages`` may be sent in 60
    seconds: `send` refuses more, and `wait` says when there is room again.
    """

    def __init__(
        self,
        api_key: str,
        signer: Signer,
        *,
        sender: str | None = None,
        heartbeat: int = 30,
        recv_window: float | None = None,
        sequential: bool = False,
        only_acks: bool = False,
        drop_copy: bool = False,
        messages: int = MESSAGES,
    ) -> None:
        if not (isinstance(heartbeat, int) and 5 <= heartbeat <= 60):
            raise ValueError(f"heartbeat is 5 to 60 seconds, not {heartbeat!r}")
        check_recv_window(recv_window)
        is_text = isinstance(sender, str)
        if sender is not None and not (is_text and _COMP_ID.fullmatch(sender)):
            raise ValueError(
                f"sender is 1 to 8 letters, digits, '-' and '_', not '{shown(sender, 40)}'"
            )
        if not (isinstance(messages, int) and messages > _OWN_MESSAGES):
            raise ValueError(f"messages is more than {_OWN_MESSAGES}, not {messages!r}")
        self.state: Literal["new", "logging on", "live", "logging out", "closed"] = "new"
        self.sender = sender or f"s{secrets.token_hex(3)}"
        self.target = "SPOT"
        self.next_in = self.next_out = 1
        self.heartbeat = heartbeat
        self.clock_offset: int | None = None  # of the exchange's clock, us, when it last sent
        self._key = remember_key(api_key)
        self._signer = signer
        self._options: dict[str, Any] = {
            "recv_window": None if recv_window is None else round(recv_window * 1e6),
            "message_handling": "Sequential" if sequential else "Unordered",
            "response_mode": "OnlyAcks" if only_acks else "Everything",
            "drop_copy_flag": True if drop_copy else None,
        }
        self._most = messages
        self._sent: deque[float] = deque(maxlen=messages)  # when, in seconds
        self._splitter = Splitter()
        self._outgoing = bytearray()
        self._last_in = self._last_out = 0.0
        self._until = 0.0  # when an answer to our logon or logout has to be here
        self._tested: float | None = None  # when a sign of life was asked for
        self._tests = itertools.count(1)

    def __repr__(self) -> str:
        return f"<fix.Session {self.sender}, {self.state}, {self.next_in - 1} in>"

    @property
    def api_key(self) -> Key:
        return self._key

    # to the exchange

    def to_send(self) -> bytes:
        """What is to be written to the connection now; each byte is given once."""
        made = bytes(self._outgoing)
        self._outgoing.clear()
        return made

    def log_on(self, now: Now) -> None:
        """The first message of a session."""
        if self.state != "new":
            raise FixError(f"a session logs on once: this one is {self.state}")
        text = signed_text(self.sender, self.target, self.next_out, now.micros)
        message = fix_sbe.Logon.encode(
            encrypt_method=0,
            heart_bt_int=self.heartbeat,
            reset_seq_num_flag=True,
            sender_comp_id=self.sender,
            target_comp_id=self.target,
            raw_data=self._signer.sign(text),
            username=str(self._key),
            **self._options,
        )
        self._write(message, now)
        self.state = "logging on"
        self._last_in = now.seconds
        self._until = now.seconds + LOGON_SECONDS

    def log_out(self, now: Now, text: str = "") -> None:
        """Says goodbye; the exchange answers, and closes. Nothing more can be sent."""
        if self.state in ("live", "logging on"):
            self._write(fix_sbe.Logout.encode(text=text[:200] or None), now)
            self.state = "logging out"
            self._until = now.seconds + LOGOUT_SECONDS
        elif self.state == "new":
            self.state = "closed"

    def send(self, kind: Any, values: dict[str, Any], now: Now) -> int:
        """A message of class ``kind`` (of `fix_sbe`) goes out; returns its number.

        Raises FixError where the session is not live or the limit of messages is reached (see
        `wait`), EncodeError for values that can't be, and ValueError for messages that a session
        sends by itself. Nothing has been sent then.
        """
        if kind in SESSION_MESSAGES or kind not in fix_sbe.MESSAGES.values():
            name = name_of(kind) if isinstance(kind, type) else shown(kind, 40)
            raise ValueError(f"a session does not send a {name} for its user")
        if self.state != "live":
            raise FixError(f"nothing can be sent: the session is {self.state}")
        message = kind.encode(**values)
        wait = self.wait(now)
        if wait > 0:
            raise FixError(
                f"{self._most} messages in {MESSAGE_SECONDS:g} s are the limit: "
                f"the next may be sent in {wait:.1f} s"
            )
        return self._write(message, now)

    def wait(self, now: Now) -> float:
        """Seconds until `send` takes another message; 0 where it does."""
        room = self._most - _OWN_MESSAGES
        if len(self._sent) < room:
            return 0.0
        return max(0.0, self._sent[-room] + MESSAGE_SECONDS - now.seconds)

    def _write(self, message: bytes, now: Now) -> int:
        number = self.next_out
        self._outgoing += on_the_wire(message, number, now.micros)
        self.next_out += 1
        self._last_out = now.seconds
        self._sent.append(now.seconds)
        return number

    # from the exchange

    def receive(self, data: bytes, now: Now) -> list[Event]:
        """What a piece of the byte stream brings. Raises nothing: see `Failed`."""
        events: list[Event] = []
        if self._is_over():
            return events
        if self.state == "new":
            self._fail(FixError("the exchange spoke before the logon was sent"), now, events)
            return events
        try:
            for piece in (data, b""):  # what is wrong behind good messages is told the next time
                for frame in self._splitter.feed(piece):
                    if not self._is_over():
                        self._take(frame, now, events)
        except FramingError as error:
            self._fail(FixError(f"the byte stream is out of step: {error}"), now, events)
        return events

    def abandon(self) -> None:
        """Nothing more is sent or taken."""
        self.state = "closed"

    def _is_over(self) -> bool:
        return self.state == "closed"

    def end_of_stream(self, now: Now) -> list[Event]:
        """The connection has ended."""
        events: list[Event] = []
        if self.state == "logging out":
            self.state = "closed"
            events.append(LoggedOut("the exchange closed the connection"))
        elif self.state == "logging on":
            why = "the exchange closed the connection without an answer to the logon"
            self._fail(LogonRefused(why), now, events)
        elif self.state == "live":
            self._fail(FixError("the connection ended without a Logout"), now, events)
        elif self.state == "new":
            self._fail(FixError("the connection ended before the logon was sent"), now, events)
        return events

    def _fail(self, error: FixError, now: Now, events: list[Event]) -> None:
        if self.state == "live":
            self._write(fix_sbe.Logout.encode(text=str(error)[:200]), now)
        self.state = "closed"
        events.append(Failed(error))

    def _take(self, frame: bytes, now: Now, events: list[Event]) -> None:
        header = fix_sbe.decode_header(frame)
        if header.seq_num != self.next_in:
            self._fail(self._gap(header.seq_num), now, events)
            return
        self.next_in += 1
        self._last_in, self._tested = now.seconds, None
        if header.sending_time > 0:
            self.clock_offset = header.sending_time - now.micros
        try:  # texts are decoded as they are read: they may be none
            message = fix_sbe.decode(frame)
            if self.state == "logging on":
                self._answer_to_logon(message, now, events)
            else:
                self._in_session(message, header, now, events)
        except DecodeError as error:
            if self.state == "logging on":
                why = f"the answer to the logon can't be decoded: {error}"
                self._fail(LogonRefused(why), now, events)
            else:
                events.append(Damaged(error, header.seq_num, frame[:MOST_KEPT]))

    def _gap(self, number: int) -> FixError:
        if number < self.next_in:
            what = f"number {number} came again, where {self.next_in} was to come"
        else:
            what = f"{number - self.next_in} messages are missing before number {number}"
        return FixError(f"{what}: nothing is sent again, so this session is over")

    def _answer_to_logon(self, message: Any, now: Now, events: list[Event]) -> None:
        match message:
            case fix_sbe.LogonAck():
                self.state = "live"
                if 5 <= message.heart_bt_int <= 60:
                    self.heartbeat = message.heart_bt_int
                deprecated = bool(message.sbe_schema_id_version_deprecated)
                uuid = text_of(message, "uuid")
                events.append(LoggedOn(self.heartbeat, uuid, deprecated, message.version))
            case fix_sbe.Reject():
                said = f"the exchange refused the logon: {reason_of(message)}"
                error = LogonRefused(said + self._clock_words(), message.error_code)
                self._fail(error, now, events)
            case fix_sbe.Logout():
                said = f"the exchange refused the logon: {reason_of(message)}"
                self._fail(LogonRefused(said + self._clock_words()), now, events)
            case fix_sbe.News():
                events.append(Maintenance(message))
            case _:
                why = f"the answer to the logon is a {name_of(message)}"
                self._fail(LogonRefused(why), now, events)

    def _clock_words(self) -> str:
        offset = self.clock_offset
        if offset is None or abs(offset) < _CLOCK_MICROS:
            return ""
        which = "behind" if offset > 0 else "ahead of"
        return f"; this clock is {abs(offset) / 1e6:.1f} s {which} the exchange's"

    def _in_session(self, message: Any, header: Any, now: Now, events: list[Event]) -> None:
        match message:
            case fix_sbe.TestRequest():
                asked = text_of(message, "test_req_id") or None
                self._write(fix_sbe.Heartbeat.encode(test_req_id=asked), now)
            case fix_sbe.Heartbeat():
                pass
            case fix_sbe.Logout():
                if self.state == "live":
                    self._write(fix_sbe.Logout.encode(), now)
                self.state = "closed"
                events.append(LoggedOut(text_of(message, "text")))
            case fix_sbe.News():
                events.append(Maintenance(message))
            case fix_sbe.Logon() | fix_sbe.LogonAck():
                why = f"a {name_of(message)} came within the session"
                self._fail(FixError(why), now, events)
            case _:
                events.append(Received(message, header.seq_num, header.sending_time))

    # time

    def next_tick(self) -> float:
        """When `tick` is to be called at the latest, seconds of the clock that never goes back."""
        match self.state:
            case "logging on" | "logging out":
                return self._until
            case "live":
                quiet = self._last_in if self._tested is None else self._tested
                return min(self._last_out, quiet + 1) + self.heartbeat
            case _:
                return float("inf")

    def tick(self, now: Now) -> list[Event]:
        """Heartbeats go out, and what is late is noticed."""
        events: list[Event] = []
        if self.state == "logging on" and now.seconds >= self._until:
            why = f"no answer to the logon within {LOGON_SECONDS:g} s"
            self._fail(LogonRefused(why), now, events)
        elif self.state == "logging out" and now.seconds >= self._until:
            self.state = "closed"
            events.append(LoggedOut(f"no answer to the Logout within {LOGOUT_SECONDS:g} s"))
        elif self.state == "live":
            self._beat(now, events)
        return events

    def _beat(self, now: Now, events: list[Event]) -> None:
        late = self.heartbeat + 1
        if self._tested is not None and now.seconds >= self._tested + late:
            silence = now.seconds - self._last_in
            why = f"the exchange has been silent for {silence:.0f} s, and did not answer a test"
            self._fail(FixError(why), now, events)
        elif self._tested is None and now.seconds >= self._last_in + late:
            self._tested = now.seconds
            self._write(fix_sbe.TestRequest.encode(test_req_id=f"t{next(self._tests)}"), now)
        elif now.seconds >= self._last_out + self.heartbeat:
            self._write(fix_sbe.Heartbeat.encode(), now)
