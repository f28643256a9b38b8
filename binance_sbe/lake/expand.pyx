"""Levels of the events of depth20 and depth, and numbers: what numpy takes several passes for.

Events are given in the order in which their rows are to be; bids come before asks, as in the event.
An event without levels has one row with side NO_SIDE, so that its ids are not lost.
"""

cimport cython
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t

import numpy as np

from sbe_codegen.runtime.decode.scaling cimport exact_float, sbe_scale

BID, ASK, NO_SIDE = 0, 1, 2


cdef enum:
    MOST = 0x7fffffff           # entries, where it is not known how many there are

cdef struct level_row:          # an entry of a group: `GroupTable.records`
    int64_t price
    int64_t qty


cdef const level_row[::1] rows_of(object records):
    """Entries as the compiled code reads them; TypeError where they are laid out otherwise."""
    if records.dtype.names != ("price", "qty") or records.dtype.itemsize != sizeof(level_row):
        raise TypeError(f"levels have a price and a qty, not {records.dtype}")
    return np.ascontiguousarray(records).view([("price", np.int64), ("qty", np.int64)])


@cython.boundscheck(False)
@cython.wraparound(False)
def counts(const int64_t[::1] events, const int64_t[::1] bids, const int64_t[::1] asks):
    """Rows of each of these events (int64), by the offsets of both groups."""
    result = np.empty(events.shape[0], np.int64)
    cdef int64_t[::1] out = result
    cdef Py_ssize_t i
    cdef int64_t event, count
    check(events, bids, MOST, bids.shape[0] - 1)
    check(events, asks, MOST, bids.shape[0] - 1)
    with nogil:
        for i in range(events.shape[0]):
            event = events[i]
            count = bids[event + 1] - bids[event] + asks[event + 1] - asks[event]
            out[i] = count if count else 1
    return result


@cython.boundscheck(False)
@cython.wraparound(False)
def levels(
    const int64_t[::1] events,
    bid_records, const int64_t[::1] bids,
    ask_records, const int64_t[::1] asks,
    int64_t total,
):
    """(price, qty, side, position, is_last) of the levels of these events, as mantissas.

    ``total`` is the sum of `counts`. ``position`` counts from 0 on, each side for itself, in the
    order of the event; ``is_last`` is 1 in the last row of an event.
    """
    cdef const level_row[::1] bid_rows = rows_of(bid_records)
    cdef const level_row[::1] ask_rows = rows_of(ask_records)
    check(events, bids, bid_rows.shape[0], bids.shape[0] - 1)
    check(events, asks, ask_rows.shape[0], bids.shape[0] - 1)
    made = (
        np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.uint8),
        np.empty(total, np.uint16), np.zeros(total, np.uint8),
    )
    cdef int64_t[::1] price = made[0], qty = made[1]
    cdef uint8_t[::1] side = made[2], is_last = made[4]
    cdef uint16_t[::1] position = made[3]
    cdef Py_ssize_t i
    cdef int64_t event, j, at = 0, need
    with nogil:
        for i in range(events.shape[0]):
            event = events[i]
            need = bids[event + 1] - bids[event] + asks[event + 1] - asks[event]
            if at + (need if need else 1) > total:
                at = -1
                break
            for j in range(bids[event], bids[event + 1]):
                price[at], qty[at] = bid_rows[j].price, bid_rows[j].qty
                side[at], position[at] = 0, <uint16_t>(j - bids[event])
                at += 1
            for j in range(asks[event], asks[event + 1]):
                price[at], qty[at] = ask_rows[j].price, ask_rows[j].qty
                side[at], position[at] = 1, <uint16_t>(j - asks[event])
                at += 1
            if not need:
                price[at] = qty[at] = 0
                side[at], position[at] = 2, 0
                at += 1
            is_last[at - 1] = 1
    if at != total:
        raise ValueError(f"{total} rows are not what these events have")
    return made


@cython.boundscheck(False)
@cython.wraparound(False)
def gathered(const int64_t[::1] events, records, const int64_t[::1] offsets):
    """(offsets, price, qty) of one side of these events, end to end, as Arrow lists have them.

    The offsets are int32: ValueError where there are more levels than those can count.
    """
    cdef const level_row[::1] rows = rows_of(records)
    check(events, offsets, rows.shape[0], offsets.shape[0] - 1)
    cdef int64_t total = 0, event, j, at = 0
    cdef Py_ssize_t i
    for i in range(events.shape[0]):
        total += offsets[events[i] + 1] - offsets[events[i]]
    if total >= 2**31:
        raise ValueError(f"{total} levels are too many for one list array")
    ends = np.empty(events.shape[0] + 1, np.int32)
    price, qty = np.empty(total, np.int64), np.empty(total, np.int64)
    cdef int[::1] end = ends
    cdef int64_t[::1] prices = price, quantities = qty
    end[0] = 0
    with nogil:
        for i in range(events.shape[0]):
            event = events[i]
            for j in range(offsets[event], offsets[event + 1]):
                prices[at], quantities[at] = rows[j].price, rows[j].qty
                at += 1
            end[i + 1] = <int>at
    return ends, price, qty


@cython.boundscheck(False)
@cython.wraparound(False)
def scaled(const int64_t[::1] mantissas, const int8_t[::1] exponents, repeats=None):
    """mantissa x 10^exponent as the nearest float64, in one pass.

    The exponent of each; or, with ``repeats`` (int64), of so many of them, one after the other.
    """
    result = np.empty(mantissas.shape[0], np.float64)
    cdef double[::1] out = result
    cdef const int64_t[::1] times
    cdef Py_ssize_t i, j, at = 0, end
    cdef Py_ssize_t n = mantissas.shape[0]
    cdef bint is_exact = True
    if repeats is None:
        if exponents.shape[0] != n:
            raise ValueError("there is not an exponent for each mantissa")
        with nogil:
            for i in range(n):
                if not sbe_scale(mantissas[i], exponents[i], &out[i]):
                    with gil:
                        out[i] = exact_float(mantissas[i], exponents[i])
        return result
    times = repeats
    if times.shape[0] != exponents.shape[0]:
        raise ValueError("there is not a number of repeats for each exponent")
    with nogil:
        for i in range(exponents.shape[0]):
            end = at + times[i]
            if times[i] < 0 or end > n:
                is_exact = False
                break
            for j in range(at, end):
                if not sbe_scale(mantissas[j], exponents[i], &out[j]):
                    with gil:
                        out[j] = exact_float(mantissas[j], exponents[i])
            at = end
    if not is_exact or at != n:
        raise ValueError(f"{n} mantissas are not what the repeats have")
    return result


@cython.boundscheck(False)
@cython.wraparound(False)
cdef int check(
    const int64_t[::1] events, const int64_t[::1] offsets, Py_ssize_t entries, Py_ssize_t rows
) except -1:
    """That these events are some of the table's, and their entries some of the group's."""
    cdef Py_ssize_t i
    cdef int64_t event
    if rows < 0 or offsets.shape[0] != rows + 1:
        raise ValueError(f"{offsets.shape[0]} offsets for {rows} events")
    for i in range(events.shape[0]):
        event = events[i]
        if not 0 <= event < rows:
            raise ValueError(f"event {event} of {rows}")
        if not 0 <= offsets[event] <= offsets[event + 1] <= entries:
            raise ValueError(f"the levels of event {event} are not among {entries}")
    return 0


cdef extern from *:
    """
    #include <stdint.h>
    static inline int sbe_fixed(int64_t mantissa, int up, int64_t *low, int64_t *high)
    {
        __int128 value = mantissa;
        if (mantissa == 0) up = 0;
        if (up > 19) return 0;
        for (; up > 0; up--) value *= 10;
        for (; up < 0; up++) {
            if (value % 10) return 0;
            value /= 10;
        }
        *low = (int64_t)value;
        *high = (int64_t)(value >> 64);
        return 1;
    }
    """
    bint sbe_fixed(int64_t mantissa, int up, int64_t* low, int64_t* high) noexcept nogil


@cython.boundscheck(False)
@cython.wraparound(False)
def fixed(const int64_t[::1] mantissas, const int8_t[::1] exponents, int places):
    """mantissa x 10^exponent x 10^places as integers of 128 bits: int64 of shape (n, 2), low first.

    There is an exponent for each. Raises ValueError for the first that would lose a digit.
    """
    cdef Py_ssize_t i, n = mantissas.shape[0]
    cdef Py_ssize_t bad = -1
    if exponents.shape[0] != n:
        raise ValueError("there is not an exponent for each mantissa")
    result = np.empty((n, 2), np.int64)
    cdef int64_t[:, ::1] out = result
    with nogil:
        for i in range(n):
            if not sbe_fixed(mantissas[i], exponents[i] + places, &out[i, 0], &out[i, 1]):
                bad = i
                break
    if bad >= 0:
        raise ValueError(
            f"{mantissas[bad]} x 10^{exponents[bad]} has more than {places} digits after the point"
        )
    return result


cdef extern from *:
    """
    /* mantissa x 10^exponent in plain digits, at least as many places as the exponent has; returns
       how many bytes: at most 20 + 128 + 3. */
    static inline int sbe_digits(int64_t mantissa, int exponent, char *out)
    {
        char digits[20];
        uint64_t size = mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
        int n = 0, at = 0, i, places = exponent < 0 ? -exponent : 0;
        do { digits[n++] = '0' + (char)(size % 10); size /= 10; } while (size);
        if (mantissa < 0) out[at++] = '-';
        if (n <= places) out[at++] = '0';
        for (i = n - 1; i >= places; i--) out[at++] = digits[i];
        if (mantissa != 0) for (i = 0; i < exponent; i++) out[at++] = '0';
        if (places) {
            out[at++] = '.';
            for (i = places - 1; i >= 0; i--) out[at++] = i < n ? digits[i] : '0';
        }
        return at;
    }
    """
    int sbe_digits(int64_t mantissa, int exponent, char* out) noexcept nogil

cdef enum:
    LONGEST_NUMBER = 152        # bytes


@cython.boundscheck(False)
@cython.wraparound(False)
def texts(const int64_t[::1] mantissas, const int8_t[::1] exponents):
    """(offsets, bytes): the exact numbers as text, as an Arrow string array has them.

    There is an exponent for each. Raises ValueError where they are too many for offsets of 32 bits.
    """
    cdef Py_ssize_t i, n = mantissas.shape[0]
    cdef int64_t at = 0
    cdef char* out
    if exponents.shape[0] != n:
        raise ValueError("there is not an exponent for each mantissa")
    if n > 2**31 // LONGEST_NUMBER:
        raise ValueError(f"{n} numbers are too many for one array of texts")
    offsets = np.zeros(n + 1, np.int32)
    content = np.empty(n * LONGEST_NUMBER + 1, np.uint8)
    cdef int32_t[::1] ends = offsets
    cdef uint8_t[::1] bytes = content
    out = <char*>&bytes[0]
    with nogil:
        for i in range(n):
            at += sbe_digits(mantissas[i], exponents[i], out + at)
            ends[i + 1] = <int32_t>at
    return offsets, content[:at]
