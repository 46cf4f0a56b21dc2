"""A depthwise convolution over one channel becomes a convolution, and computes the same."""

import harness
import numpy as np
import pytest


@pytest.mark.parametrize("per_channel", [True, False])
def test_over_one_channel(per_channel):
    random = np.random.default_rng(4)
    scale = random.uniform(0.002, 0.01, 8) if per_channel else 0.004
    tensors = [
        harness.tensor((1, 25, 20, 1), scale=0.05, zero_point=-9),
        harness.tensor((1, 10, 8, 8), scale=scale, axis=3, data=random.integers(-127, 128, (1, 10, 8, 8))),
        harness.tensor((8,), "int32", scale=0.001, data=random.integers(-500, 500, 8)),
        harness.tensor((1, 13, 10, 8), scale=0.06, zero_point=4),
    ]
    options = {"padding": 0, "strideH": 2, "strideW": 2, "depthMultiplier": 8, "fusedActivationFunction": 1}
    more = {"dilationWFactor": 1, "dilationHFactor": 1}
    model = harness.tiny([("DEPTHWISE_CONV_2D", [0, 1, 2], [3], {**options, **more})], tensors, [0], [3])
    graph = harness.graph_of(model)
    assert [op.kind for op in graph.ops] == ["CONV_2D"]
    assert graph.tensor(graph.ops[0].inputs[1]).shape == (8, 10, 8, 1)
    harness.check(model, 16, devices=("cortex-m55-an547",))


def test_two_channels_stay_depthwise():
    tensors = [
        harness.tensor((1, 5, 5, 2), scale=0.05), harness.tensor((1, 3, 3, 2), scale=0.01, data=np.ones((1, 3, 3, 2))),
        harness.tensor((2,), "int32", data=[0, 0]), harness.tensor((1, 5, 5, 2), scale=0.1),
    ]  # fmt: skip
    options = {
        "padding": 0,
        "strideH": 1,
        "strideW": 1,
        "depthMultiplier": 1,
        "dilationWFactor": 1,
        "dilationHFactor": 1,
    }
    model = harness.tiny([("DEPTHWISE_CONV_2D", [0, 1, 2], [3], options)], tensors, [0], [3])
    assert [op.kind for op in harness.graph_of(model).ops] == ["DEPTHWISE_CONV_2D"]
