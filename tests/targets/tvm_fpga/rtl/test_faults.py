"""Whatever is wrong with a program ends in a fault or the watchdog's error, which says what; nothing hangs."""

import numpy as np
import pytest
from bench import simulated, small

from profiles.errors import ToolCrashError
from targets.tvm_fpga.isa import Instruction, Memory, Op, encode_all
from targets.tvm_fpga.rtl.simulate import FAULTS
from targets.tvm_fpga.rtl.simulate import Memory as Model

SIZE = 0x8000
GEOMETRY = small(4)
LOAD = {"dram": 0x1000, "sram": 0, "rows": 2, "len": 8, "dram_stride": 64, "sram_stride": 16}
STORE = {"dram": 0x2000, "sram": 0, "rows": 2, "len": 8, "dram_stride": 64, "sram_stride": 16}
CONV = {
    "kh": 1,
    "kw": 1,
    "ct": 1,
    "nt": 1,
    "rows": 2,
    "ow": 2,
    "in_h": 2,
    "in_w": 2,
    "sy": 1,
    "sx": 1,
    "dy": 1,
    "dx": 1,
    "step_y": 2,
    "step_x": 1,
    "step_ky": 2,
    "step_kx": 1,
    "out_base": 100,
    "out_row": 2,
    "out_px": 1,
}
WINDOW = {**CONV, "mode": 1, "kh": 3, "kw": 3, "wrows": 4, "wcols": 4}
EXPAND = {**LOAD, "expand": 1, "outputs": 4, "step": 3, "run": 2}

#: What is changed, and the unit that must find it.
LOADS = [
    *({name: 0} for name in ("rows", "len")),
    {"memory": 3},
    {"memory": Memory.PARAMETERS, "len": 3},
    {"dram": SIZE},
    {"dram": SIZE - 64},
    {"dram": 0x1004},
    {"dram_stride": 12},
    {"dram_stride": 0xFFFF_FFF8},
    {"dram": 0xFFFF_FFF8},
    {"sram": 2040},
    {"sram_stride": 2040},
    {"sram_stride": 0xFFFFF},
    {"sram": 0xFFFFF},
    {"memory": Memory.WEIGHTS, "sram": 2047},
    {"memory": Memory.PARAMETERS, "sram": 31},
]
EXPANDS = [
    {"run": 0},
    {"outputs": 0},
    {"memory": Memory.WEIGHTS},
    {"memory": Memory.PARAMETERS},
    {"len": 136, "rows": 1},
    {"outputs": 1000, "step": 255},
    {"step": 255, "outputs": 6},
    {"sram": 2047},
    {"sram_stride": 0xFFFFF},
]
STORES = [
    {"rows": 0},
    {"len": 0},
    {"dram": SIZE - 64},
    {"dram": SIZE},
    {"dram": 0x2001},
    {"dram_stride": 0xFFFF_FFF0},
    {"dram_stride": 20},
    {"sram": 2040},
    {"sram_stride": 0xFFFFF},
    {"dram": 0xFFFF_FFF8},
]
COMPUTES = [
    *({**CONV, name: 0} for name in ("kh", "kw", "ct", "nt", "rows", "ow")),
    {**CONV, "mode": 3},
    {**CONV, "in_base": 2047},
    {**CONV, "in_base": 0xFFFFF},
    {**CONV, "out_base": 2047},
    {**CONV, "out_row": 0xFFFF},
    {**CONV, "out_base": 0xFFFFF, "out_row": 1},
    {**CONV, "wgt": 2046},
    {**CONV, "wgt": 0xFFFFF},
    {**CONV, "par": 32},
    {**CONV, "par": 31, "nt": 2},
    {**CONV, "par": 4095},
    {**CONV, "residual": 1, "res_base": 2048},
    {**CONV, "residual": 1, "res_base": 1, "res_row": 0xFFFF},
    {**CONV, "kh": 2, "rows": 20, "ow": 20, "in_w": 30},
    {**CONV, "keep": 1, "nt": 2},
    {**CONV, "carry": 1, "mode": 2},
    {**CONV, "keep": 1, "rows": 20, "ow": 20},
    *({**WINDOW, name: 0} for name in ("nt", "rows", "ow", "sy", "sx", "wrows", "wcols")),
    {**WINDOW, "wcols": 2},
    {**WINDOW, "wrows": 2},
    {**WINDOW, "wcols": 129, "ow": 127},
]


@pytest.fixture(scope="module")
def simulator():
    with simulated(4) as made:
        yield made


def image_of(*program: Instruction) -> np.ndarray:
    image = np.full(SIZE, 3, np.int8)
    code = encode_all([*program, *[Instruction(Op.FINISH, {})] * 4])
    image[: len(code)] = np.frombuffer(code, np.int8)
    return image


def run(simulator, *program: Instruction, **settings):
    image = image_of(*program)
    before = image.copy()
    with pytest.raises(ToolCrashError) as caught:
        simulator.run(image, 0, Model(latency=5), **{"idle": 5000, **settings})
    return caught.value, before, image


def refused(simulator, number, op, values):
    error, before, image = run(simulator, Instruction(op, values))
    assert FAULTS[number] in error.wanted, f"{op.name} {values}: wanted '{FAULTS[number]}', seen: {error}"
    if op is not Op.STORE:
        assert (before == image).all(), "nothing but a store may write to the memory"
    return before, image


def test_the_programs_that_are_changed_here_are_valid(simulator):
    program = [
        Instruction(op, values)
        for op, values in (
            (Op.LOAD, LOAD),
            (Op.LOAD, EXPAND),
            (Op.COMPUTE, CONV),
            (Op.COMPUTE, WINDOW),
            (Op.STORE, STORE),
        )
    ]
    assert simulator.run(image_of(*program), 0, Model(latency=5)).cycles > 0


@pytest.mark.parametrize("change", LOADS, ids=str)
def test_loads(simulator, change):
    refused(simulator, 3, Op.LOAD, {**LOAD, **change})


@pytest.mark.parametrize("change", EXPANDS, ids=str)
def test_loads_that_expand(simulator, change):
    refused(simulator, 3, Op.LOAD, {**EXPAND, **change})


@pytest.mark.parametrize("change", STORES, ids=str)
def test_stores(simulator, change):
    before, image = refused(simulator, 2, Op.STORE, {**STORE, **change})
    inside = np.zeros(SIZE, bool)
    start = change.get("dram", STORE["dram"]) % SIZE
    inside[start : start + 64] = True
    assert (before == image)[~inside].all(), "only the rows before the fault are written"


def _changed(values):
    """What makes it wrong; in the same order in every process."""
    return str({name: value for name, value in values.items() if CONV.get(name) != value})


@pytest.mark.parametrize("values", COMPUTES, ids=_changed)
def test_computes(simulator, values):
    refused(simulator, 1, Op.COMPUTE, values)


@pytest.mark.parametrize("opcode", [0, 5, 15])
def test_unknown_opcodes(simulator, opcode):
    image = np.zeros(SIZE, np.int8)
    image[0] = opcode
    with pytest.raises(ToolCrashError, match="unknown opcode"):
        simulator.run(image, 0, Model(latency=5))


@pytest.mark.parametrize("program_at", [SIZE, SIZE - 64, 8, 0xFFFF_FF00])
def test_programs_that_are_not_all_in_memory_or_do_not_finish(simulator, program_at):
    code = encode_all([Instruction(Op.LOAD, LOAD)] * 8)
    image = np.tile(np.frombuffer(code, np.int8), SIZE // len(code))
    with pytest.raises(ToolCrashError, match="fetch"):
        simulator.run(image, program_at, Model(latency=5))


def test_a_wait_that_can_never_end_is_found_by_the_hardware(simulator):
    waiting = Instruction(Op.COMPUTE, {**CONV, "wait_load": 2})
    error, *_ = run(simulator, Instruction(Op.LOAD, LOAD), waiting)
    assert FAULTS[0] in error.wanted
    assert "next is instruction 1, which waits for 2 of load" in error.seen, f"the error names the wait: {error.seen}"


def test_such_a_wait_is_found_when_the_queue_is_full(simulator):
    waiting = [Instruction(Op.STORE, {**STORE, "wait_compute": 1})] * 30
    error, *_ = run(simulator, *waiting)
    assert FAULTS[0] in error.wanted


def test_the_watchdog_ends_what_does_not_move(simulator):
    program = [Instruction(Op.LOAD, LOAD), Instruction(Op.COMPUTE, {**CONV, "wait_load": 1})]
    image = image_of(*program)
    with pytest.raises(ToolCrashError, match="hangs: nothing moved for 300 cycles") as caught:
        simulator.run(image, 0, Model(latency=100_000), idle=300)
    assert "1 reads" in caught.value.seen and "load: 0 ended, 0 running" in caught.value.seen, caught.value.seen


def test_the_watchdog_ends_what_takes_too_long(simulator):
    error, *_ = run(simulator, Instruction(Op.COMPUTE, CONV), most=20)
    assert "within 20 cycles" in error.wanted


def test_after_a_fault_the_next_run_is_clean(simulator):
    good = [Instruction(Op.LOAD, LOAD), Instruction(Op.STORE, {**STORE, "wait_load": 1})]
    for change in (LOADS[0], EXPANDS[5], LOADS[4]):
        refused(simulator, 3, Op.LOAD, {**EXPAND, **change})
        image = image_of(*good)
        simulator.run(image, 0, Model(latency=5))
        assert (image[0x2000:0x2040] == 3).all(), "a reset takes away whatever a fault left"
