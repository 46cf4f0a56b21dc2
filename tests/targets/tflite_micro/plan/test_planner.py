"""Plans of random graphs run correctly byte by byte, and are as small as trying everything says."""

import random
import time

import planned_networks as networks
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned_graphs import orders, problems, smallest

from targets.tflite_micro.plan.bound import bound_of_any_order, bound_of_order
from targets.tflite_micro.plan.check import check
from targets.tflite_micro.plan.exact import search
from targets.tflite_micro.plan.flow import problem_of
from targets.tflite_micro.plan.items import items_of
from targets.tflite_micro.plan.order import best_order
from targets.tflite_micro.plan.planner import plan
from targets.tflite_micro.plan.problem import Buffer, Problem, Step


@settings(max_examples=150, deadline=None)
@given(problems(), st.booleans())
def test_plans_run_correctly(problem, reorder):
    found = plan(problem, reorder)
    assert check(problem, found) == []
    assert found.arena >= found.lower_bound, found
    assert found.arena == found.lower_bound or not found.every_order or not found.optimal or len(orders(problem)) == 1


@settings(max_examples=40, deadline=None)
@given(problems(most=4, largest=3, align=1))
def test_exact_search_agrees_with_trying_all_offsets(problem):
    order = problem.file_order
    items = items_of(problem, order)
    upper = sum(items.sizes) + 1
    offsets, proved = search(items, upper, 0, 10**7)
    assert offsets is not None and proved
    assert items.top(offsets) == smallest(problem, order, upper)


@settings(max_examples=20, deadline=None)
@given(problems(most=4, largest=4, align=1))
def test_plans_of_tiny_graphs_are_the_smallest_there_are(problem):
    found = plan(problem)
    assert found.arena <= plan(problem, reorder=False).arena
    floor = found.lower_bound - 2
    best = min(smallest(problem, order, found.arena, floor) for order in orders(problem)[:4])
    assert found.lower_bound <= best, f"the bound {found.lower_bound} is above what is possible, {best}"
    if found.optimal:
        assert found.arena == best


@settings(max_examples=100, deadline=None)
@given(problems(most=6, align=4))
def test_the_order_with_the_lowest_bound_is_found(problem):
    found = best_order(problem)
    every = orders(problem)
    assert found.order in every
    bounds = [bound_of_order(problem, order) for order in every]
    assert found.exact and found.peak >= min(bounds) >= found.peak - 3, (found, min(bounds))  # 3: padding
    assert bound_of_any_order(problem) <= min(bounds)
    beam = best_order(problem, states=0)
    assert beam.order in every and beam.peak >= found.peak


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({1: 16}, "buffer 0 are overwritten before being read"),
        ({0: 1}, "aligned to 16"),
        ({2: 0}, "not what was written there"),
        ({3: 4096}, "in an arena of"),
    ],
)
def test_the_check_sees_wrong_offsets(wrong, said):
    buffers = (Buffer(0, 64, True), Buffer(1, 64), Buffer(2, 64), Buffer(3, 64, False, True))
    steps = (
        Step("over", (0,), (1,), 0, {0: 0}),
        Step("apart", (1,), (2,)),
        Step("join", (1, 2), (3,), 32),
    )
    problem = Problem(buffers, steps)
    found = plan(problem)
    assert check(problem, found) == []
    assert found.offsets[0] == found.offsets[1]
    moved = type(found)(**{**vars(found), "offsets": {**found.offsets, **wrong}})
    if 2 in wrong:
        moved.offsets[2] = moved.offsets[1]
    faults = check(problem, moved)
    assert any(said in fault for fault in faults), faults


def test_the_check_sees_a_wrong_order_and_spoilt_scratch():
    buffers = (Buffer(0, 16, True), Buffer(1, 16), Buffer(2, 16, False, True))
    problem = Problem(buffers, (Step("a", (0,), (1,)), Step("b", (1,), (2,), 16)))
    found = plan(problem)
    backwards = type(found)(**{**vars(found), "order": (1, 0)})
    assert any("b: 16 bytes of buffer 1" in fault for fault in check(problem, backwards))
    under = type(found)(**{**vars(found), "scratch_offsets": {1: found.offsets[2]}})
    assert any("scratch was overwritten" in fault for fault in check(problem, under))


def test_two_towers_are_run_one_after_the_other():
    # Interleaved, both wide tensors are alive at once; one tower at a time keeps one of them.
    buffers = (Buffer(0, 16, True), *(Buffer(k, 1024) for k in (1, 2)), *(Buffer(k, 16) for k in (3, 4)))
    steps = (
        Step("wide 1", (0,), (1,)), Step("wide 2", (0,), (2,)), Step("narrow 1", (1,), (3,)),
        Step("narrow 2", (2,), (4,)), Step("join", (3, 4), (5,)),
    )  # fmt: skip
    problem = Problem((*buffers, Buffer(5, 16, False, True)), steps)
    found = plan(problem)
    assert plan(problem, reorder=False).arena == 2064
    assert found.arena == found.lower_bound == 1056 and found.every_order and found.optimal
    assert found.order == (0, 2, 1, 3, 4)
    assert "reordered" in found.method and "any order" in found.summary()


@pytest.mark.parametrize(
    ("network", "wide", "arena"),
    [
        (networks.resnet8, 2, 36_032),
        (networks.resnet8, 1, 34_400),
        (networks.ds_cnn, 2, 10_688),
        (networks.ds_cnn, 1, 9_344),
    ],
)
def test_mlperf_tiny_reaches_the_lower_bound_without_fusion(network, wide, arena):
    net = network(wide)
    problem = problem_of(net.calls, net.buffers())
    found = plan(problem)
    assert check(problem, found) == []
    assert found.arena == found.lower_bound == arena, found.summary()
    assert found.order == problem.file_order, "the order of the file is kept when no other is better"


def _branches(steps: int, seed: int) -> Problem:
    draw = random.Random(seed)
    buffers, listed = [Buffer(0, 3000, True)], []
    for index in range(1, steps + 1):
        reads = sorted({draw.randrange(max(0, index - 12), index) for _ in range(draw.choice((1, 1, 2)))})
        buffers.append(Buffer(index, draw.randrange(16, 9000), False, index == steps))
        overlap = {key: draw.choice((0, 64, -64)) for key in reads if draw.random() < 0.4}
        listed.append(Step(f"{index}", tuple(reads), (index,), draw.choice((0, 0, 300)), overlap))
    return Problem(tuple(buffers), tuple(listed))


@pytest.mark.parametrize(("steps", "seconds"), [(30, 1.0), (300, 10.0)])
def test_effort_is_limited_and_deterministic(steps, seconds):
    problem = _branches(steps, steps)
    start = time.process_time()
    found = plan(problem)
    spent = time.process_time() - start
    print(f"{steps} steps: {spent:.2f} s, {found.summary()}")
    assert spent < 4 * seconds, "far above the intended effort, even for a slow machine"
    if steps < 100:
        assert plan(problem) == found
        assert check(problem, found) == []
