"""The forms of many frames, and offsets that can not be."""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sbe_codegen.runtime.tables.inputs import as_run, checked_offsets

OFFSETS = np.array([0, 2, 4], np.int64)


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ([b"ab", b"cd"], "frames"), ((b"ab", b"cd"), "frames"), ((), "frames"), ([], "frames"),
        ((b"ab", bytearray(b"cd")), "frames"), ((b"ab", b"cd", b"ef"), "frames"),
        ((b"ab", np.zeros(2, np.uint8)), "frames"), ((b"ab", "cd"), "frames"),
        ((b"ab", 5), "frames"),
        ((b"ab", ["x"]), "frames"), (([1], [b""]), "frames"),
        ((b"abcd", OFFSETS), "run"), ((b"abcd", memoryview(OFFSETS)), "run"),
        ((b"abcd", array("h", [0])), "run"), ((b"abcd", [0, 2]), "run"), ((b"abcd", []), "run"),
        (b"abcd", "buffer"), (bytearray(b"abcd"), "buffer"), (np.zeros(3, np.uint8), "buffer"),
    ],
)  # fmt: skip
def test_the_form_of_an_input_is_seen(given: Any, form: str) -> None:
    found = as_run(given)
    if form == "frames":
        assert found is None
    elif form == "run":
        assert found is given
    else:
        assert found is not None
        assert found[0] is given
        assert found[1] is None


@pytest.mark.parametrize("given", [5, None, {b"a"}, iter([b"a"]), "text", {"a": b"b"}])
def test_what_is_no_input_is_said(given: Any) -> None:
    with pytest.raises(TypeError) as caught:
        as_run(given)
    assert str(caught.value) == (
        "frames is a list or tuple of buffers, a tuple (buffer, int64 offsets), an Arrow binary "
        f"array, or one buffer of messages end to end, not {type(given).__name__}"
    )


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("part", [slice(None), slice(1, 3), slice(2, 2), slice(3, None)])
def test_arrow_arrays_and_slices_of_them_are_runs(kind: Any, part: slice) -> None:
    frames = [b"a", b"", b"bcd", b"ef"]
    found = as_run(pa.array(frames, kind)[part])
    assert found is not None
    buffer, offsets = found
    is_narrow = kind == pa.binary() and len(frames[part]) > 0
    assert offsets.dtype == (np.int32 if is_narrow else np.int64)
    assert checked_offsets(offsets, 7).dtype == offsets.dtype
    ends = offsets.tolist()
    assert [bytes(buffer)[a:b] for a, b in pairwise(ends)] == frames[part]


def test_arrow_arrays_of_empty_frames_have_a_buffer() -> None:
    buffer, offsets = as_run(pa.array([b"", b""], pa.binary()))  # type: ignore[misc]
    assert (bytes(buffer), offsets.tolist()) == (b"", [0, 0, 0])


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ([0, 4], TypeError, "offsets are an int64 array, not a list: np.array(offsets, np.int64)"),
        (OFFSETS.astype(np.int32), TypeError, "offsets are int64 in one dimension, not int32 in 1"),
        (OFFSETS.reshape(1, 3), TypeError, "offsets are int64 in one dimension, not int64 in 2"),
        (OFFSETS.astype(">i8"), TypeError, "offsets are int64 in one dimension, not >i8 in 1"),
        (OFFSETS[:0], ValueError,
         "offsets has no items: n frames have n + 1 offsets, the first one 0"),
        (np.array([0, 3, 2, 1]), ValueError, "offsets[2] = 2 is below offsets[1]"),
        (np.array([1, 0]), ValueError, "offsets[1] = 0 is below offsets[0]"),
        (np.array([-1, 4]), ValueError, "offsets go from -1 to 4, and the buffer has 4 bytes"),
        (np.array([0, 5]), ValueError, "offsets go from 0 to 5, and the buffer has 4 bytes"),
    ],
)  # fmt: skip
def test_offsets_that_can_not_be_are_explained(
    given: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        checked_offsets(given, 4)
    assert str(caught.value) == said


def test_offsets_at_their_limits_are_taken() -> None:
    for given in ([0], [4], [0, 0, 4, 4], [1, 3]):
        offsets = np.array(given, np.int64)
        assert checked_offsets(offsets, 4).tolist() == given
    spaced = np.arange(6, dtype=np.int64)[::2]
    assert checked_offsets(spaced, 4).flags.c_contiguous
