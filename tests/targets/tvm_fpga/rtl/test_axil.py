"""ew_axil: the driver's registers under an AXI4-Lite master that is early, late, or in no hurry to take answers."""

import re

import numpy as np
import pytest
from bench import Bench

from targets.tvm_fpga.rtl.sources import ROOT

OKAY, SLVERR = 0, 2
REGISTERS = {
    name: int(value, 16)
    for name, value in re.findall(r"EW_FPGA_(\w+) = (0x\w\w),", (ROOT / "driver" / "ew_fpga.h").read_text())
}
CONTROL, STATUS, PROGRAM_AT, LIMIT, BASE = (
    REGISTERS[name] for name in ("CONTROL", "STATUS", "PROGRAM_AT", "LIMIT", "BASE")
)


class Master:
    """Valid goes up when it likes and stays until ready; answers are taken when it likes."""

    def __init__(self, seed=0, **core):
        self.bench, self.random, self.core = Bench("ew_axil"), np.random.default_rng(seed), core
        self.starts, self.resets = 0, []

    def step(self, **given):
        seen = self.bench.step(**self.core, **given)
        self.starts += seen["start"]
        self.resets.append(seen["core_rst"])
        return seen

    def write(self, address, value, strobes=15):
        waits = {"aw": int(self.random.integers(4)), "w": int(self.random.integers(4))}
        left = set(waits)
        for cycle in range(40):
            up = {f"{name}valid": 1 for name in left if cycle >= waits[name]}
            seen = self.step(awaddr=address, wdata=value, wstrb=strobes, **up)
            assert not seen["bvalid"], "an answer before the question"
            left -= {name for name in left if f"{name}valid" in up and seen[f"{name}ready"]}
            if not left:
                return self.answer("b", ("bresp",))[0]
        raise AssertionError("the write is never taken")

    def read(self, address):
        for _ in range(40):
            if self.step(araddr=address, arvalid=1)["arready"]:
                return self.answer("r", ("rdata", "rresp"))
        raise AssertionError("the read is never taken")

    def answer(self, channel, names):
        late = int(self.random.integers(4))
        for _ in range(late):
            seen = self.step()
            assert seen[f"{channel}valid"], "an answer stays until it is taken"
        seen = self.step(**{f"{channel}ready": 1})
        assert seen[f"{channel}valid"], "no answer"
        assert not self.bench.peek(**self.core)[f"{channel}valid"], "one answer to one question"
        return [seen[name] for name in names]


@pytest.mark.parametrize("seed", range(4))
def test_registers_keep_what_is_written_under_random_timing(seed):
    master = Master(seed)
    kept = {}
    for _ in range(60):
        address = int(master.random.choice([PROGRAM_AT, LIMIT, BASE]))
        if master.random.random() < 0.5:
            value = int(master.random.integers(1 << 32))
            assert master.write(address, value) == OKAY
            kept[address] = value
        elif address in kept:
            assert master.read(address) == [kept[address], OKAY]
    seen = master.step()
    assert {PROGRAM_AT: seen["program_at"], LIMIT: seen["limit"], BASE: seen["base"]} == kept


def test_the_drivers_sequence_resets_starts_once_and_tells_the_end():
    master = Master()
    assert master.step()["core_rst"], "the core is held until somebody lets it go"
    assert master.write(CONTROL, 2) == OKAY
    assert master.read(CONTROL) == [2, OKAY] and master.step()["core_rst"]
    for address, value in ((PROGRAM_AT, 64), (LIMIT, 4096), (BASE, 0x10000000)):
        master.write(address, value)
    assert master.starts == 0
    master.write(CONTROL, 1)
    master.step()
    assert master.starts == 1, "one pulse for one write"
    assert master.resets[-1] == 0 and master.resets[-2] == 0, "the core runs when it is started"
    assert master.read(STATUS) == [0, OKAY]
    master.core = {"done": 1}
    assert master.read(STATUS) == [1, OKAY]
    master.core = {"fault": 1, "faults": 0b101001}
    assert master.read(STATUS) == [2 | 0b101001 << 8, OKAY]
    master.write(CONTROL, 2)
    assert master.step()["core_rst"] and master.starts == 1


def test_the_pulse_never_comes_while_the_core_is_in_reset():
    master = Master()
    seen = []
    real = master.bench.step

    def watched(**given):
        seen.append(real(**given))
        return seen[-1]

    master.bench.step = watched
    for value in (3, 1, 2, 1, 0, 1):
        master.write(CONTROL, value)
        master.step()
    assert sum(each["start"] for each in seen) == 3, "3 asks for both, and a reset is no start"
    assert not [each for each in seen if each["start"] and each["core_rst"]]


def test_what_is_no_register_is_refused_and_changes_nothing():
    master = Master()
    master.write(LIMIT, 77)
    for address, strobes in ((LIMIT, 7), (LIMIT, 0), (LIMIT + 2, 15), (STATUS, 15), (0x14, 15), (0xFFC, 15)):
        assert master.write(address, 1, strobes) == SLVERR, hex(address)
    assert master.read(LIMIT) == [77, OKAY]
    assert master.read(0x14) == [0, SLVERR] and master.read(LIMIT + 1)[1] == SLVERR
    assert master.starts == 0


def test_reads_and_writes_at_once_do_not_wait_for_each_other():
    master = Master()
    master.write(BASE, 5)
    seen = master.step(awvalid=1, awaddr=BASE, wvalid=1, wdata=9, wstrb=15, arvalid=1, araddr=BASE)
    assert seen["awready"] and seen["wready"] and seen["arready"]
    seen = master.step(bready=1, rready=1)
    assert seen["bvalid"] and seen["rvalid"] and seen["rdata"] == 5, "the value before the write"
    assert master.read(BASE) == [9, OKAY]
