"""SVDF layers equal the reference over sequences of inferences."""

import harness
import numpy as np
import pytest
from harness import tensor

from targets.tflite_micro.ops.registry import obstacle

RELU = 1


def svdf(
    batch=1, in_c=5, units=3, rank=2, memory=4, *, zero=3, out=(0.3, -4), state=0.002, feature=0.01, bias=True,
    activation=RELU, state_type="int16", seed=0,
):  # fmt: skip
    """A file with one SVDF."""
    random, filters = np.random.default_rng(seed), units * rank
    tensors = [
        tensor((batch, in_c), "int8", 0.04, zero),
        tensor((filters, in_c), "int8", feature, data=random.integers(-127, 128, (filters, in_c))),
        tensor((filters, memory), "int16", 0.0003, data=random.integers(-32767, 32768, (filters, memory))),
        tensor((units,), "int32", 0.0003 * state, data=random.integers(-(10**6), 10**6, units)),
        tensor((batch, filters * memory), state_type, state, variable=True),
        tensor((batch, units), "int8", *out),
    ]
    options = {"rank": rank, "fusedActivationFunction": activation}
    return harness.tiny([("SVDF", [0, 1, 2, 3 if bias else -1, 4], [5], options)], tensors, [0], [5])


CASES = [
    {}, {"bias": False}, {"batch": 3, "zero": -128}, {"rank": 1, "units": 1, "memory": 1, "in_c": 1},
    {"in_c": 33, "units": 7, "rank": 3, "memory": 9, "out": (3.0, 20)}, {"state": 0.0001, "feature": 0.001, "seed": 2},
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_equals_the_reference_from_one_inference_to_the_next(case):
    harness.check(svdf(**case), 64 if not case else 12, sanitize=case in CASES[:1] + CASES[4:5])


def test_equals_the_reference_on_every_core():
    harness.check(svdf(**CASES[4]), 12, variants=(), devices=("cortex-m3-an385", "cortex-m4-an386", "cortex-m55-an547"))


def test_the_reference_does_not_cut_at_zero():
    outputs = harness.reference(svdf(), harness.random_samples(svdf(), 16))
    assert min(sample[0].min() for sample in outputs) < -4


def test_without_an_activation_it_is_what_tflm_computes():
    from tflite_micro import runtime

    model = svdf(activation=0)
    samples = harness.random_samples(model, 16)
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 16)
    wanted = []
    for (sample,) in samples:
        interpreter.set_input(sample, 0)
        interpreter.invoke()
        wanted.append([interpreter.get_output(0)])
    problem = harness.difference(wanted, harness.host(model, samples))
    assert not problem, problem


@pytest.mark.parametrize(
    ("change", "words"),
    [({"activation": 3}, "Seen: relu6"), ({"state_type": "int8"}, "int8 'tensor_4'"), ({"rank": 2}, "")],
)
def test_what_is_refused_is_said(change, words):
    graph = harness.graph_of(svdf(**change))
    seen = obstacle(graph.ops[0], graph)
    assert (words in seen) if words else not seen, seen
