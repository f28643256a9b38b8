"""The names that are taken where a schema's names go; the schema's get ``_`` appended."""

MESSAGE_NAMES = frozenset(
    {
        "astuple", "block", "decode", "encoded_length", "to_dict", "unpack", "validate",
        "version", "wrap",  # messages
        "frame", "received_ns",  # columns of tables
        "bool", "bytes", "float", "int", "property", "staticmethod", "str", "tuple",  # stubs
    }
)  # fmt: skip
