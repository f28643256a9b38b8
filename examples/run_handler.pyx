# cython: language_level=3
"""A handler in C for `Feed.run`: no Python runs, and no object is made, for any message.

    cythonize -i examples/run_handler.pyx

    prices = BestPrices(1000)
    await feed.run(prices)          # of bestBidAsk; ends after a thousand of its events
    prices.bid, prices.ask, prices.events
"""

from libc.stdint cimport int64_t

from binance_sbe.feed.intake.handlers cimport FrameHandler, sbe_parsed
from binance_sbe.spot_stream cimport (
    BestBidAskStreamEvent_ask_price, BestBidAskStreamEvent_bid_price,
)
from binance_sbe.venue.kinds cimport BEST_BID_ASK


cdef struct best_prices:
    int64_t bid                 # mantissas
    int64_t ask
    int64_t events
    int64_t others              # of other kinds
    int64_t received            # when the last came, ns since 1970
    int64_t most


cdef bint note(
    void* context, int kind, const sbe_parsed* frame, int64_t received
) noexcept nogil:
    """Called where a frame was read; False: no more is wanted."""
    cdef best_prices* state = <best_prices*>context
    state.received = received
    if kind != BEST_BID_ASK:
        state.others += 1
        return True
    state.bid = BestBidAskStreamEvent_bid_price(&frame.best_bid_ask)
    state.ask = BestBidAskStreamEvent_ask_price(&frame.best_bid_ask)
    state.events += 1
    return state.events < state.most


cdef class BestPrices(FrameHandler):
    cdef best_prices state

    def __cinit__(self, int64_t most=0x7fffffffffffffff):
        self.state.most = most
        self.on_frame = note
        self.context = &self.state      # which lives as long as this object, and `run` keeps that

    @property
    def bid(self):
        return self.state.bid

    @property
    def ask(self):
        return self.state.ask

    @property
    def events(self):
        return self.state.events

    @property
    def others(self):
        return self.state.others

    @property
    def received_ns(self):
        return self.state.received
