"""Lifecycle files of the exchange: which releases there are, and which of two things holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from binance_sbe import lifecycle
from binance_sbe.lifecycle import Lifecycle, Release

A = {"id": 3, "version": 5, "releaseDate": "2026-07-07"}
B = {"id": 3, "version": 4, "releaseDate": "2026-05-08", "deprecatedDate": "2026-07-07"}
C = B | {"version": 1, "retiredDate": "2026-08-01"}


def document(
    latest: Any = A, deprecated: Any = (), retired: Any = (), **others: Any
) -> dict[str, Any]:
    return {
        "environment": "PROD", "latestSchema": latest, "deprecatedSchemas": list(deprecated),
        "retiredSchemas": list(retired), **others,
    }  # fmt: skip


def parsed(*given: Any, **others: Any) -> Lifecycle:
    return lifecycle.parse(json.dumps(document(*given, **others)))


def places(found: Lifecycle) -> list[tuple[int, int]]:
    return [(release.id, release.version) for release in found.releases]


def test_a_file_has_its_environment_and_all_releases_newest_first() -> None:
    other = B | {"id": 2, "version": 9}
    found = parsed(A, [other, B], [C])
    assert (found.environment, found.problems) == ("PROD", ())
    assert places(found) == [(3, 5), (3, 4), (3, 1), (2, 9)]
    assert found.releases[0] == Release(3, 5, "2026-07-07")
    assert found.releases[2] == Release(3, 1, "2026-05-08", "2026-07-07", "2026-08-01")


@pytest.mark.parametrize(
    ("dates", "state"),
    [
        ((None, None), "latest"), (("d", None), "deprecated"), (("d", "r"), "retired"),
        ((None, "r"), "retired"),
    ],
)  # fmt: skip
def test_the_state_of_a_release(dates: tuple[str | None, str | None], state: str) -> None:
    assert Release(3, 5, "x", *dates).state == state


@pytest.mark.parametrize(
    ("one", "other", "state", "since"),
    [
        # the later stage, whichever is told first
        ({}, {"deprecatedDate": "2026-01-01"}, "deprecated", "2026-01-01"),
        ({"deprecatedDate": "2026-01-01"}, {}, "deprecated", "2026-01-01"),
        ({"deprecatedDate": "2026-01-01"},
         {"deprecatedDate": "2026-01-01", "retiredDate": "2026-02-01"}, "retired", "2026-02-01"),
        ({"deprecatedDate": "2026-01-01", "retiredDate": "2026-02-01"},
         {"deprecatedDate": "2026-01-01"}, "retired", "2026-02-01"),
        ({"retiredDate": "2026-02-01"}, {}, "retired", "2026-02-01"),
        # of two dates the later
        ({"deprecatedDate": "2026-01-01"}, {"deprecatedDate": "2026-03-01"}, "deprecated",
         "2026-03-01"),
        ({"deprecatedDate": "2026-03-01"}, {"deprecatedDate": "2026-01-01"}, "deprecated",
         "2026-03-01"),
    ],
)  # fmt: skip
def test_of_two_things_that_are_said_the_later_stage_holds(
    one: Any, other: Any, state: str, since: str
) -> None:
    found = parsed(A | one, [A | other])
    (release,) = found.releases
    assert release.state == state
    assert (release.retired or release.deprecated) == since


def test_a_release_is_found_by_id_and_version() -> None:
    found = parsed(A, [B], [C])
    assert found.of(3, 4) is found.releases[1]
    assert found.of(3, 9) is found.of(4, 5) is None
    assert found.of(3, 1) == found.releases[2]


TRAILING = """{"environment": "DEMO", "latestSchema": {"id": 3, "version": 5,
 "releaseDate": "2026-07-07", },
 "deprecatedSchemas": [{"id": "3", "version": "4", "releaseDate": "2026-05-08"},],}"""
DAMAGED = """{"environment" : "TESTNET", "latestSchema": {"id": 3, "version": 5,
 "releaseDate": "2026-07-07"}
 "deprecatedSchemas": [{"id": 3, "version": 4, "releaseDate": "2026-05-08",},
 {"id": 3 "version": 3}, {"id": 3, "version": 2, "releaseDate": "x"}"""


def test_commas_too_many_are_taken_out_and_said() -> None:
    found = lifecycle.parse(TRAILING)
    assert places(found) == [(3, 5), (3, 4)]
    assert found.environment == "DEMO"
    assert found.problems == ("commas before a closing bracket",)


def test_of_a_damaged_file_every_release_that_can_be_read_is_taken() -> None:
    found = lifecycle.parse(DAMAGED)
    assert places(found) == [(3, 5), (3, 4), (3, 2)]
    assert found.environment == "TESTNET"
    assert found.problems == (
        "not JSON as it is",
        "damaged: releases were picked out one by one",
    )
    assert lifecycle.parse(DAMAGED.replace("environment", "x")).environment == ""


def test_what_is_no_release_is_left_out() -> None:
    broken: list[Any] = [None, {}, {"id": 3}, B | {"version": "x"}, B | {"id": None}, "text", [3]]
    assert places(parsed(A, broken, broken)) == [(3, 5)]
    assert places(lifecycle.parse(json.dumps({"latestSchema": None, "deprecatedSchemas": None,
                                              "retiredSchemas": [C]}))) == [(3, 1)]  # fmt: skip
    assert lifecycle.parse(json.dumps({"latestSchema": A})).environment == ""


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '"id"', '{"latestSchema": {"id": 3}}'])
def test_a_file_without_a_release_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no schema release in this text"):
        lifecycle.parse(text)


def test_a_list_of_releases_is_read_as_if_it_were_damaged() -> None:
    found = lifecycle.parse(json.dumps([A, B]))
    assert places(found) == [(3, 5), (3, 4)]
    assert found.problems == ("damaged: releases were picked out one by one",)


@pytest.mark.parametrize("known", [lifecycle.SPOT, lifecycle.FIX])
def test_what_the_package_knows_is_in_order(known: Lifecycle) -> None:
    """Each release is deprecated when the next is there, and retired after that."""
    newest, *others = known.releases
    assert newest.state == "latest"
    assert places(known) == sorted(places(known), reverse=True)
    for newer, older in zip(known.releases, others, strict=False):
        assert older.deprecated == newer.released
        assert older.retired is None or older.retired > older.deprecated
        assert older.released < newer.released
