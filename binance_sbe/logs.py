"""Loggers, whose records hold no API key and nothing that a terminal would take for a command.

Levels and handlers are the user's: none is set here.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from .keys import stripped
from .output import shown

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FORMATTER = logging.Formatter()
_LONGEST = 10_000  # characters of a line, or of a field
_DEEPEST = 5  # of extra fields


class Cleaning(logging.Filter):
    """Changes records so that whatever handlers make of them is clean; lets all of them through.

    What is clean as it is stays as it is: the message with its arguments, and the exception.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()
        except Exception:
            said = f"{record.msg} {record.args!r}"
        text = _clean(said)
        if text != said or _value(record.args) is not record.args:
            record.msg, record.args = text, ()
        if record.exc_info and not record.exc_text:
            trace = _FORMATTER.formatException(record.exc_info)
            if (lines := _lines(trace)) != trace:
                record.exc_text, record.exc_info = lines, None
        elif record.exc_text:
            record.exc_text = _lines(record.exc_text)
        if record.stack_info:
            record.stack_info = _lines(record.stack_info)
        for name, value in list(vars(record).items()):
            if name not in _STANDARD:
                setattr(record, name, _value(value))
        return True


def _clean(text: str) -> str:
    return shown(text, _LONGEST)


def _lines(text: str) -> str:
    """Of several lines: a traceback."""
    return "\n".join(map(_clean, text.split("\n")))


def _value(value: Any, depth: int = 0) -> Any:
    """What is clean; the same object where that is so already."""
    try:
        return _cleaned_value(value, depth)
    except Exception:  # a weak reference to what is gone, for one
        return "a value that can't be shown"


def _cleaned_value(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str):
        text = _clean(value)
        return value if text == value else text
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        items = [_value(each, depth + 1) for each in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else items
    if depth < _DEEPEST and isinstance(value, dict):
        pairs = {_value(k, depth + 1): _value(v, depth + 1) for k, v in value.items()}
        same = all(k in value and value[k] is v for k, v in pairs.items())
        return value if same and len(pairs) == len(value) else pairs
    try:
        said, told = str(value), repr(value)
    except Exception:
        return f"a {type(value).__name__} without a repr"
    is_clean = all(len(t) <= _LONGEST and stripped(t) == t for t in (said, told))
    return value if is_clean else _clean(told)


class _Adapter(logging.LoggerAdapter[logging.Logger]):
    """Not a Logger: of those packages make children, which filters do not reach."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs


def _cleaned(logger: logging.Logger) -> logging.Logger:
    logger.addFilter(Cleaning())
    return logger


LOG = _cleaned(logging.getLogger("binance_sbe"))
_WEBSOCKET = _Adapter(_cleaned(LOG.getChild("websocket")), {})


def websocket_logger() -> logging.LoggerAdapter[logging.Logger]:
    """For packages that open connections for us; at DEBUG they show the headers of handshakes."""
    return _WEBSOCKET
