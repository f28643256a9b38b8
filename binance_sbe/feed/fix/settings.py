"""What a FIX connection is made with, checked once."""

from __future__ import annotations

import ssl as tls
from dataclasses import dataclass, field
from typing import Any

from ...api.fix_session import Session
from ...api.signing import Signer, signer_of
from ...errors import FIX_KEY_HELP
from ...route import Route
from ...venue.environments import fix_address
from ..settings import check_seconds, checked_key, password_of, private_key_of


@dataclass(frozen=True)
class Settings:
    """See `connect`. ValueError and TypeError for what can't be, MissingKey for the two keys."""

    role: str
    host: str
    port: int
    is_secure: bool
    api_key: str  # a `Key`, which is not shown
    signer: Signer
    route: Route
    open_timeout: float
    reply_timeout: float
    max_queue: int
    reconnect: bool
    session: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """For errors and logs."""
        return f"{'tcp+tls' if self.is_secure else 'tcp'}://{self.host}:{self.port}"

    def new_session(self) -> Session:
        # of each its own name: while one takes over from another there are two
        options = dict(self.session)
        if options.get("drop_copy") is None:
            options["drop_copy"] = self.role == "drop_copy"
        return Session(str(self.api_key), self.signer, **options)


def checked(
    role: str,
    environment: str,
    url: str | None,
    api_key: str | None,
    private_key: object,
    password: str | bytes | None,
    ssl: tls.SSLContext | None,
    local_addr: tuple[str, int] | None,
    open_timeout: float,
    reply_timeout: float,
    max_queue: int,
    reconnect: bool | None,
    session: dict[str, Any],
) -> Settings:
    host, port, is_secure = fix_address(environment, role, url)
    check_seconds("open_timeout", open_timeout)
    check_seconds("reply_timeout", reply_timeout)
    if not (isinstance(max_queue, int) and max_queue > 0):
        raise ValueError(f"max_queue is at least 1 message, not {max_queue!r}")
    made = Settings(
        role,
        host,
        port,
        is_secure,
        checked_key(api_key, FIX_KEY_HELP),
        signer_of(private_key_of(private_key), password_of(password)),
        Route(None, ssl, local_addr),
        float(open_timeout),
        float(reply_timeout),
        max_queue,
        role == "market_data" if reconnect is None else reconnect,
        session,
    )
    made.new_session()  # whose options are checked so
    return made
