import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from targets.layer_errors import compare

FLOATS = st.floats(-100, 100, width=32)


def one(reference, seen, ops=None):
    (row,) = compare(reference, seen, ops or {"t": "Conv"})
    return row


@given(st.lists(hnp.arrays(np.float32, (2, 3, 2), elements=FLOATS), min_size=1, max_size=4))
def test_figures_are_over_all_samples_together(pairs):
    before, after = ([pair[:, place] for pair in pairs] for place in (0, 1))
    row = one([{"t": values} for values in before], [{"t": values} for values in after])
    reference, seen = np.stack(before).astype(np.float64), np.stack(after).astype(np.float64)
    assert row.max_error == np.max(np.abs(reference - seen))
    signal, noise = np.sum(reference**2), np.sum((reference - seen) ** 2)
    if signal > 0 and noise > 0:
        assert row.sqnr == pytest.approx(10 * math.log10(signal / noise))
    else:
        assert row.sqnr is None


def test_a_tenth_of_noise_is_20_db():
    values = np.array([1.0, -1.0, 1.0], np.float32)
    row = one([{"t": values}], [{"t": values * np.float32(1.1)}])
    assert row.sqnr == pytest.approx(20.0, abs=1e-5)
    assert row.max_error == pytest.approx(0.1, abs=1e-6)


def test_rows_come_in_graph_order_with_their_operators():
    values = {"a": np.ones(2), "b": np.ones(3), "c": np.ones(1)}
    rows = compare([values], [values], {"c": "Relu", "a": "Conv", "missing": "Add"})
    assert [(row.name, row.op) for row in rows] == [("c", "Relu"), ("a", "Conv")]


def test_a_tensor_of_another_shape_is_not_the_same_tensor():
    assert compare([{"t": np.ones((2, 3))}], [{"t": np.ones((3, 2))}], {"t": "Conv"}) == []


def test_an_empty_tensor_has_no_error():
    row = one([{"t": np.ones((0, 3))}], [{"t": np.ones((0, 3))}])
    assert (row.sqnr, row.max_error) == (None, 0.0)


def test_integers_are_compared_as_numbers():
    row = one([{"t": np.array([0], np.uint8)}], [{"t": np.array([255], np.uint8)}])
    assert row.max_error == 255, "unsigned integers must not wrap around"


def test_streams_of_different_length_are_a_mistake():
    with pytest.raises(ValueError, match="shorter"):
        compare([{"t": np.ones(1)}] * 2, [{"t": np.ones(1)}], {"t": "Conv"})
