"""Random networks, random recipes: what comes out is exported, and ONNX Runtime computes what torch does."""

import random
import zlib

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="compression works on torch modules")
ort = pytest.importorskip("onnxruntime", reason="runs what was exported")
from profiles.errors import EdgewrightError  # noqa: E402
from tests.toolchain.compress.structured.random_graphs import make  # noqa: E402
from toolchain.compress import LowRank, Prune, Sparsify, compress  # noqa: E402
from toolchain.compress.catalogue import all_methods  # noqa: E402
from toolchain.export.onnx import export_onnx  # noqa: E402

#: Options with which the methods of a step do something visible to any network.
OPTIONS = {
    "prune": lambda draw: {"ratio": draw.choice([0.3, 0.5]), "scope": draw.choice(["layer", "global"])},
    "lowrank": lambda draw: {"ratio": draw.choice([0.3, 0.5])},
    "sparsify": lambda draw: {"sparsity": draw.choice([0.5, 0.8])},
}
KINDS = {"prune": Prune, "lowrank": LowRank, "sparsify": Sparsify}
FREE = [method for method in all_methods() if method.step in KINDS and not method.needs]


def step(method, draw):
    options = OPTIONS[method.step](draw)
    return KINDS[method.step](method=method.name, **({} if method.name == "nm" else options))


def recipe(first, draw):
    """One step by ``first``, and before or after it perhaps one of another kind."""
    others = [method for method in FREE if method.step != first.step]
    more = draw.sample(others, draw.choice([0, 1]))
    steps = [step(method, draw) for method in (first, *more)]
    draw.shuffle(steps)
    return steps


def compressed(method, draw):
    """A random network after a random recipe with the method in it, and an input; refusals must have a reason."""
    refused = []
    for _ in range(10):
        net, x = make(draw.randrange(10**6), 2)
        steps = recipe(method, draw)
        try:
            return compress(net, steps, example_input=x), x
        except EdgewrightError as error:
            assert error.wanted and error.seen
            refused.append(str(error))
    pytest.fail(f"ten recipes with {method.name} were refused: {refused}")


@pytest.mark.parametrize("method", FREE, ids=lambda method: f"{method.step}-{method.name}")
def test_the_engine_computes_what_the_compressed_model_does(method, tmp_path):
    torch.set_num_threads(1)
    result, x = compressed(method, random.Random(zlib.crc32(method.name.encode())))
    first, *rows = result.rows
    assert any(row.params < first.params or row.zeros > first.zeros for row in rows), "nothing was compressed"
    exported = export_onnx(result.model, {"x": x.numpy()}, tmp_path / "net.onnx")
    session = ort.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        wanted = result.model.double()(x.double()).numpy()
    (seen,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert np.abs(seen - wanted).max() <= 1e-4 * np.abs(wanted).max() + 1e-5
