"""The names that generated modules use beside those of a schema."""

from __future__ import annotations

import re

from small import schema

from sbe_codegen import parser, renderer, resolver
from sbe_codegen.conventions import Conventions
from sbe_codegen.runtime.framing.packets import KNOWN

_STRINGS = re.compile(r'r?"""(?:.|\n)*?"""|b?"[^"\n]*"|\'[^\'\n]*\'|#[^\n]*')
_IMPORTS = re.compile(r"\b(?:from [\w.]+|[\w.]+ as)(?= )")  # what is not bound
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_OF_SCHEMA = re.compile("zz", re.IGNORECASE)

_MEMBER = "<type name='{}' primitiveType='{}'/>"
_NUMBERS = ("blockLength", "numInGroup", "numGroups", "numVarDataFields")
EVERYTHING = schema(
    """<message name='Zz' id='1'>
    <field name='zzNumber' id='1' type='uint8'/> <field name='zzSmall' id='2' type='int8'/>
    <field name='zzEnum' id='3' type='side'/> <field name='zzSet' id='4' type='zzBits'/>
    <field name='zzArray' id='5' type='zzMany'/> <field name='zzPrice' id='6' type='zzDecimal'/>
    <field name='zzMantissa' id='7' type='int64' x:exponent='zzSmall' xmlns:x='urn:x'/>
    <field name='zzFloat' id='8' type='double'/> <field name='zzNew' id='9' type='uint64'
    sinceVersion='1'/>
    <group name='zzFlat' id='10'><field name='zzA' id='1' type='uint8'/></group>
    <group name='zzCounted' id='11' dimensionType='zzCounts'><field name='zzA' id='1'
    type='int32'/></group>
    <group name='zzDeep' id='12' dimensionType='zzCounts'><field name='zzA' id='1' type='uint8'/>
    <group name='zzIn' id='2'><field name='zzB' id='1' type='uint8'/></group>
    <data name='zzText' id='3' type='text'/></group>
    <group name='zzLate' id='15' sinceVersion='1'><field name='zzA' id='1' type='uint8'/></group>
    <data name='zzText' id='13' type='text'/> <data name='zzBlob' id='14' type='zzBytes'/>
    <data name='zzNull' id='16' type='zzEmpty'/> <data name='zzLast' id='17' type='text'/>
    </message><message name='ZzEmpty' id='2'/>""",
    f"""<set name='zzBits' encodingType='uint8'><choice name='zzOne'>0</choice></set>
    <type name='zzMany' primitiveType='uint16' length='3'/>
    <composite name='zzDecimal'>{_MEMBER.format("mantissa", "int64")}{
        _MEMBER.format("exponent", "int8")
    }</composite>
    <composite name='zzCounts'>{"".join(_MEMBER.format(n, "uint16") for n in _NUMBERS)}</composite>
    <composite name='zzBytes'>{_MEMBER.format("length", "uint16")}<type name='varData'
    primitiveType='uint8' length='0'/></composite>
    <composite name='zzEmpty'>{_MEMBER.format("length", "uint16")}<type name='varData'
    primitiveType='uint8' length='0' characterEncoding='UTF-8'/></composite>""",
).replace(
    '<type name="version" primitiveType="uint16"/>',
    '<type name="version" primitiveType="uint16"/>'
    + "".join(_MEMBER.format(n, "uint8") for n in ("zzOther", *_NUMBERS[2:])),
)


def used(text: str) -> set[str]:
    """All names in Cython, but attributes, and but those that the schema gave."""
    found = set(_NAME.findall(_IMPORTS.sub(" ", _STRINGS.sub(" ", text))))
    return {each for each in found if not _OF_SCHEMA.search(each)}


def of_modules() -> set[str]:
    """Those of a module with one of everything, and of its C interface."""
    conventions = Conventions(
        times={"zzNumber": "s"}, empty_is_null=("zzEmpty",), appended_is_absent=("Zz.zzLast",),
        layout_since={2: 1}, removed={9: "gone"}, packet=KNOWN["cme-mdp3"],
    )  # fmt: skip
    made = resolver.resolve(parser.parse_bytes(EVERYTHING.encode(), "s.xml"), conventions)
    texts = renderer.render(made, "s.xml", "zz")
    return set().union(*(used(texts[f"zz.{ending}"]) for ending in ("pyx", "pxd", "pyi")))
