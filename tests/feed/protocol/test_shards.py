"""How streams are cut into shards."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shell import Even

from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.protocol.shards import Connection, Phase, Shards
from binance_sbe.feed.settings import Settings


def names(shards: Shards) -> list[list[str]]:
    return [list(shard.names) for shard in shards]


def numbered(first: int, end: int) -> list[str]:
    return [f"s{i}" for i in range(first, end)]


def test_a_shard_is_filled_before_there_is_another_and_room_is_used_again() -> None:
    shards = Shards(Settings(lines=2, first_pause=0.5, longest_pause=9.0), Even())
    assert (list(shards), shards.slots, len(shards)) == ([], [], 0)
    assert shards.place(numbered(0, 1023), 5.0) == {1: numbered(0, 1023)}
    places = shards.place(["s5", *numbered(1023, 1026), "s6"], 6.0)
    assert places == {1: ["s5", "s1023", "s6"], 2: ["s1024", "s1025"]}
    assert names(shards) == [numbered(0, 1024), ["s1024", "s1025"]]
    assert [(shard.number, len(shard.slots)) for shard in shards] == [(1, 2), (2, 2)]
    assert [(slot.shard.number, slot.index, slot.attempt_at) for slot in shards.slots] == [
        (1, 0, 5.0), (1, 1, 5.0), (2, 0, 6.0), (2, 1, 6.0),
    ]  # fmt: skip
    assert len(shards) == 2
    for slot in shards.slots:
        assert (slot.backoff.first, slot.backoff.longest) == (0.5, 9.0)
        assert (slot.renewals.first, slot.renewals.longest) == (1.0, 3600.0)
    assert shards.remove(["s1025", "nobody's", "s7"]) == {1: ["s7", "nobody's"], 2: ["s1025"]}
    assert shards.place(["new", "newer"], 7.0) == {1: ["new"], 2: ["newer"]}
    assert len(shards) == 2


def test_where_there_is_no_shard_nobody_is_asked_about_a_stream() -> None:
    assert Shards(Settings(), Even()).remove(["a"]) == {}


@pytest.mark.parametrize(
    ("phases", "lost"),
    [
        ([None, None], {"a", "b"}),
        ([Phase.OPENING, Phase.SUBSCRIBING], {"a", "b"}),
        ([Phase.OPENING, Phase.LIVE], set()),
        ([Phase.LIVE, None], set()),
    ],
)
def test_streams_are_cut_off_where_no_line_is_live(
    phases: list[Phase | None], lost: set[str]
) -> None:
    shards = Shards(Settings(lines=2), Even())
    assert shards.cut_off() == set()
    shards.place(["a", "b"], 0.0)
    for slot, phase in zip(shards.slots, phases, strict=True):
        if phase is not None:
            slot.current = Connection(1, slot, Source(), phase)
    assert shards.cut_off() == lost


STEPS = st.lists(
    st.tuples(st.booleans(), st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=6)),
    min_size=20,
    max_size=40,
)


@given(STEPS)
def test_a_name_is_in_one_shard_and_no_shard_is_too_full(steps: list[tuple[bool, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("binance_sbe.feed.protocol.shards.MAX_STREAMS", 3)
        shards, wanted, most = Shards(Settings(), Even()), set[str](), 0
        for is_wanted, asked in steps:
            given_names = list(dict.fromkeys(asked))
            before = {n: s.number for s in shards for n in s.names}
            places = shards.place(given_names, 0.0) if is_wanted else shards.remove(given_names)
            (wanted.update if is_wanted else wanted.difference_update)(given_names)
            most = max(most, len(wanted))
            told = [name for part in places.values() for name in part]
            assert sorted(told) == sorted(given_names if len(shards) else [])
            for number, part in places.items():
                for name in part:
                    assert number == before.get(name, number)
            held = [name for shard in shards for name in shard.names]
            assert sorted(held) == sorted(wanted)
            assert all(len(shard.names) <= 3 for shard in shards)
            assert len(shards) == -(-most // 3)


def test_only_what_has_no_connection_is_old() -> None:
    shards = Shards(Settings(lines=2), random.Random(1))
    assert shards.cut_off() == set()
    names = [f"s{i}@trade" for i in range(1500)]
    shards.place(names, 0.0)
    assert (len(shards), shards.cut_off()) == (2, set(names))
    first, second = shards
    for shard in (first, second):
        for number, slot in enumerate(shard.slots):
            slot.current = Connection(number, slot, Source())
            slot.current.phase = Phase.LIVE
    assert shards.cut_off() == set()
    second.slots[0].current = None
    assert shards.cut_off() == set()  # the other line brings them
    second.slots[1].current.phase = Phase.SUBSCRIBING  # type: ignore[union-attr]
    assert shards.cut_off() == set(second.names)
