"""Budgets shared out between layers, against all combinations."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolchain.compress.lowrank.allocate import STEPS, allocate, pareto

MENU = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 100)), min_size=1, max_size=5)
PROBLEM = st.tuples(st.lists(MENU, min_size=1, max_size=4), st.integers(0, 100))


def arrays(menus, unit=1):
    costs = [np.array([cost * unit for cost, _ in menu], np.int64) for menu in menus]
    return costs, [np.array([error for _, error in menu], float) for menu in menus]


def brute(costs, errors, budget):
    """The least sum of errors within the budget, or None."""
    sums = []
    for picks in itertools.product(*(range(len(cost)) for cost in costs)):
        if sum(cost[k] for cost, k in zip(costs, picks, strict=True)) <= budget:
            sums.append(sum(error[k] for error, k in zip(errors, picks, strict=True)))
    return min(sums, default=None)


def totals(costs, errors, picks):
    pairs = zip(costs, errors, picks, strict=True)
    return tuple(map(sum, zip(*((cost[k], error[k]) for cost, error, k in pairs), strict=True)))


@given(PROBLEM)
def test_small_budgets_are_shared_out_as_well_as_possible(problem):
    menus, budget = problem
    costs, errors = arrays(menus)
    picks, best = allocate(costs, errors, budget), brute(costs, errors, budget)
    if picks is None:
        assert best is None
    else:
        cost, error = totals(costs, errors, picks)
        assert cost <= budget
        assert error == best


@given(PROBLEM)
def test_large_budgets_are_kept_and_lose_at_most_one_step_per_layer(problem):
    menus, budget = problem
    unit = 1_000_003
    costs, errors = arrays(menus, unit)
    picks = allocate(costs, errors, budget * unit)
    best = brute(costs, errors, budget * unit)
    assert (picks is None) == (best is None)
    if picks is not None:
        cost, error = totals(costs, errors, picks)
        slack = len(menus) * (budget * unit // STEPS + 1)
        tighter = brute(costs, errors, budget * unit - slack)
        assert cost <= budget * unit
        assert tighter is None or error <= tighter


@given(MENU)
def test_what_is_left_out_is_beaten_in_both(menu):
    costs, errors = (column[0] for column in arrays([menu]))
    kept = pareto(costs, errors)
    for k in range(len(costs)):
        assert any(costs[j] <= costs[k] and errors[j] <= errors[k] for j in kept)
    pairs = list(itertools.combinations(kept, 2))
    assert all(costs[a] < costs[b] and errors[a] > errors[b] for a, b in pairs)
