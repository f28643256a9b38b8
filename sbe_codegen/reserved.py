"""The words that no name of a schema may be, in Python, Cython or C: one table for all positions.

`names` appends ``_`` to what is in it. Words are compared as they would be printed: the member
``None`` of an enum is printed as ``NONE``, which is nobody's word.
"""

from __future__ import annotations

import keyword

# Cython's own, the names it treats as types, and those that end a compile-time branch.
CYTHON = frozenset(
    """
    DEF ELIF ELSE IF NULL Py_UCS4 Py_UNICODE Py_hash_t Py_ssize_t Py_tss_t __cinit__ __dealloc__ api
    basestring bint by cdef cimport complex cpdef ctypedef cython enum except exec extern fused gil
    include inline longlong namespace new nogil object operator packed print ptrdiff_t public
    readonly size_t sizeof ssize_t struct typeid typeof union unicode unsigned
    """.split()  # noqa: SIM905
)

# C up to C23 with gcc's own, C++, and macros and types of the headers that compiled code includes.
C = frozenset(
    """
    _Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert
    _Thread_local alignas alignof and_eq asm auto bitand bitor bool break case catch char char16_t
    char32_t char8_t compl complex concept const const_cast consteval constexpr constinit continue
    co_await co_return co_yield decltype default delete do double dynamic_cast else enum explicit
    export extern false far final float for friend goto if imaginary inline int long mutable
    namespace near new noexcept not_eq nullptr operator or_eq override private protected public
    register reinterpret_cast requires restrict return short signed sizeof static static_assert
    static_cast struct switch template this thread_local throw true try typedef typeid typename
    typeof typeof_unqual union unsigned using virtual void volatile wchar_t while xor xor_eq
    NULL assert errno i386 linux offsetof stderr stdin stdout unix
    int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t intptr_t uintptr_t
    """.split()  # noqa: SIM905
)

PYTHON = frozenset([*keyword.kwlist, *keyword.softkwlist])

# What C structs and functions, and modules of Cython, can't be called.
NOT_IN_C = C | CYTHON
ALL = PYTHON | NOT_IN_C
