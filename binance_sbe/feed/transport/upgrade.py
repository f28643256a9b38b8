"""From a connection to a WebSocket: the client's side of the handshake (RFC 6455, 4.1). No I/O.

By websockets' protocol, which the connection's control frames are read with afterwards.
"""

from __future__ import annotations

from typing import Any

import websockets
from websockets.client import ClientProtocol
from websockets.http11 import USER_AGENT
from websockets.protocol import State
from websockets.uri import parse_uri

from ...errors import ConnectionRefused
from ...headers import retry_after
from ...keys import KEY_HEADER
from ...logs import websocket_logger

_MAX_FRAME = 16 * 1024 * 1024
_END_OF_HEAD = b"\r\n\r\n"


class Upgrade:
    """Send what `request` gives, and give what comes to `receive` until it returns something.

    ``protocol`` is that of the connection from then on. No redirect is followed: the key is for one
    host.
    """

    def __init__(self, url: str, key: str) -> None:
        self.protocol = ClientProtocol(
            parse_uri(url), max_size=_MAX_FRAME, logger=websocket_logger()
        )
        self._url = url
        self._is_answered = False
        self._end = b""  # of the answer's head, as far as it has come
        request = self.protocol.connect()
        request.headers["User-Agent"] = USER_AGENT
        request.headers[KEY_HEADER] = key
        self.protocol.send_request(request)

    def request(self) -> bytes:
        """What is to be sent first."""
        return b"".join(self.protocol.data_to_send())

    def receive(self, data: bytes) -> bytes | None:
        """Bytes that came. Returns those behind the exchange's agreement, None before there is one.

        Raises ConnectionRefused, and WebSocketException for an answer that is none.
        """
        if self._is_answered:
            self._read(data)
            return None
        known = self._end + data
        end = known.find(_END_OF_HEAD)
        if end < 0:
            self._end = known[1 - len(_END_OF_HEAD) :]
            self._read(data)
            return None
        self._is_answered = True
        end += len(_END_OF_HEAD) - len(self._end)
        self._read(data[:end])
        if self.protocol.state is State.OPEN:
            self.protocol.events_received()  # the answer; what follows are frames
            return data[end:]
        if end < len(data):
            self._read(data[end:])
        return None

    def end(self) -> None:
        """Nothing more comes. Raises as `receive` does, or EOFError."""
        self.protocol.receive_eof()
        self._check()
        raise EOFError

    def _read(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        self._check()

    def _check(self) -> None:
        error = self.protocol.handshake_exc
        if isinstance(error, websockets.InvalidStatus):
            raise self._refusal(error.response) from None
        if error is not None:
            raise error

    def _refusal(self, response: Any) -> ConnectionRefused:
        """The error for an answer that is no agreement."""
        body = (response.body or b"").decode("utf-8", "replace")
        headers = response.headers
        wait = retry_after(headers.get("Retry-After"))
        return ConnectionRefused(
            self._url, response.status_code, body, wait, headers.get("Location")
        )
