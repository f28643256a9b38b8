"""Exchanges beside the test, for feeds without asyncio."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from beside import Beside, beside, nothing_left

from binance_sbe.simulator import Exchange


@pytest.fixture
def leaves_nothing() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture
def exchange() -> Iterator[Beside[Exchange]]:
    """It publishes by itself."""
    with beside(lambda: Exchange(["btcusdt", "ethusdt"], rate=500)) as made:
        yield made


@pytest.fixture
def quiet() -> Iterator[Beside[Exchange]]:
    """Nothing comes but what `trade` sends, and books at rest."""
    with beside(lambda: Exchange(["btcusdt", "ethusdt"], rate=1e-9)) as made:
        yield made
