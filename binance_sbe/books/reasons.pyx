"""Why a book is not live, in words."""

from .book_core cimport (
    BOOK_ANEW, BOOK_BAD_IDS, BOOK_BAD_PRICE, BOOK_BAD_QTY, BOOK_CROSSED, BOOK_GAP, BOOK_NO_MEMORY,
    BOOK_OVERFLOW, sbe_book, sbe_book_code, sbe_book_fault,
)

cdef dict FAILURES = {
    BOOK_OVERFLOW: "a price or a quantity is beyond 64 bits at the exponents that others need",
    BOOK_NO_MEMORY: "there is no memory left",
}


cdef str reason_of(const sbe_book* book, str marked):
    """The failure in words; ``marked`` is what somebody else has said."""
    cdef const sbe_book_fault* fault = &book.fault
    cdef sbe_book_code failure = book.failure
    side = "a bid" if fault.is_bid else "an ask"
    if failure == BOOK_GAP:
        missing = f"{fault.before + 1} to {fault.first - 1}"
        return f"updates {missing} are missing before the diff {fault.first} to {fault.last}"
    if failure == BOOK_ANEW:
        return (
            f"the ids went back from {fault.before} to {fault.last}, at a later time: the "
            "exchange counts anew"
        )
    if failure == BOOK_CROSSED:
        return (
            f"crossed at id {fault.before}: the best bid is {fault.first}, the best ask "
            f"{fault.last} (x 10^{fault.price})"
        )
    if failure == BOOK_BAD_QTY:
        return f"{side} at {fault.price} has the quantity {fault.qty}"
    if failure == BOOK_BAD_PRICE:
        return f"{side} has the price {fault.price}"
    if failure == BOOK_BAD_IDS:
        return f"a diff has the ids {fault.first} to {fault.last}"
    return FAILURES.get(failure, marked)
