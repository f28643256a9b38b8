"""`binance_sbe.books.book_core`, by the name that programs cimport."""

from .books.book_core cimport (
    BOOK_ANEW, BOOK_APPLIED, BOOK_BAD_IDS, BOOK_BAD_PRICE, BOOK_BAD_QTY, BOOK_CROSSED, BOOK_GAP,
    BOOK_LIVE, BOOK_MARKED, BOOK_NO_MEMORY, BOOK_OLD, BOOK_OVERFLOW, BOOK_STALE, BOOK_SYNCING,
    BOOK_WAITS, apply_frame, begin, compare_frame, copy_levels, fail, finish, forget_touched,
    free_book, make_touched, rebuild, sbe_book, sbe_book_code, sbe_book_fault, sbe_book_state,
    sbe_comparison,
)
