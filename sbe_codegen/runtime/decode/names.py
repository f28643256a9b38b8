"""The names that are taken where a schema's names go; the schema's get ``_`` appended."""

from collections.abc import Container

MESSAGE_NAMES = frozenset(
    {
        "astuple", "astuple_float", "block", "decode", "encode", "encode_into", "encoded_length",
        "replace", "to_dict", "to_json_dict", "unpack", "validate", "version", "wrap",  # messages
        "frame", "received_ns",  # columns of tables
        "bool", "bytes", "float", "int", "property", "staticmethod", "str", "tuple",  # stubs
    }
)  # fmt: skip


def free(name: str, taken: Container[str]) -> str:
    """``name``, with as many ``_`` appended as it takes to be none of ``taken``."""
    while name in taken:
        name += "_"
    return name
