"""ew_narrow: the accelerator behind sixteen wires each way, with a controller in Python that keeps the memory."""

from collections import deque

import numpy as np
from bench import Bench, small
from programs import random_program

from targets.tvm_fpga.golden.machine import Machine
from targets.tvm_fpga.rtl.sources import parameters


class Controller:
    """What the other side does: collects messages, answers reads word by word, confirms writes."""

    def __init__(self, dram: np.ndarray, rng: np.random.Generator) -> None:
        self.dram, self.rng = dram, rng
        self.message: list[int] = []
        self.answers: deque[int] = deque()
        self.unconfirmed = 0

    def before(self) -> dict[str, int]:
        given = {"to_ready": int(self.rng.random() < 0.9)}
        if self.answers and self.rng.random() < 0.9:
            given |= {"from_valid": 1, "from_memory": self.answers[0]}
        if self.unconfirmed and self.rng.random() < 0.5:
            given["w_done"] = 1
        self.given = given
        return given

    def after(self, seen: dict[str, int]) -> None:
        self.unconfirmed -= self.given.get("w_done", 0)
        if self.given.get("from_valid") and seen["from_ready"]:
            self.answers.popleft()
        if seen["kind"] and self.given["to_ready"]:
            self.message.append(seen["to_memory"])
            self._act(seen["kind"])

    def _act(self, kind: int) -> None:
        if len(self.message) < (3 if kind == 1 else 6):
            return
        at = self.message[0] | self.message[1] << 16
        if kind == 1:
            words = self.dram[at : at + 8 * ((self.message[2] & 255) + 1)].view(np.uint16)
            self.answers.extend(words.tolist())
        else:
            self.dram[at : at + 8] = np.array(self.message[2:], np.uint16).view(np.int8)
            self.unconfirmed += 1
        self.message.clear()


def test_a_program_over_the_narrow_bus():
    geometry = small(4)
    bench, rng = Bench("ew_narrow", **parameters(geometry)), np.random.default_rng(8)
    program, image = random_program(geometry, 17, computes=2)
    wanted = image.copy()
    Machine(geometry, wanted).run(program)
    controller = Controller(image, rng)
    bench.step(start=1)
    for _ in range(200_000):
        seen = bench.step(**controller.before())
        controller.after(seen)
        assert not seen["fault"]
        if seen["done"]:
            break
    assert seen["done"], "the program ends"
    assert (image == wanted).all(), "the memory differs from the golden model's"


def test_an_unknown_opcode_is_told():
    bench = Bench("ew_narrow", **parameters(small(4)))
    controller = Controller(np.full(4096, 15, np.int8), np.random.default_rng(9))
    bench.step(start=1)
    for _ in range(2000):
        seen = bench.step(**controller.before())
        controller.after(seen)
    assert seen["fault"] and not seen["done"]
