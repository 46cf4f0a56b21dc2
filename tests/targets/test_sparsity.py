"""What pruning leaves in a network: zeros and their patterns against a count by hand, sums, gates, branches."""

import itertools

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from targets.network import Step, kind_of
from targets.sparsity import DENSE, find, has_pattern, notes

RANDOM = np.random.default_rng(0)
DENSE_WEIGHTS = RANDOM.uniform(1, 2, (8, 8))


def layer(name, source, weights=DENSE_WEIGHTS, axis=1, bent=False):
    return Step("layer", name, (source,), (name,), weights, axis, bent)


def op(kind, name, *inputs):
    return Step(kind, name, inputs, (name,))


def zeroed(share):
    weights = DENSE_WEIGHTS.copy()
    weights.reshape(-1)[: int(share * weights.size)] = 0
    return weights


def by_hand(weights, kept, group):
    rows = np.moveaxis(weights, 1, -1).reshape(-1, weights.shape[1])
    fours = [row[i : i + group] for row in rows for i in range(0, len(row), group)]
    return all(sum(value != 0 for value in four) <= kept for four in fours)


def patterned(kept, group, shape=(4, 8, 3)):
    """Random weights of which in every group along axis 1 just ``kept`` are not zero."""
    weights = RANDOM.uniform(1, 2, shape)
    for out, k in itertools.product(range(shape[0]), range(shape[2])):
        for start in range(0, shape[1], group):
            weights[out, RANDOM.choice(np.arange(start, start + group), group - kept, replace=False), k] = 0
    return weights


@hypothesis.given(hnp.arrays(np.int8, (2, 8, 2), elements=st.sampled_from([0, 0, 0, 1])))
def test_zeros_and_patterns_are_what_counting_says(weights):
    found = find([layer("a", "x", weights)])
    assert (found.layers, found.weights, found.zeros) == (1, 32, int((weights == 0).sum()))
    tightest = next((f"{n}:{m}" for n, m in ((2, 4), (4, 8)) if by_hand(weights, n, m)), None)
    assert found.patterns == ({tightest: ("a",)} if tightest else {})


@pytest.mark.parametrize(("kept", "group"), [(2, 4), (4, 8)])
def test_a_pattern_is_found_in_weights_that_were_made_with_it(kept, group):
    weights = patterned(kept, group)
    assert find([layer("a", "x", weights)]).patterns == {f"{kept}:{group}": ("a",)}
    crowded = weights.copy()
    crowded[np.unravel_index(np.argmin(crowded), crowded.shape)] = 1
    assert find([layer("a", "x", crowded)]).patterns == {}, "one weight too many"


def test_a_pattern_runs_along_the_input_channels():
    weights = np.ones((8, 8))
    weights[:, ::2] = 0  # of four inputs two, of four outputs none
    assert has_pattern(weights, 1) and not has_pattern(weights, 0)
    assert find([layer("a", "x", weights, axis=0)]).patterns == {}
    assert find([layer("a", "x", weights, axis=None)]).patterns == {}, "one input channel per group has no neighbours"


def test_a_dense_network_gets_no_sentence():
    assert notes(find([layer("a", "x"), op("", "r", "a"), layer("b", "r")])) == ()


def test_few_zeros_are_nobodys_method():
    assert notes(find([layer("a", "x", zeroed(0.05))])) == ()


def test_zeros_are_told_with_their_share_and_what_becomes_of_them():
    steps = [layer("a", "x", zeroed(0.75)), layer("b", "a")]
    (said,) = notes(find(steps))
    assert said == f"38% of the weights are zero; {DENSE}"
    assert notes(find(steps), "they are packed")[0].endswith("zero; they are packed")


def test_a_sparse_layer_beside_a_low_rank_pair_is_a_sum():
    steps = [layer("s", "x", zeroed(0.9)), layer("u", "x"), layer("v", "u"), op("add", "sum", "s", "v")]
    assert find(steps).sums == ("sum",)
    assert "'sum': a sparse layer beside others on the same input" in "".join(notes(find(steps)))


def test_constants_that_are_added_and_norms_do_not_hide_a_sum():
    steps = [layer("s", "x", zeroed(0.9)), op("add", "bias", "s"), layer("u", "x"), op("move", "norm", "u")]
    assert find([*steps, layer("v", "norm"), op("add", "sum", "bias", "v")]).sums == ("sum",)


@pytest.mark.parametrize(
    ("why", "steps"),
    [
        ("dense branches are a block of RepVGG's", [layer("s", "x"), layer("v", "x")]),
        ("a shortcut has no layer", [layer("s", "x", zeroed(0.9)), op("move", "v", "x")]),
        ("other inputs", [layer("s", "x", zeroed(0.9)), layer("v", "y")]),
        ("a function between", [layer("s", "x", zeroed(0.9)), layer("u", "x"), op("", "r", "u"), layer("v", "r")]),
        ("an activation inside", [layer("s", "x", zeroed(0.9)), layer("u", "x", bent=True), layer("v", "u")]),
    ],
)
def test_what_is_no_sum_of_a_sparse_and_a_low_rank_layer(why, steps):
    assert find([*steps, op("add", "sum", "s", "v")]).sums == (), why


def test_a_decision_on_the_whole_input_that_multiplies_a_branch_is_a_gate():
    steps = [
        op("reduce", "mean", "x"),
        layer("logit", "mean"),
        op("compare", "more", "logit"),
        op("move", "cast", "more"),
    ]
    found = find([*steps, layer("branch", "x"), op("choose", "gated", "branch", "cast")])
    assert found.gates == ("gated",)
    assert "computed all the same" in notes(found)[0]


@pytest.mark.parametrize(
    "steps",
    [
        [
            op("reduce", "mean", "x"),
            layer("logit", "mean"),
            op("", "sigmoid", "logit"),
            op("choose", "se", "x", "sigmoid"),
        ],
        [op("compare", "positive", "x"), op("choose", "leaky", "positive", "x")],
    ],
    ids=["squeeze and excitation", "a leaky ReLU as a selection"],
)
def test_what_is_no_gate(steps):
    assert find(steps).gates == ()


def test_branches_are_told():
    (said,) = notes(find([op("branch", f"if{i}", "x") for i in range(5)]))
    assert said.startswith("'if0', 'if1', 'if2' and 2 more: decided while it runs")


_KINDS = {
    "compare": ("GREATER_EQUAL", "GreaterOrEqual", "ge", "TOPK_V2"),
    "reduce": ("ReduceMean", "MEAN", "mean"),
    "move": ("_to_copy", "Cast", "RESHAPE"),
    "branch": ("WHILE", "If"),
    "choose": ("SELECT_V2", "Where", "mul"),
    "": ("Relu", "CONV_2D", "sigmoid"),
}


@pytest.mark.parametrize("kind", _KINDS)
def test_operators_of_all_formats_have_a_kind(kind):
    assert {kind_of(name) for name in _KINDS[kind]} == {kind}
