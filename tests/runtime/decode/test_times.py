"""Times as datetimes: exact, in UTC, and None where there is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import vectors
from hypothesis import given
from hypothesis import strategies as st

import binance_sbe
from binance_sbe import MalformedMessage, fix_sbe, spot_sbe
from sbe_codegen.runtime.decode.times import (
    datetime_name,
    datetime_property,
    to_datetime,
    unit_of,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_the_time_of_an_event_is_a_datetime() -> None:
    message = binance_sbe.decode(vectors.BEST_BID_ASK)
    assert message.event_time == 1735689600000123
    assert message.event_datetime == datetime(2025, 1, 1, 0, 0, 0, 123, tzinfo=UTC)
    trades = binance_sbe.decode(vectors.TRADES)
    assert trades.transact_datetime - EPOCH == timedelta(microseconds=trades.transact_time)  # type: ignore[union-attr]
    assert "event_datetime" not in message.to_dict()


@pytest.mark.parametrize(
    ("type_name", "unit"),
    [
        ("utcTimestampUs", "us"), ("UTCTimestampNs", "ns"), ("utc_timestamp_ms", "ms"),
        ("utcTimestampS", "s"), ("utcTimestamp", None), ("int64", None), ("utcTimestampUsX", None),
    ],
)  # fmt: skip
def test_the_type_says_whether_it_is_a_time(type_name: str, unit: str | None) -> None:
    assert unit_of(type_name) == unit


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("event_time", "event_datetime"), ("time", "datetime"),
        ("transact_time", "transact_datetime"), ("expires", "expires_datetime"),
        ("lifetime", "lifedatetime"),
    ],
)  # fmt: skip
def test_the_attribute_has_the_name_of_the_field(name: str, named: str) -> None:
    assert datetime_name(name) == named


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_microseconds_are_exact(value: int) -> None:
    assert (to_datetime(value, "us") - EPOCH) // timedelta(microseconds=1) == value


@pytest.mark.parametrize(
    ("unit", "value", "made"),
    [
        ("s", -1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("ms", 1, datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)),
        ("ns", 1999, datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
        ("ns", -1, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_other_units_are_what_they_are(unit: str, value: int, made: datetime) -> None:
    assert to_datetime(value, unit) == made


def test_what_no_datetime_can_be_says_so() -> None:
    frame = bytearray(vectors.BEST_BID_ASK)
    frame[8:16] = (2**63 - 1).to_bytes(8, "little")
    message = binance_sbe.decode(frame)
    assert message.event_time == 2**63 - 1
    with pytest.raises(MalformedMessage, match=r"eventTime is 9223372036854775807 us .*event_time"):
        _ = message.event_datetime


def test_no_time_is_no_datetime() -> None:
    class Message:
        when = None

    assert datetime_property("when", "when", "us").__get__(Message()) is None


def test_every_time_of_every_schema_has_one() -> None:
    for module in (spot_sbe, fix_sbe):
        for message in module.MESSAGES.values():
            for element in message._ELEMENTS:  # type: ignore[attr-defined]
                facts = getattr(element, "facts", None) or {}
                if facts.get("kind") == "number" and unit_of(facts.get("type_name")):
                    assert hasattr(message, datetime_name(element.name)), (message, element.name)
