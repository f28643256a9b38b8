"""Loggers. No message of ours, and none that websockets writes for us, holds an API key."""

from __future__ import annotations

import logging

LOG = logging.getLogger("binance_sbe")


def websocket_logger() -> logging.Logger:
    """For websockets to use: without its debug messages, which show the handshake's headers."""
    logger = LOG.getChild("websocket")
    logger.setLevel(logging.INFO)
    return logger
