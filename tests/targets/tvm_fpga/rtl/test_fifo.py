"""ew_fifo against a list."""

from collections import deque

import numpy as np
from bench import Bench


def test_fifo_equals_a_list_under_random_traffic():
    bench, rng = Bench("ew_fifo", WIDTH=19, DEPTH=8), np.random.default_rng(1)
    wanted: deque[int] = deque()
    for cycle in range(3000):
        filling = (cycle // 100) % 2
        push = len(wanted) < 8 and rng.random() < (0.8 if filling else 0.3)
        pop = bool(wanted) and rng.random() < (0.3 if filling else 0.8)
        word = int(rng.integers(1 << 19))
        seen = bench.step(push=push, pop=pop, word=word)
        assert seen["count"] == len(wanted) and seen["valid"] == bool(wanted) and seen["full"] == (len(wanted) == 8), (
            cycle
        )
        assert not wanted or seen["head"] == wanted[0], f"cycle {cycle}: another word is oldest"
        assert not seen["overflow"], f"cycle {cycle}: nothing was written while it was full"
        if pop:
            wanted.popleft()
        if push:
            wanted.append(word)


def test_what_does_not_fit_is_ignored_and_told():
    bench = Bench("ew_fifo", WIDTH=19, DEPTH=8)
    for number in range(9):
        bench.step(push=1, word=number)
    assert bench.step()["overflow"], "the ninth word of eight is told"
    assert [bench.step(pop=1)["head"] for _ in range(8)] == list(range(8)), "and what was there before stays"
    bench.reset()
    assert not bench.step(pop=1)["overflow"] and bench.step()["overflow"], "reading nothing is told as well"
