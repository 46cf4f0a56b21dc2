"""Hostile files: a part of ``benchmarks/fuzz_tflite.py``, and every operator with numbers at the edges."""

import random
import runpy
from pathlib import Path

import pytest
from graph_files import litert_shapes
from harness import shared_model
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from benchmarks import fuzz_tflite, mutate_tflite
from targets.tflite_micro.calls import VARIANTS
from targets.tflite_micro.graph.load import load_graph_bytes
from targets.tflite_micro.ops import registry

cases = runpy.run_path(str(Path(__file__).with_name("test_shapes.py")))


def lowered(data):
    """Every operator as a call for every variant, or in words why not."""
    graph = load_graph_bytes(data, "fuzz")
    for op in graph.ops:
        if not registry.obstacle(op, graph):
            for variant in VARIANTS:
                registry.rules()[op.kind].lower(op, graph, variant)


def test_mutations_of_the_shared_models():
    models = [shared_model(name) for name in fuzz_tflite.MODELS]
    with fuzz_tflite.limits():
        for number, (kind, data) in enumerate(mutate_tflite.mutants(models, 203, 5)):
            outcome = fuzz_tflite.trial(data, lowered)
            assert outcome.good, f"{kind} {number}: {outcome.what}, {outcome.seconds:.1f} s: {outcome.detail}"


@pytest.mark.parametrize("case", cases["CASES"], ids=lambda case: case.__name__)
@seed(1)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(data=st.data())
def test_mutations_of_every_operator(case, data):
    made = case(data.draw)
    wanted = litert_shapes(cases["build"](made, [(1, 1, 1, 1)] * made[2]))
    assume(wanted is not None and all(0 not in shape for shape in wanted))
    model = cases["build"](made, wanted)
    draw = random.Random(len(model))
    mutate = [mutate_tflite.fields, mutate_tflite.fields, mutate_tflite.words, mutate_tflite.bits]
    places = mutate_tflite.structure(model)
    with fuzz_tflite.limits():
        assert fuzz_tflite.trial(model, lowered).what in ("built", "UnsupportedError")
        for number in range(24):
            kind = mutate[number % 4]
            outcome = fuzz_tflite.trial(kind(draw, [model], 0, places), lowered)
            assert outcome.good, f"{kind.__name__} {number}: {outcome.what}, {outcome.seconds:.1f} s: {outcome.detail}"
