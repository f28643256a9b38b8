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
_TEXT = ("json", "html", "xml", "text", "javascript", "form")


def decode_response(content_type: str | None, body: Any) -> Any:
    """The message that the body of an HTTP answer is, as `spot_sbe.decode` gives it.

    ``content_type`` is the header of that name, or None. Raises BinanceError for an ErrorResponse;
    NotSbe for an answer of a gateway (text, JSON, HTML) or of another schema, which is never fed to
    the decoder; DecodeError for SBE that is damaged. ``body`` is bytes or another buffer, which the
    message keeps.
    """
    media = (content_type or "").partition(";")[0].strip().lower()
    if any(word in media for word in _TEXT) or not _is_ours(body):
        raise NotSbe(content_type, bytes(body))
    message = spot_sbe.decode(body)
    if isinstance(message, spot_sbe.ErrorResponse):
        raise error_of(message)
    return message


def _is_ours(body: Any) -> bool:
    if len(body) < 8:
        return False
    return spot_sbe.decode_header(body).schema_id == spot_sbe.SCHEMA_ID


def error_of(response: spot_sbe.ErrorResponse) -> BinanceError:
    """The exception for an ErrorResponse."""
    return BinanceError(
        response.code,
        response.msg,
        response.retry_after,
        response.server_time,
        response.data_message,
    )
