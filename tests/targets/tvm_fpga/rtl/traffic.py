"""The other side of the memory port for benches, with stalls: reads are answered in order, writes are kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np


class Port:
    """Give ``before(inputs)`` to a step, then ``after(seen)`` the outputs."""

    def __init__(self, memory: np.ndarray, width: int, rng: np.random.Generator, stalls: float = 0.3) -> None:
        self.memory, self.width, self.rng, self.stalls = memory, width, rng, stalls
        self.reads: deque[int] = deque()
        self.writes = 0
        self.asked: list[tuple[int, int]] = []

    def _moves(self) -> bool:
        return bool(self.rng.random() >= self.stalls)

    def before(self, inputs: Sequence[str]) -> dict[str, int]:
        """Those of the port's inputs that a block has."""
        given = {"ar_ready": int(self._moves()), "w_ready": int(self._moves()), "limit": len(self.memory)}
        if self.reads and self._moves():
            at = self.reads[0]
            given |= {"r_valid": 1, "r_data": int.from_bytes(self.memory[at : at + self.width].tobytes(), "little")}
        if self.writes and self._moves():
            given["w_done"] = 1
        self.given = given
        return {name: value for name, value in given.items() if name in inputs}

    def after(self, seen: dict[str, int]) -> None:
        if self.given.get("w_done"):
            self.writes -= 1
        if self.given.get("r_valid") and seen.get("r_ready", 1):
            self.reads.popleft()
        if seen.get("ar_valid") and self.given["ar_ready"]:
            self.asked.append((seen["ar_addr"], seen["ar_len"] + 1))
            self.reads.extend(seen["ar_addr"] + self.width * beat for beat in range(seen["ar_len"] + 1))
        if seen.get("w_valid") and self.given["w_ready"]:
            raw = seen["w_data"].to_bytes(self.width, "little")
            self.memory[seen["w_addr"] : seen["w_addr"] + self.width] = np.frombuffer(raw, np.int8)
            self.writes += 1
