"""Gives the message classes of a generated module what encodes, and the module its functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..decode.elements import set_attributes
from ..decode.names import free
from ..errors import EncodeError, UnknownName
from .many import written
from .methods import Encoder, replace
from .plan import Planner
from .refusals import of_message, refusal
from .tables import contents_of

_DOC = """\
The message with these values as bytes: the inverse of `to_dict`.

Names are those of the attributes. A field may be left out where it is optional (it is null then) or
constant, a group where it has no entries. Enums are members, names or numbers; sets lists of names,
flags or ints; composites dicts; a group is a list of dicts or a structured array of raw numbers. A
scaled field is its mantissa under its own name, or its value under the name with _float or _decimal
(of all entries of a group: the group's name with _float): exactly, or it is refused. With
exponents="fit" the exponents are chosen so that all scaled values are exact.
version= writes as a sender of an older version of the schema, without what it did not have.

Raises EncodeError for values that can't be written."""

_INTO_DOC = """\
Writes the message to buffer[offset:] and returns how many bytes it takes.

The values are those of `encode`. The buffer is anything writable with one run of bytes. Raises
EncodeError, also where there is no room, and then not a byte has been written."""


def attach(schema: Any, header: Any, module: str) -> tuple[Callable[..., Any], ...]:
    """``encode`` and ``encode_many`` of the module; its classes get `encode` and the like."""
    spec = header._SPEC
    has_lengths = spec["block_length_at"] != [0, 0]
    planner = Planner(spec["order"], module, schema.version, has_lengths)

    is_version_sent = len(spec["version_at"]) == 2

    def make_header(message: Any, length: int, groups: int, data: int, version: int) -> bytes:
        if version != schema.version and not is_version_sent:
            raise refusal(
                "version", version, f"headers of this schema can't say it: they are all of version "
                f"{schema.version}"
            )  # fmt: skip
        return header_bytes(spec, {
            "block_length_at": length, "template_id_at": message.TEMPLATE_ID,
            "schema_id_at": schema.id, "version_at": version, "groups_at": groups, "data_at": data,
        })  # fmt: skip

    for message in schema.classes:
        names, options = keywords(message)
        into = free("buffer", names), free("offset", names)
        encode_doc = f"encode({_signature(names, options)})\n--\n\n{_DOC}"
        into_doc = f"encode_into({', '.join([into[0], f'{into[1]}=0', ''])}"
        into_doc += f"{_signature(names, options)})\n--\n\n{_INTO_DOC}"
        known = options | {into[0]: "buffer", into[1]: "offset"}
        encoder = Encoder(
            message, planner, make_header, schema.version, encode_doc.encode(), into_doc.encode(),
            known,
        )  # fmt: skip
        encode_one, encode_into = encoder.functions(module)
        attributes = {
            "encode": encode_one,
            "encode_into": encode_into,
            "replace": replace,
            "_ENCODER": encoder,
        }
        set_attributes(message, attributes)
    templates = schema.messages()

    def encode(
        message: Any,
        values: Mapping[str, Any],
        *,
        version: int | None = None,
        exponents: str | None = None,
    ) -> bytes:
        """The message of a class, or of a template id, with the values of a mapping as bytes.

        ``version`` and ``exponents`` are those of the class's `encode`, whose errors these are.
        Raises UnknownName for what is no message of this schema.
        """
        encoder = encoder_of(schema, templates, message)
        if not hasattr(values, "keys"):
            name, kind = encoder.message.__name__, type(values).__name__
            raise TypeError(f"encode of {name} takes a mapping of its values, not {kind}")
        return encoder.from_dict(values, version, exponents)  # type: ignore[no-any-return]

    def encode_many(message: Any, table: Any, *, version: int | None = None) -> tuple[Any, Any]:
        """The rows of a table as messages, end to end: ``(buffer, offsets)``.

        The inverse of `decode_many`, which takes them as they are: ``buffer`` is uint8, and message
        ``i`` is ``buffer[offsets[i]:offsets[i + 1]]``; ``offsets`` is int64. ``message`` is a class
        or a template id, ``table`` a Table of that class, whose columns are raw numbers, null as
        the schema's null value. All rows are written in one version: the latest, or ``version``.

        Raises EncodeError for values that can't be written, and UnknownName for what is no message
        of this schema.
        """
        encoder = encoder_of(schema, templates, message)
        found: Any = encoder.message
        if getattr(table, "message", None) != found:
            kind = type(table).__name__
            if isinstance(of := getattr(table, "message", None), type):
                kind = f"one of {of.__name__}"
            raise TypeError(f"encode_many of {found.__name__} takes its Table, not {kind}")
        acting = encoder.version_of(version)
        try:
            contents = contents_of(table, found._LAYOUT)
            return written(
                encoder.plan(), contents, found._LAYOUT, encoder.header_at(acting), acting,
                found.__name__,
            )  # fmt: skip
        except EncodeError as error:
            raise of_message(error, found.__name__) from None

    for made in (encode, encode_many):
        made.__module__ = module
        made.__qualname__ = made.__name__
    return encode, encode_many


def encoder_of(schema: Any, templates: Mapping[int, Any], message: Any) -> Any:
    found = templates.get(message) if isinstance(message, int) else message
    if found not in schema.classes:
        known = ", ".join(f"{number} {each.__name__}" for number, each in templates.items())
        raise UnknownName(
            f"{message!r} is no message class and no template id of {schema.package} ({known})"
        )
    return found._ENCODER  # type: ignore[union-attr]


def keywords(message: Any) -> tuple[list[str], dict[str, str]]:
    """The names of values: in the order of the schema, then scaled ones; and those of options."""
    names = [each.name for each in message._ELEMENTS]
    scaled = []
    for each in message._ELEMENTS:
        endings: tuple[str, ...] = ("float", "decimal") if "exponent" in each.facts else ()
        if "count_at" in each.facts and any(
            "exponent" in inner.facts for inner in each.facts["elements"]
        ):
            endings = ("float",)
        scaled += [free(f"{each.name}_{ending}", names) for ending in endings]
    options = {free(name, names): name for name in ("version", "exponents")}
    return names + scaled, options


def _signature(names: list[str], options: Mapping[str, str]) -> str:
    return ", ".join(["*", *(f"{name}=None" for name in (*names, *options))])


def header_bytes(spec: Mapping[str, Any], numbers: Mapping[str, int]) -> bytes:
    """The message header; members that SBE does not name are zero."""
    made = bytearray(spec["size"])
    order: Any = "big" if spec["order"] == ">" else "little"
    for name, number in numbers.items():
        if name in spec and spec[name][1]:
            offset, size = spec[name][:2]
            made[offset : offset + size] = number.to_bytes(size, order)
    return bytes(made)
