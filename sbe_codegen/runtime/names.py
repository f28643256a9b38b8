"""The names that message objects use themselves; a schema's own name gets ``_`` appended."""

MESSAGE_NAMES = frozenset(
    {"astuple", "block", "decode", "encoded_length", "to_dict", "version", "wrap"}
)
