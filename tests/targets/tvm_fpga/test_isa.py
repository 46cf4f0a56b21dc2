"""Instructions: what is written is read again, and what means nothing is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ConfigError
from targets.tvm_fpga.geometry import INSTRUCTION_BYTES
from targets.tvm_fpga.isa import FIELDS, Field, Instruction, Op, decode, encode_all


def _limits(field):
    return (-(1 << field.bits - 1), (1 << field.bits - 1) - 1) if field.signed else (0, (1 << field.bits) - 1)


@st.composite
def instructions(draw):
    op = draw(st.sampled_from(list(Op)))
    fields = draw(st.lists(st.sampled_from([field for field in FIELDS[op] if field.name != "op"]), unique=True))
    return Instruction(op, {field.name: draw(st.integers(*_limits(field))) for field in fields})


@given(instructions())
def test_what_is_encoded_is_decoded(instruction):
    again = decode(instruction.encode())
    assert again.op is instruction.op
    assert all(again[field.name] == instruction[field.name] for field in FIELDS[instruction.op])
    assert again.encode() == instruction.encode()


@given(st.binary(min_size=INSTRUCTION_BYTES, max_size=INSTRUCTION_BYTES))
def test_any_word_is_refused_or_means_itself(data):
    try:
        instruction = decode(data)
    except ConfigError:
        return
    assert instruction.encode() == data


@pytest.mark.parametrize("op", list(Op))
def test_fields_do_not_overlap_and_fit(op):
    used = [bit for field in FIELDS[op] for bit in range(field.low, field.low + field.bits)]
    assert len(used) == len(set(used)), f"two fields of {op.name} share a bit"
    assert max(used) < 8 * INSTRUCTION_BYTES


@pytest.mark.parametrize("op", list(Op))
def test_a_bit_beyond_the_fields_is_refused(op):
    free = max(field.low + field.bits for field in FIELDS[op])
    word = int(op) | 1 << free
    with pytest.raises(ConfigError, match="mean nothing"):
        decode(word.to_bytes(INSTRUCTION_BYTES, "little"))


@pytest.mark.parametrize("code", [0, 5, 15])
def test_an_unknown_opcode_is_refused(code):
    with pytest.raises(ConfigError, match="opcode"):
        decode(code.to_bytes(INSTRUCTION_BYTES, "little"))


@pytest.mark.parametrize("length", [0, INSTRUCTION_BYTES - 1, INSTRUCTION_BYTES + 1])
def test_a_wrong_length_is_refused(length):
    with pytest.raises(ConfigError, match="length"):
        decode(bytes(length))


@pytest.mark.parametrize(("op", "values"), [(Op.LOAD, {"fence": 1}), (Op.FINISH, {"rows": 1})])
def test_a_field_of_another_opcode_is_refused(op, values):
    with pytest.raises(ConfigError, match="no field"):
        Instruction(op, values)


@pytest.mark.parametrize("field", [Field("x", 3, 5), Field("x", 3, 5, True)])
def test_values_beyond_a_field_are_refused(field):
    least, most = _limits(field)
    for value in (least, most):
        assert field.unpack(field.pack(value)) == value
    for value in (least - 1, most + 1):
        with pytest.raises(ConfigError, match="'x'"):
            field.pack(value)


def test_a_listing_names_what_is_set():
    text = Instruction(Op.LOAD, {"rows": 3, "len": 7}, "weights").text()
    assert text.startswith("LOAD") and "rows=3" in text and "; weights" in text and "sram" not in text


def test_a_program_is_its_instructions_one_after_the_other():
    program = [Instruction(Op.LOAD, {"rows": 1}), Instruction(Op.FINISH, {})]
    data = encode_all(program)
    assert [decode(data[at : at + 64]).op for at in (0, 64)] == [Op.LOAD, Op.FINISH]
