from typing import Any, NamedTuple

SCHEMA: int
RECORD_BATCH: int

class Block(NamedTuple):
    offset: int
    metadata_length: int
    body_length: int

class Message(NamedTuple):
    kind: int
    body_length: int
    metadata: dict[bytes, bytes]

def read_message(data: Any) -> Message: ...
def schema_metadata(data: Any) -> dict[bytes, bytes]: ...
def read_footer(data: Any) -> list[Block]: ...
