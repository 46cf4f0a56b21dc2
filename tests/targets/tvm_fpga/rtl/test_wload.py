"""ew_wload: tiles into the shadow, one ahead of the one in use."""

import numpy as np
import pytest
from bench import Bench, word

from targets.tvm_fpga.isa import Instruction, Mode, Op


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("mode", list(Mode))
def test_tiles_come_in_order_one_ahead(lanes, mode):
    bench, rng = Bench("ew_wload", LANES=lanes, WBITS=10), np.random.default_rng(lanes)
    rows, passes, at = (1 if mode is Mode.TAPS else lanes), -(-9 // lanes), 37
    tiles = 2 * passes if mode is Mode.WINDOW else 5
    head = word(Instruction(Op.COMPUTE, {"mode": mode, "wgt": at}))
    claimed, loaded, reads = 0, [], []
    for cycle in range(2000):
        ready = bench.peek(head_ok=1, head=head)["ready"]
        claim = int(ready and rng.random() < 0.2)
        seen = bench.step(
            head_ok=int(cycle < 5), head=head, claim=claim, claim_last=int(claim and claimed == tiles - 1)
        )
        if seen["re"]:
            reads.append(seen["raddr"])
        if seen["load"]:
            loaded.append((seen["load_row"], seen["load_only"], seen["load_zero"]))
        claimed += claim
        assert len(reads) <= rows * (claimed + 1), "never more than one tile ahead"
        if claimed == tiles:
            break
    assert claimed == tiles and not bench.step()["mine"], "it is done after the last tile is claimed"
    assert reads == list(range(at, at + rows * tiles)), "rows are read one after the other"
    for number, (row, only, zero) in enumerate(loaded):
        beyond = mode is Mode.WINDOW and (number // lanes) % passes * lanes + row > 8
        assert (row, only, zero) == (number % rows, mode is Mode.TAPS, beyond), f"row {number}"


def test_rows_outside_of_the_memory_are_a_fault():
    bench = Bench("ew_wload", LANES=4, WBITS=10)
    for at, fault in ((1020, 0), (1021, 1), (0xFFFFF, 1)):
        bench.reset()
        head = word(Instruction(Op.COMPUTE, {"wgt": at}))
        outs = [bench.step(head_ok=1, head=head) for _ in range(12)]
        assert outs[-1]["fault"] == fault, f"a tile of four rows at {at} of 1024"
