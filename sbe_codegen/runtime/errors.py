"""What decoding and encoding raise.

::

    SbeError
      DecodeError (also a ValueError)
        TruncatedMessage        the frame ends before an element it declares
        MalformedMessage        lengths or counts that contradict the schema, or text that is none
        UnknownTemplate         this schema's id, a template that is not in it
        UnexpectedTemplate      another template than the class asked for
        SchemaMismatch          another schema's id
      EncodeError (also a ValueError)   values that can't be written as a message

The cases are those of the SBE rules on truncated and malformed messages; see each class.
"""

from __future__ import annotations

from enum import IntEnum

from ..errors import MissingPackage as MissingPackage
from ..errors import SbeError as SbeError
from ..errors import SchemaError as SchemaError  # what the compiler raises, for those who catch it
from ..errors import SchemaTooLarge as SchemaTooLarge
from ..errors import UnknownName as UnknownName


class DecodeError(SbeError, ValueError):
    """Bytes that are not a message of the schema.

    ``offset`` is the byte in the buffer given where decoding stopped, ``template_id`` and
    ``message`` say which message it was, ``element`` which part of it; ``wanted`` and
    ``available`` are byte counts, or for templates and schema ids what was asked for and what
    came. Each is None where it does not apply. ``frame`` is the index of the frame in the input
    of a decoder of many frames.
    """

    def __init__(
        self,
        text: str,
        *,
        offset: int | None = None,
        template_id: int | None = None,
        message: str | None = None,
        element: str | None = None,
        wanted: int | None = None,
        available: int | None = None,
        frame: int | None = None,
    ) -> None:
        super().__init__(text)
        self.offset = offset
        self.template_id = template_id
        self.message = message
        self.element = element
        self.wanted = wanted
        self.available = available
        self.frame = frame

    def __str__(self) -> str:
        text = str(self.args[0])
        return text if self.frame is None else f"frame {self.frame}: {text}"


class TruncatedMessage(DecodeError):
    """The frame ends before an element that it declares."""


class MalformedMessage(DecodeError):
    """A length, a count or a text contradicts the schema."""


class UnknownTemplate(DecodeError):
    """The schema id is right, but the schema has no message with this template id."""


class UnexpectedTemplate(DecodeError):
    """A message of the schema, but not the one that the class decodes."""


class SchemaMismatch(DecodeError):
    """The frame belongs to another decoder: another schema id, or a version of this schema in which
    the message has another layout under the same template id."""


class EncodeError(SbeError, ValueError):
    """Values that can't be written as a message of the schema. Nothing has been written.

    ``field`` is the element as it is reached from the message (``bids[3].price``), ``value`` what
    was given for it (None where nothing was), and ``why`` the sentence that says what is wrong.
    """

    def __init__(self, text: str, *, field: str, value: object = None, why: str = "") -> None:
        super().__init__(text)
        self.field = field
        self.value = value
        self.why = why


class ErrorCode(IntEnum):
    """The numbers for these errors in ``Batch.rejected`` and in the C interface."""

    TRUNCATED = 1
    MALFORMED = 2
    UNKNOWN_TEMPLATE = 3
    UNEXPECTED_TEMPLATE = 4
    SCHEMA_MISMATCH = 5
    OTHER_LAYOUT = 6

    @property
    def error(self) -> type[DecodeError]:
        return CLASSES[self]


CLASSES = {
    ErrorCode.TRUNCATED: TruncatedMessage,
    ErrorCode.MALFORMED: MalformedMessage,
    ErrorCode.UNKNOWN_TEMPLATE: UnknownTemplate,
    ErrorCode.UNEXPECTED_TEMPLATE: UnexpectedTemplate,
    ErrorCode.SCHEMA_MISMATCH: SchemaMismatch,
    ErrorCode.OTHER_LAYOUT: SchemaMismatch,
}


class FramingError(SbeError, ValueError):
    """A byte stream that is out of step; ``offset`` is the byte in the stream."""

    def __init__(self, text: str, offset: int) -> None:
        self.offset = offset
        super().__init__(f"{text} at byte {offset} of the stream")


class PacketError(FramingError):
    """A packet or a capture that can't be read to its end; ``offset`` is the byte in it.

    ``packet`` is the index of the packet in the input, None where it is the file that is damaged.
    """

    def __init__(self, text: str, offset: int, packet: int | None = None) -> None:
        super().__init__(text, offset)
        self.packet = packet
        place = "the file" if packet is None else f"packet {packet}"
        self.args = (f"{text} at byte {offset} of {place}",)
