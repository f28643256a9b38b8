"""What a text frame means: replies, refusals, notices, and everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from binance_sbe.feed.protocol.session import (
    Accepted,
    Refused,
    ServerShutdown,
    Session,
    UnknownText,
)

# What one request, with id 1, is waiting for; REQUEST stands for it.
REQUEST = object()
TEXTS: list[tuple[str, Any]] = [
    ('{"result": null, "id": 1}', Accepted(REQUEST, None)),
    ('{"result": ["a"], "id": 1}', Accepted(REQUEST, ["a"])),
    ('{"result": null}', Accepted(REQUEST, None)),
    ('{"result": null, "id": null}', Accepted(REQUEST, None)),
    ('{"data": {"result": null, "id": 1}}', Accepted(REQUEST, None)),
    ('{"result": null, "id": 2}', UnknownText),
    ('{"result": null, "id": "1"}', UnknownText),
    ('{"result": null, "id": [1]}', UnknownText),
    ('{"id": 1}', UnknownText),
    ('{"code": 2, "msg": "no", "id": 1}', Refused(REQUEST, 2, "no")),
    ('{"code": 2, "msg": "no"}', Refused(REQUEST, 2, "no")),
    ('{"code": 2, "id": 1}', Refused(REQUEST, 2, "")),
    ('{"code": 2, "msg": "no", "id": 7}', Refused(None, 2, "no")),
    ('{"error": {"code": 3, "msg": 4}, "id": 1}', Refused(REQUEST, 3, "4")),
    ('{"error": "bad", "code": 5, "id": 1}', Refused(REQUEST, 5, "")),
    ('{"error": {}, "id": 1}', UnknownText),
    ('{"e": "serverShutdown", "E": 7}', ServerShutdown(7)),
    ('{"data": {"e": "serverShutdown"}}', ServerShutdown(None)),
    ('{"e": "trade", "E": 7}', UnknownText),
    ('{"data": [1], "id": 1, "result": null}', Accepted(REQUEST, None)),
    ('[{"e": "serverShutdown"}]', UnknownText),
    ("null", UnknownText),
    ("1", UnknownText),
    ("", UnknownText),
    ('{"result"', UnknownText),
    ("[" * 100_000, UnknownText),
]


@pytest.mark.parametrize(("text", "meaning"), TEXTS, ids=[text[:40] for text, _ in TEXTS])
def test_a_text_means(text: str, meaning: Any) -> None:
    session = Session()
    request = session.subscribe(["a@trade"])
    if meaning is UnknownText:
        meaning = UnknownText(text)
    elif isinstance(meaning, Accepted):
        meaning = Accepted(request, meaning.result)
    elif isinstance(meaning, Refused) and meaning.request is REQUEST:
        meaning = Refused(request, meaning.code, meaning.reason)
    assert session.receive_text(text) == meaning
    assert session.streams == ["a@trade"] * isinstance(meaning, Accepted)
    is_over = isinstance(meaning, Accepted) or getattr(meaning, "request", None) is request
    again = session.receive_text('{"result": null, "id": 1}')
    assert isinstance(again, UnknownText if is_over else Accepted)


def test_a_request_has_its_own_number_and_says_what_it_is_about() -> None:
    session = Session()
    first = session.subscribe(["A@trade", "b@depth", "a@trade"])
    second = session.unsubscribe(["a@trade"])
    assert (first.id, first.method, first.streams) == (1, "SUBSCRIBE", ["a@trade", "b@depth"])
    assert (second.id, second.method, second.streams) == (2, "UNSUBSCRIBE", ["a@trade"])
    assert json.loads(first.text) == {
        "method": "SUBSCRIBE", "params": ["a@trade", "b@depth"], "id": 1,
    }  # fmt: skip
    for method in (session.subscribe, session.unsubscribe):
        with pytest.raises(ValueError, match=f"{method.__name__} needs at least one stream"):
            method([])


def test_a_reply_without_an_id_belongs_to_a_request_only_where_there_is_one() -> None:
    session = Session()
    first, second = session.subscribe(["a@trade"]), session.subscribe(["b@trade"])
    assert session.receive_text('{"result": null}') == UnknownText('{"result": null}')
    session.forget(second)
    session.forget(second)
    assert session.receive_text('{"result": null}') == Accepted(first, None)
    assert session.streams == ["a@trade"]


def test_streams_are_those_acknowledged_in_the_order_they_were_asked_for() -> None:
    session = Session()
    for number, (method, names) in enumerate(
        [("subscribe", "abc"), ("unsubscribe", "b"), ("subscribe", "da"), ("unsubscribe", "x")], 1
    ):
        getattr(session, method)([f"{name}@trade" for name in names])
        session.receive_text(json.dumps({"result": None, "id": number}))
    assert session.streams == ["a@trade", "c@trade", "d@trade"]


def test_a_connection_takes_1024_streams_and_those_that_leave_make_room_until_asked_back() -> None:
    session = Session()
    names = [f"s{i}@trade" for i in range(1024)]
    with pytest.raises(ValueError, match="1025 streams: a connection takes 1024"):
        session.subscribe([*names, "one@trade"])
    session.subscribe(names)
    session.receive_text('{"result": null, "id": 1}')
    with pytest.raises(ValueError, match="1025 streams"):
        session.subscribe(["one@trade"])
    session.subscribe(names[:1])  # again, which takes no more room
    session.unsubscribe(names[:2])
    session.subscribe(["one@trade"])
    session.subscribe(names[:1])  # back, before its leaving is acknowledged
    with pytest.raises(ValueError, match="1025 streams"):
        session.subscribe(["one@trade", "two@trade"])
    counts = []
    for number in (2, 3, 4, 5):
        session.receive_text(json.dumps({"result": None, "id": number}))
        counts.append(len(session.streams))
    assert counts == [1024, 1022, 1023, 1024]
    with pytest.raises(ValueError, match="1025 streams"):
        session.subscribe(["two@trade"])
    session.unsubscribe(["s5@trade"])
    session.subscribe(["two@trade"])
