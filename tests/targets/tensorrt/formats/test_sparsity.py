"""The 2:4 pattern, against a count by hand, in all layers and in int8 as well as in float."""

import itertools
import runpy
from pathlib import Path

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from profiles.errors import ModelError
from targets.tensorrt.formats.sparsity import has_pattern, sparse_notes, two_four

nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
node, const, make = nets["node"], nets["const"], nets["make"]


def pruned(values, axis=1):
    """Two of every four along an axis set to zero, the smaller ones."""
    rows = np.moveaxis(np.array(values), axis, -1).copy()
    fours = rows.reshape(-1, 4)
    np.put_along_axis(fours, np.argsort(np.abs(fours), axis=1)[:, :2], 0, axis=1)
    return np.moveaxis(fours.reshape(rows.shape), -1, axis)


def by_hand(weights, axis):
    """Element by element."""
    others = [range(size) for place, size in enumerate(weights.shape) if place != axis]
    for position in itertools.product(*others):
        for start in range(0, weights.shape[axis], 4):
            index = [[*position[:axis], start + k, *position[axis:]] for k in range(4)]
            if sum(weights[tuple(place)] != 0 for place in index) > 2:
                return False
    return True


def change(model, name, change_values):
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.CopyFrom(const(name, change_values(nets["constants"](model)[name])))
    return model


@hypothesis.given(
    hnp.arrays(np.int8, (2, 8, 2), elements=st.sampled_from([0, 0, 0, 1, -3])), st.integers(0, 3), st.booleans()
)
def test_the_pattern_is_what_counting_says(weights, axis, prune):
    weights = np.moveaxis(weights, 1, min(axis, 2))
    axis = min(axis, 2)
    if prune:
        weights = pruned(weights, axis)
        assert has_pattern(weights, axis), "pruned weights have the pattern"
    assert has_pattern(weights, axis) == by_hand(weights, axis)


def test_the_pattern_is_along_the_input_channels_alone():
    weights = np.zeros((4, 4, 1, 1))
    weights[:, :2] = 1.0  # of every four inputs two, of every four outputs none
    assert has_pattern(weights, 1) and not has_pattern(weights, 0)


def test_a_row_for_each_layer():
    model = change(nets["cnn"](), "w4", pruned)
    rows = {row.name: row for row in two_four(model)}
    assert list(rows) == ["first", "depthwise", "wide", "pointwise", "last"]
    assert rows["pointwise"].is_sparse and rows["pointwise"].zeros == 0.5 and not rows["pointwise"].why
    assert not rows["last"].is_sparse and rows["last"].zeros == 0 and "fewer than two zeros" in rows["last"].why
    assert rows["depthwise"].why == "1 input channels are no multiple of 4"


@pytest.mark.parametrize("product", ["w1", "w2", "w3"])
def test_matrix_products_are_read_along_their_own_input_axis(product):
    """w1 is stored (outputs, inputs), the others (inputs, outputs)."""
    axis = 1 if product == "w1" else 0
    model = change(nets["mlp"](), product, lambda values: pruned(values, axis))
    sparse = [row.name for row in two_four(model) if row.is_sparse]
    assert sparse == [{"w1": "wide", "w2": "product", "w3": "upright"}[product]]


def test_int8_weights_count_too():
    values = pruned(np.random.default_rng(0).integers(1, 100, (4, 8, 3, 3)))
    nodes = [
        node("DequantizeLinear", ["w", "s", "z"], ["wd"], name="WDQ", axis=0),
        node("Conv", ["x", "wd"], ["y"], name="conv"),
    ]
    constants = [const("w", values, np.int8), const("s", np.full(4, 0.1)), const("z", np.zeros(4), np.int8)]
    rows = two_four(make(nodes, constants, {"x": (1, 8, 3, 3)}, {"y": (1, 4, 1, 1)}))
    assert [(row.name, row.is_sparse, row.zeros) for row in rows] == [("conv", True, 0.5)]


def test_asking_for_sparse_kernels_without_the_pattern_is_an_error():
    with pytest.raises(ModelError, match="no such layer among 5") as error:
        sparse_notes(nets["cnn"]())
    assert "sparse_weights = false" in error.value.next_step


def test_a_partly_sparse_model_gets_a_note():
    notes = sparse_notes(change(nets["cnn"](), "w5", pruned))
    words = "1 of 5 layers have the 2:4 pattern; dense: first, depthwise, wide, pointwise"
    assert notes == {"sparse weights": words}
