"""The corpus, and damage done to it for as long as FUZZ_SECONDS says (default: 10)."""

from __future__ import annotations

import os
import random

import pytest
from fuzzing import corpus, fuzz, look_at

from binance_sbe import fix_sbe, spot_sbe, spot_stream


@pytest.mark.fuzz
def test_the_corpus_is_decoded_or_refused() -> None:
    seen = set()
    for module, name, frame in corpus():
        look_at(module, frame)
        seen.add((module, name))
    for module in (spot_sbe, fix_sbe, spot_stream):
        for message in module.MESSAGES.values():
            assert (module, message.__name__) in seen


@pytest.mark.fuzz
def test_damaged_frames_are_values_or_decode_errors() -> None:
    seconds = float(os.environ.get("FUZZ_SECONDS", "10"))
    seed = int(os.environ.get("FUZZ_SEED", random.randrange(2**32)))
    assert fuzz(seconds, seed) > 10
