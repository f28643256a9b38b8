"""Runs in an environment that has hftbacktest: validates a file, and plays it.

``python hftbacktest_run.py FILE TICK STEP_NS STEPS`` prints JSON: the version, the number of rows,
and at each step the local time, best bid and best ask that a backtest sees.
"""

import json
import sys
from importlib.metadata import version

import numpy as np
from hftbacktest import BacktestAsset, HashMapMarketDepthBacktest
from hftbacktest.data.validation import validate_event_order
from hftbacktest.types import event_dtype
from numba import njit


@njit
def played(hbt, step, out):
    for i in range(len(out)):
        if hbt.elapse(step) != 0:
            return i
        depth = hbt.depth(0)
        out[i, 0] = hbt.current_timestamp
        out[i, 1] = depth.best_bid
        out[i, 2] = depth.best_ask
    return len(out)


def main(file: str, tick: float, step: int, steps: int) -> None:
    rows = np.load(file)["data"]
    assert rows.dtype == event_dtype, rows.dtype
    validate_event_order(rows)
    is_local = rows["ev"] & (1 << 30) != 0
    is_exchange = rows["ev"] & (1 << 31) != 0
    assert (rows["local_ts"] >= rows["exch_ts"]).all()
    assert is_local.sum() == is_exchange.sum()
    asset = (
        BacktestAsset()
        .data([file])
        .linear_asset(1.0)
        .constant_order_latency(1_000_000, 1_000_000)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(tick)
        .lot_size(1e-8)
    )
    hbt = HashMapMarketDepthBacktest([asset])
    out = np.full((steps, 3), np.nan)
    count = played(hbt, step, out)
    hbt.close()
    seen = [[int(t), float(b), float(a)] for t, b, a in out[:count]]
    print(json.dumps({"version": version("hftbacktest"), "rows": len(rows), "seen": seen}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
