"""ew_load, ew_store and ew_fetch alone, with a memory that stalls, against what the golden model does."""

import numpy as np
import pytest
from bench import Bench, packed, unpacked, word
from traffic import Port

from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.golden.machine import Machine
from targets.tvm_fpga.isa import Instruction, Memory, Op, encode_all

#: Vectors of half a beat, a quarter of one, two beats and four.
WIDTHS = [(4, 8), (4, 16), (16, 8), (32, 8)]
SIZE = 1 << 15


def geometry(lanes: int, port: int) -> Geometry:
    return Geometry(lanes=lanes, port=port, activations=1024, weights=256, parameters=32, raw=256)


def random_load(g: Geometry, rng: np.random.Generator) -> Instruction:
    unit = max(1, g.port // g.lanes)
    values = {
        "dram": 16 * int(rng.integers(300)),
        "dram_stride": 16 * int(rng.integers(40)),
        "rows": int(rng.integers(1, 5)),
        "memory": int(rng.integers(3)),
    }
    vectors = unit * int(rng.integers(1, 12))
    if values["memory"] == Memory.PARAMETERS:
        entries = int(rng.integers(1, 4))
        values |= {"sram": int(rng.integers(16)), "sram_stride": 4, "len": entries * 8 * g.lanes // g.port}
    elif values["memory"] == Memory.WEIGHTS:
        values |= {"sram": int(rng.integers(64)), "sram_stride": 48, "len": vectors * g.lanes // g.port}
    elif rng.random() < 0.4:
        values |= {"sram": int(rng.integers(300)), "sram_stride": 150, "len": vectors * g.lanes // g.port}
    else:
        values |= _runs(g, rng)
    return Instruction(Op.LOAD, values)


def _runs(g: Geometry, rng: np.random.Generator) -> dict[str, int]:
    run, step = int(rng.integers(1, 4)), int(rng.integers(1, 9))
    unit = max(g.lanes, g.port)
    length = unit * int(rng.integers(-(-run * g.lanes // unit), g.raw // unit + 1))
    outputs = min((length - run * g.lanes) // step + 1, 150 // run)
    return {
        "sram": int(rng.integers(300)),
        "sram_stride": 150,
        "len": length // g.port,
        "expand": 1,
        "outputs": int(rng.integers(1, outputs + 1)),
        "step": step,
        "run": run,
    }


@pytest.mark.parametrize(("lanes", "port"), WIDTHS)
def test_load(lanes, port):
    g, rng = geometry(lanes, port), np.random.default_rng(lanes + port)
    bench = Bench("ew_load", LANES=lanes, PORT=port, ABITS=10, WBITS=8, PBITS=5, RAW=256)
    dram = rng.integers(-128, 128, SIZE).astype(np.int8)
    golden, got, memory = Machine(g, dram.copy()), Machine(g, dram), Port(dram, port, rng)
    program = [random_load(g, rng) for _ in range(25)]
    for each in program:
        golden.step(each)
    heads, seen = list(program), {"retired": 0}
    for _ in range(200_000):
        may = bool(heads) and rng.random() < 0.9
        given = {**memory.before(bench.inputs), "head_ok": int(may), "head": word(heads[0]) if may else 0}
        given["act_gnt"] = int(bench.peek(**given)["act_req"] and rng.random() < 0.6)
        seen = bench.step(**given)
        assert not seen["fault"], "all loads are valid"
        memory.after(seen)
        _write(got, seen, given)
        if seen["pop"]:
            heads.pop(0)
        if seen["retired"] == len(program):
            break
    assert seen["retired"] == len(program), "all loads end"
    for name in ("act", "wgt", "bias", "mult", "shift"):
        assert (getattr(got, name) == getattr(golden, name)).all(), f"{name} differs from the golden model's"


def _write(machine: Machine, seen: dict[str, int], given: dict[str, int]) -> None:
    lanes = machine.geometry.lanes
    if given["act_gnt"]:
        machine.act[seen["act_addr"]] = unpacked(seen["act_data"], "int8", lanes)
    if seen["wgt_we"]:
        machine.wgt[seen["wgt_addr"]] = unpacked(seen["wgt_data"], "int8", lanes)
    entries = unpacked(seen["par_data"], "uint64", lanes)
    for lane in range(lanes):
        if seen["par_we"] >> lane & 1:
            entry = int(entries[lane])
            machine.bias[seen["par_addr"], lane] = np.uint32(entry & 0xFFFF_FFFF).astype(np.int32)
            machine.mult[seen["par_addr"], lane] = entry >> 32 & 0xFFFF
            machine.shift[seen["par_addr"], lane] = entry >> 48 & 0x3F


@pytest.mark.parametrize(("lanes", "port"), WIDTHS)
def test_store(lanes, port):
    g, rng = geometry(lanes, port), np.random.default_rng(lanes * port)
    bench = Bench("ew_store", LANES=lanes, PORT=port, ABITS=10)
    dram = np.zeros(SIZE, np.int8)
    golden, memory = Machine(g, dram.copy()), Port(dram, port, rng)
    golden.act[:] = rng.integers(-128, 128, golden.act.shape)
    program = []
    for _ in range(25):
        vectors = max(1, port // lanes) * int(rng.integers(1, 12))
        program.append(
            Instruction(
                Op.STORE,
                {
                    "dram": 16 * int(rng.integers(200)),
                    "dram_stride": 16 * int(rng.integers(200)),
                    "rows": int(rng.integers(1, 5)),
                    "sram": int(rng.integers(300)),
                    "sram_stride": int(rng.integers(200)),
                    "len": vectors * lanes // port,
                },
            )
        )
        golden.step(program[-1])
    heads, coming, seen = list(program), [0, 0], {"retired": 0}
    for _ in range(200_000):
        may = bool(heads) and rng.random() < 0.9
        given = {
            **memory.before(bench.inputs),
            "head_ok": int(may),
            "head": word(heads[0]) if may else 0,
            "act_data": coming[0],
        }
        given["act_gnt"] = int(bench.peek(**given)["act_req"] and rng.random() < 0.6)
        seen = bench.step(**given)
        assert not seen["fault"], "all stores are valid"
        memory.after(seen)
        coming = [coming[1], packed(golden.act[seen["act_addr"]]) if given["act_gnt"] else 0]
        if seen["pop"]:
            heads.pop(0)
        if seen["retired"] == len(program):
            break
    assert seen["retired"] == len(program), "all stores end"
    assert memory.writes == 0, "a store is over when every beat is confirmed"
    assert (dram == golden.dram).all(), "the memory differs from the golden model's"


@pytest.mark.parametrize("port", [8, 16])
def test_fetch_hands_instructions_to_their_queues_in_order(port):
    rng = np.random.default_rng(port)
    bench = Bench("ew_fetch", PORT=port)
    ops = [Op(code) for code in rng.choice([1, 2, 3], 60).tolist()]
    program = [Instruction(op, {"wait_load": number}) for number, op in enumerate(ops)]
    code = np.frombuffer(encode_all([*program, *[Instruction(Op.FINISH, {})] * 4]), np.int8)
    memory = Port(np.concatenate([np.zeros(256, np.int8), code, np.zeros(256, np.int8)]), port, rng)
    wanted = {op: [word(each) for each in program if each.op is op] for op in (Op.LOAD, Op.STORE, Op.COMPUTE)}
    bench.step(start=1, program_at=256, limit=len(memory.memory))
    got: dict[Op, list[int]] = {op: [] for op in wanted}
    names = {Op.LOAD: "load", Op.STORE: "store", Op.COMPUTE: "compute"}
    for _ in range(20_000):
        full = {f"{name}_full": int(rng.random() < 0.5) for name in names.values()}
        given = memory.before(bench.inputs)
        seen = bench.step(**given, **full)
        memory.after(seen)
        for op, name in names.items():
            if seen[f"{name}_push"]:
                assert not full[f"{name}_full"], "nothing is pushed into a full queue"
                got[op].append(seen["word"])
        assert not seen["fault"]
        if seen["finished"]:
            break
    assert seen["finished"], "FINISH is found"
    assert got == wanted, "every instruction reaches its queue once, in order"
    assert all(count == 256 // port for _, count in memory.asked), "four instructions are asked for at a time"
