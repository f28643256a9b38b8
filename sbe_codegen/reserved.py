"""The words that no name of a schema may be: all tables of them are here. `names` appends ``_``.

There are several, since names of a schema go to several places, and no name is changed where
nothing is in its way: a field may be called ``decode_many`` or ``cursor``, a message may not.

- ``ALL``, of Python, Cython and C: messages, enums and sets, and what is in enums and sets
- ``MODULE`` and ``PREFIX``, what a generated module has: messages, enums, sets, functions in C
- ``LOCALS``, what its functions call their variables, and what classes have in its stub: messages,
  since both name the class
- ``MESSAGE``, what message objects, tables and stubs have: fields, groups and data
- ``NOT_IN_C`` and ``STRUCT``: members of C structs

Words are compared as they would be printed: the member ``None`` of an enum is printed as ``NONE``,
which is nobody's word. A test reads generated modules and finds what ``MODULE`` or ``LOCALS`` lack.
"""

from __future__ import annotations

import keyword
import re

from .runtime.decode.names import MESSAGE_NAMES as MESSAGE  # where modules need it at import

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

MODULE = frozenset(
    """
    Any ArithmeticError BYTE_ORDER Base BaseCollector BaseException BaseMessage BaseScaled
    BaseSchema Batch Buffer ClassVar Collector Composite Decimal Entries Entry Exception Final
    HEADER_ELEMENTS HEADER_SIZE Header IntEnum IntFlag Literal MESSAGES Mapping NAN NDArray NO_TEXT
    NULL NamedTuple PACKAGE PyObject Py_ssize_t SCHEMA SCHEMA_ID SCHEMA_VERSION Self Sequence
    Symbols Table _MappingProxyType _PacketLayout _TYPES _attach _classes _composites _datetime
    _enum_types _header_class _reader _spec aim append_blob append_frames as_body body_length bool
    byte_int bytearray bytes close_run commit_offset commit_row commit_rows cython declare_kind
    decode decode_body decode_frames decode_header decode_many dict encode encode_many end_row
    entries_of entry_of final float frozenset globals has_room int intern is_open keep_tuple kind_of
    list load_member map max memcmp memcpy min next_entry np object open_body open_frame open_kind
    open_message open_run print property raise_fault range read_element read_text refused
    reserve_row reserve_rows roll_back scaled set set_kind size_t sizeof skip_data skip_group
    skip_unknown staticmethod step_back str take take_counted_entries take_entries take_entry
    take_header take_header_of take_next take_own_header take_root take_same_header tuple type
    typing_extensions walk_entries
    """.split()  # noqa: SIM905
)
PREFIX = re.compile(r"__|sbe_|SBE_|load_|FAULT_|FRAMING_|PyInit_|u?int(8|16|32|64)_t$")
LOCALS = frozenset(
    """
    BLOCK_LENGTH DTYPE FACTS TEMPLATE_ID as_there astuple astuple_float at before begin block
    block_length buffer capacity cls code copy count cursor data dimensions element elements
    encode_into entry fault first floats frame frames group header i kept kind memory message number
    offset on_error one owner place replace root row run self size symbols table tables template_id
    unpack values version wrap
    """.split()  # noqa: SIM905
)
STRUCT = frozenset({"root"})  # what the C struct of every message has

__all__ = ["ALL", "LOCALS", "MESSAGE", "MODULE", "NOT_IN_C", "PREFIX", "PYTHON", "STRUCT"]
