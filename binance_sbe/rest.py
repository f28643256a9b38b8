"""Answers of the REST API in SBE."""

from __future__ import annotations

from typing import Any

from . import spot_sbe
from .errors import BinanceError, NotSbe

# What to ask with: any answer is SBE then, but for those of gateways and of HTTP 406.
HEADERS = {
    "Accept": "application/sbe",
    "X-MBX-SBE": f"{spot_sbe.SCHEMA_ID}:{spot_sbe.SCHEMA_VERSION}",
}
_PRINTABLE = bytes(range(32, 127)) + b"\t\r\n"
_TEXT = ("json", "html", "xml", "text", "javascript", "form")


def decode_response(content_type: str | None, body: Any) -> Any:
    """The message that the body of an HTTP answer is, as `spot_sbe.decode` gives it.

    ``content_type`` is the header of that name, or None. Raises BinanceError for an ErrorResponse;
    NotSbe for an answer of a gateway (text, JSON, HTML, nothing), which is never fed to the
    decoder; DecodeError for SBE that is damaged, or of another schema. ``body`` is bytes or another
    buffer, which the message keeps.
    """
    if content_type is not None and not isinstance(content_type, str):
        raise TypeError(f"content_type is a str or None, not {type(content_type).__name__}")
    view = memoryview(body)
    media = (content_type or "").partition(";")[0].strip().lower()
    start = bytes(view[:200])
    is_text = not start.strip(_PRINTABLE)
    is_foreign = len(start) < 8 or spot_sbe.decode_header(start).schema_id != spot_sbe.SCHEMA_ID
    if any(word in media for word in _TEXT) or (is_foreign and (is_text or "sbe" not in media)):
        raise NotSbe(content_type, bytes(view))
    message = spot_sbe.decode(body)
    if isinstance(message, spot_sbe.ErrorResponse):
        raise error_of(message)
    return message


def error_of(response: spot_sbe.ErrorResponse) -> BinanceError:
    """The exception for an ErrorResponse."""
    return BinanceError(
        response.code,
        response.msg,
        response.retry_after,
        response.server_time,
        response.data_message,
    )
