"""The composites that frame messages -> ir: header, group dimensions, var data."""

from __future__ import annotations

from contextlib import suppress

from . import ir, names, schema
from .conventions import Conventions
from .errors import Place
from .faults import Faults, Stop
from .primitives import PRIMITIVES
from .runtime.decode.names import free
from .types import PAYLOADS, Types

_MAX_COUNT = 2**31 - 1
_IMPLIED = {  # what is taken for a member that a header does not have
    "blockLength": "blocks are taken to be as long as in this schema, as of the sender's version",
    "schemaId": "every frame is taken to be of this schema",
    "version": "every sender is taken to have this version of the schema",
}


def _implied(name: str, value: int, place: Place) -> ir.Field:
    """A member that a header lacks, as if the schema had it as a constant."""
    encoding = ir.Encoding("number", PRIMITIVES["uint64"], 1, 0, "constant", None, constant=value)
    return ir.Field(
        name=names.member(name),
        c_name=names.member(name),
        schema_name=name,
        id=0,
        type_name="",
        encoding=encoding,
        offset=0,
        since=0,
        optional=False,
        exponent=None,
        time=None,
        metadata={},
        deprecated=None,
        description="",
        place=place,
    )


class Framing:
    def __init__(self, faults: Faults, types: Types, conventions: Conventions) -> None:
        self.faults = faults
        self.types = types
        self.conventions = conventions
        self.dimensions: dict[str, ir.Dimension | None] = {}
        self.var_data: dict[str, ir.VarData | None] = {}
        self.taken: set[str] = set()  # names of functions

    def framing_composite(self, name: str, path: str, place: Place) -> ir.Composite:
        if not name:
            raise Stop  # the parser has said so
        if name not in self.types.enumerations.declared:
            guess = self.faults.unknown(name, self.types.enumerations.declared)
            raise self.faults.add(path, place, f"no composite '{name}' in this schema{guess}")
        if not isinstance(self.types.enumerations.declared[name], schema.Composite):
            raise self.faults.add(path, place, f"'{name}' is not a composite")
        composite = self.types.named_encoding(name, path, place).composite
        assert composite is not None
        return composite

    def claim(self, composite: ir.Composite) -> str:
        """What functions that read it are called after."""
        name = free(names.plain(composite.schema_name), self.taken)
        self.taken.add(name)
        return name

    def unsigned(self, composite: ir.Composite, name: str, what: str) -> ir.Field:
        """The member ``name``, which is one unsigned number."""
        member = composite.member(name)
        if member is None:
            sentence = f"the {what} lack{'' if what.endswith('s') else 's'} '{name}'"
            raise self.faults.add(composite.schema_name, composite.place, sentence)
        path = f"{composite.schema_name}.{name}"
        encoding = member.encoding
        if encoding.kind != "number" or encoding.primitive.is_float:
            raise self.faults.add(path, member.place, f"'{name}' is not one whole number")
        if not encoding.primitive.is_unsigned:
            sentence = f"'{name}' must be unsigned, not {encoding.primitive.name}"
            raise self.faults.add(path, member.place, sentence)
        return member

    def count(self, composite: ir.Composite, name: str) -> ir.Field | None:
        """The member numGroups or numVarDataFields, where there is one."""
        return self.unsigned(composite, name, "") if composite.member(name) else None

    def limit(self, composite: ir.Composite, member: ir.Field) -> None:
        """A count or length of 32 bits needs a maxValue that a signed 32-bit number can hold."""
        path = f"{composite.schema_name}.{member.schema_name}"
        high = member.encoding.maximum
        if member.encoding.primitive.size == 4:
            if high is None:
                raise self.faults.add(
                    path, member.place, f'uint32 needs a maxValue: add maxValue="{_MAX_COUNT}"'
                )
            if high > _MAX_COUNT:
                raise self.faults.add(path, member.place, f"maxValue is above {_MAX_COUNT}")

    def header(self) -> ir.Header:
        name, place = self.faults.source.header_type, self.faults.source.place
        if name not in self.types.enumerations.declared:
            raise self.faults.add("messageSchema", place, f"header type '{name}' is not defined")
        composite = self.framing_composite(name, "messageSchema", place)
        source = self.faults.source
        own = {"blockLength": None, "schemaId": source.id, "version": source.version}
        implied = tuple(each for each in own if composite.member(each) is None)
        found: dict[str, ir.Field] = {}
        for wanted in ("blockLength", "templateId", "schemaId", "version"):
            with suppress(Stop):
                if wanted not in implied:
                    found[wanted] = self.unsigned(composite, wanted, "header")
        if len(found) + len(implied) < 4:
            raise Stop
        for each in implied:
            sentence = f"the header lacks '{each}': {_IMPLIED[each]}"
            self.faults.warn(composite.schema_name, composite.place, sentence)
            value = own[each]
            if value is not None:
                found[each] = _implied(each, value, composite.place)
        self.fits(source.id, found["schemaId"], "messageSchema", place, "id")
        self.fits(source.version, found["version"], "messageSchema", place, "version")
        return ir.Header(
            composite,
            found.get("blockLength"),
            found["templateId"],
            found["schemaId"],
            found["version"],
            self.count(composite, "numGroups"),
            self.count(composite, "numVarDataFields"),
            implied,
        )

    def fits(self, value: int, member: ir.Field, path: str, place: Place, what: str) -> None:
        """That a number of the schema can stand in its member of the header or dimensions."""
        constant = member.encoding.constant
        if constant is not None and constant != value:
            sentence = f"{what} {value} where the constant {member.schema_name} is {constant}"
            self.faults.add(path, place, sentence)
        elif value > member.encoding.primitive.highest:
            sentence = (
                f"{what} {value} does not fit {member.schema_name}, "
                f"which is {member.encoding.primitive.name}"
            )
            self.faults.add(path, place, sentence)

    def dimension(self, name: str, path: str, place: Place) -> ir.Dimension:
        if name not in self.dimensions:
            composite = self.framing_composite(name, path, place)
            self.dimensions[name] = None
            with suppress(Stop):
                self.dimensions[name] = self.new_dimension(composite)
        dimension = self.dimensions[name]
        if dimension is None:
            raise Stop
        return dimension

    def usual_dimension(self) -> ir.Dimension | None:
        """That of groups which do not say theirs; where the schema has no such, any that it has.

        Asked for when all else is resolved: what no group uses may be wrong.
        """
        name = schema.DIMENSION
        if name in self.types.enumerations.declared and name not in self.dimensions:
            with suppress(Stop):
                self.dimension(name, name, self.faults.source.place)
        return self.dimensions.get(name) or next(filter(None, self.dimensions.values()), None)

    def new_dimension(self, composite: ir.Composite) -> ir.Dimension:
        what = "group dimensions"
        length = self.unsigned(composite, "blockLength", what)
        count = self.unsigned(composite, "numInGroup", what)
        self.limit(composite, count)
        if composite.size == 0:
            sentence = "group dimensions of constants only: a count of entries has to be sent"
            raise self.faults.add(composite.schema_name, composite.place, sentence)
        return ir.Dimension(
            self.claim(composite),
            composite.size,
            length,
            count,
            self.count(composite, "numGroups"),
            self.count(composite, "numVarDataFields"),
        )

    def var_data_type(self, name: str, path: str, place: Place) -> ir.VarData:
        if name not in self.var_data:
            composite = self.framing_composite(name, path, place)
            self.var_data[name] = None
            with suppress(Stop):
                self.var_data[name] = self.new_var_data(composite)
        var_data = self.var_data[name]
        if var_data is None:
            raise Stop
        return var_data

    def new_var_data(self, composite: ir.Composite) -> ir.VarData:
        name = composite.schema_name
        length = self.unsigned(composite, "length", "var data")
        self.limit(composite, length)
        if length.encoding.presence == "optional":
            raise self.faults.add(f"{name}.length", length.place, "the length can't be optional")
        payload = composite.members[-1]
        if payload.schema_name not in PAYLOADS:
            sentence = f"the var data lacks 'varData' as its last member ('{payload.schema_name}')"
            raise self.faults.add(name, composite.place, sentence)
        path = f"{name}.{payload.schema_name}"
        is_bytes = payload.encoding.kind in ("number", "char", "text", "array")
        if payload.encoding.primitive.size != 1 or not is_bytes:
            raise self.faults.add(path, payload.place, "varData must be char or uint8")
        return ir.VarData(
            self.claim(composite),
            length,
            payload.offset,
            payload.encoding.charset,
            self.conventions.is_null_when_empty(name),
            self.conventions.is_embedded(name),
        )
