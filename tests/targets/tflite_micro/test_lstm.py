"""LSTM layers equal the reference over sequences of inferences; sigmoid and tanh are what their names say."""

import ctypes
import subprocess

import harness
import numpy as np
import pytest
from close import check_close
from harness import tensor

from targets.tflite_micro.kernels import INCLUDE, SOURCES
from targets.tflite_micro.ops.lstm import head_start
from targets.tflite_micro.ops.registry import obstacle

NONE, TANH = 0, 4
CORES = ("cortex-m3-an385", "cortex-m4-an386", "cortex-m7-an500", "cortex-m33-an505", "cortex-m55-an547")


def lstm(
    batch=1, time=4, in_c=5, units=6, *, time_major=False, zero=4, hidden=(1 / 128, 0), state=None, cell=2.0**-11,
    clip=0.0, scales=(0.01, 0.008), largest=127, bias=20000, activation=TANH, seed=0,
    inside=(0,), **changes,
):  # fmt: skip
    """A file with one LSTM, as TFLite's converter writes it; ``changes``: place of an input to another tensor."""
    random = np.random.default_rng(seed)

    def weights(n, scale):
        return tensor((units, n), "int8", scale, data=random.integers(-largest, largest + 1, (units, n)))

    tensors = [tensor((time, batch, in_c) if time_major else (batch, time, in_c), "int8", 0.03, zero)]
    places = list(range(24))
    for place in range(1, 24):
        if place in range(1, 5):
            made = weights(in_c, scales[0])
        elif place in range(5, 9):
            made = weights(units, scales[1])
        elif place in range(12, 16):
            made = tensor((units,), "int32", scales[0] * 0.03, data=random.integers(-bias, bias + 1, units))
        elif place == 18:
            made = tensor((batch, units), "int8", *(state or hidden), variable=True)
        elif place == 19:
            made = tensor((batch, units), "int16", cell, variable=True)
        else:
            made, places[place] = tensor((0,), "int8"), -1
        changed = changes.get(f"at_{place}")
        if changed:
            made, places[place] = changed, place
        tensors.append(made)
    inner = [*(tensor(inside, "int16", 2.0**-12) for _ in range(4)), tensor(inside, "int8", *hidden)]
    keys = list(range(24, 29))
    shape = (time, batch, units) if time_major else (batch, time, units)
    options = {"fusedActivationFunction": activation, "cellClip": clip, "timeMajor": time_major, "intermediates": keys}
    ops = [("UNIDIRECTIONAL_SEQUENCE_LSTM", places, [29], options)]
    return harness.tiny(ops, [*tensors, *inner, tensor(shape, "int8", *hidden)], [0], [29])


CASES = {
    "plain": {},
    "time major": {"time_major": True, "batch": 2, "seed": 1},
    "batches": {"batch": 3, "zero": -128, "seed": 2},
    "zero points": {"hidden": (1 / 100, 7), "state": (1 / 90, -11), "zero": 127},
    "coarse cell": {"cell": 2.0**-9, "time": 40, "largest": 40},
    "fine cell": {"cell": 2.0**-15, "clip": 0.5},
    "clip": {"clip": 1.0, "activation": NONE},
    "saturated gates": {"scales": (0.2, 0.2)},
    "large": {"in_c": 37, "units": 21, "bias": 300, "cell": 2.0**-12},
    "one unit": {"in_c": 1, "units": 1, "scales": (0.02, 0.001)},
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_reference_from_one_inference_to_the_next(name):
    harness.check(lstm(**CASES[name]), 64 if name == "plain" else 12, sanitize=name in ("plain", "large"))


@pytest.mark.parametrize("name", ["time major", "coarse cell", "large"])
def test_equals_the_reference_on_every_core(name):
    harness.check(lstm(**CASES[name]), 12, variants=(), devices=CORES)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    path = tmp_path_factory.mktemp("lstm") / "lstm.so"
    sources = [str(SOURCES / name) for name in ("ew_lstm.c", "ew_dot4.c")]
    subprocess.run(
        ["gcc", "-O1", "-shared", "-fPIC", "-DEW_PORTABLE", f"-I{INCLUDE}", "-o", path, *sources], check=True
    )
    return ctypes.CDLL(str(path))


ALL = np.arange(-(1 << 15), 1 << 15)


def test_sigmoid_is_within_seven_steps_everywhere(kernels):
    got = np.array([kernels.ew_lstm_sigmoid(int(x)) for x in ALL])
    exact = 2.0**15 / (1 + np.exp(-ALL / 4096))
    worst = np.abs(got - np.minimum(exact, 32767)).max()
    assert worst < 7 and np.all((got >= 0) & (got <= 32767)), worst


@pytest.mark.parametrize("bits", range(9, 16))
def test_tanh_is_odd_and_within_thirteen_steps_everywhere(kernels, bits):
    got = np.array([kernels.ew_lstm_tanh(int(x), bits) for x in ALL])
    worst = np.abs(got - 2.0**15 * np.tanh(ALL / 2.0**bits)).max()
    assert worst < 13, worst
    assert np.array_equal(got[1:], -got[:0:-1]), "tanh(-x) is not -tanh(x)"


@pytest.mark.parametrize("case", [{}, {"batch": 2, "units": 3}, {"in_c": 9, "time": 5, "time_major": True, "batch": 2}])
def test_the_output_may_come_as_close_to_the_input_as_promised(case):
    check_close(lstm(**case))


def test_head_start_is_the_smallest_that_keeps_unread_rows():
    for rows in range(1, 5):
        for in_row in range(1, 5):
            for out_row in range(1, 5):
                needed = [(r + 1) * out_row - (r + 1) * in_row for r in range(rows - 1)]
                assert head_start(rows, in_row, out_row) == max(needed, default=-in_row), (rows, in_row, out_row)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"at_9": tensor((6,), "int16", 0.1, data=np.zeros(6))}, "Seen: peepholes"),
        ({"at_16": tensor((6, 6), "int8", 0.1, data=np.zeros((6, 6)))}, "Seen: a projection"),
        ({"at_20": tensor((6,), "int16", 0.1, data=np.zeros(6))}, "Seen: layer norm"),
        ({"activation": 1}, "Seen: relu"),
        ({"cell": 0.001}, "a scale of 0.001"),
        ({"cell": 2.0**-8}, "a scale of 0.00390625"),
        ({"at_1": tensor((6, 5), "int8", 0.1, 3, data=np.zeros((6, 5)))}, "of another kind"),
    ],
)
def test_what_is_refused_is_said(change, words):
    graph = harness.graph_of(lstm(**change))
    assert words in obstacle(graph.ops[0], graph)
