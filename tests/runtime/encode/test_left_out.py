"""Groups and data before which a frame may end, by conventions: None leaves them out."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import plain, schema

from binance_sbe import EncodeError
from sbe_codegen.conventions import Conventions

BYTES = """<composite name="blob"><type name="length" primitiveType="uint8"/>
<type name="varData" primitiveType="uint8" length="0"/></composite>"""
GROUPS = f"""<group name="always" id="2">{plain("x", 1)}</group>
<group name="g" id="3">{plain("x", 1)}</group><group name="h" id="4">{plain("x", 1)}</group>"""
DATA = """<data name="s" id="5" type="text"/><data name="t" id="6" type="text"/>
<data name="b" id="7" type="blob"/>"""
MESSAGES = f"""<message name="M" id="1">{plain("a", 1)}{GROUPS}{DATA}</message>
<message name="N" id="2">{plain("a", 1)}{DATA}</message>"""


@pytest.fixture(scope="module")
def module(compiled: Any) -> ModuleType:
    conventions = Conventions(appended_is_absent=("M.[ghstb]", "N.[tb]"))
    made: ModuleType = compiled("left_out", schema(MESSAGES, BYTES), conventions)
    return made


ENTRIES = st.lists(st.fixed_dictionaries({"x": st.integers(0, 254)}), max_size=3)
NAMES = ["g", "h", "s", "t", "b"]


@given(
    st.fixed_dictionaries(
        {"a": st.integers(0, 254), "always": ENTRIES, "g": ENTRIES, "h": ENTRIES,
         "s": st.text("ab", max_size=3), "t": st.text("ab", max_size=3), "b": st.binary(max_size=3)}
    ),
    st.integers(0, 5),
)  # fmt: skip
def test_a_message_that_ends_early_is_encoded_as_it_was_decoded(
    module: ModuleType, values: dict[str, Any], count: int
) -> None:
    whole = module.M.encode(**values)
    given = values | dict.fromkeys(NAMES[count:])
    frame = module.M.encode(**given)
    assert whole.startswith(frame)
    assert (len(frame) < len(whole)) == (count < 5)
    message = module.decode(frame)
    gone = {name: [] if name in "gh" else None for name in NAMES[count:]}
    assert message.to_dict() == values | gone
    again = module.M.encode(**message.to_dict())
    assert module.decode(again).to_dict() == message.to_dict()
    assert again == frame or count < 2
    assert message.replace(a=7) == module.M.encode(**message.to_dict() | {"a": 7})
    if count < 5:
        assert module.M.encode(**{n: v for n, v in given.items() if v is not None}) is not None
    short = {name: values[name] for name in ("a", "s")}
    short |= {"t": values["t"] if count > 3 else None, "b": values["b"] if count > 4 else None}
    frames = [module.N.encode(**short), module.N.encode(**short | {"a": 1})]
    table = module.decode_many(frames)[module.N]
    buffer, _ = module.encode_many(module.N, table)
    wanted = frames if count != 4 else [frame + b"\0" for frame in frames]  # bytes are empty there
    assert bytes(buffer) == b"".join(wanted)
    found = module.encode_many(module.M, module.decode_many([again] * 2)[module.M])[0]
    assert bytes(found) in (again * 2, (again + b"\0") * 2)


def test_what_follows_a_part_that_is_left_out_is_refused(module: ModuleType) -> None:
    values = {"a": 1, "g": None, "h": None, "s": None, "t": None, "b": None}
    assert module.M.encode(**values, always=[]) == module.M.encode(a=1, g=None)
    for name, value in {"h": [{"x": 1}], "s": "", "t": "a", "b": b"a"}.items():
        kept = values | {name: value}
        wrong = name != "s"
        if not wrong:
            kept["s"] = "x"
        with pytest.raises(EncodeError, match="g is left out before it") as caught:
            module.M.encode(**kept)
        assert caught.value.field == name
    with pytest.raises(EncodeError, match="t is left out before it"):
        module.N.encode(a=1, s="", t=None, b=b"x")
    with pytest.raises(EncodeError, match="never null"):
        module.N.encode(a=1, s=None, t=None, b=None)
    table = module.decode_many([module.N.encode(a=1, s="", t=None, b=None)] * 2)[module.N]
    table.data["b"].offsets[:] = 0
    assert len(module.encode_many(module.N, table)[0]) > 0


def test_a_part_that_is_always_sent_needs_those_before_it(compiled: Any) -> None:
    made = compiled("needs", schema(MESSAGES, BYTES), Conventions(appended_is_absent=("N.s",)))
    with pytest.raises(EncodeError, match="it is always sent: s, which comes before it, is needed"):
        made.N.encode(a=1, s=None, t=None, b=None)
