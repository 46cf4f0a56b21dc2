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


def pairs():
    """Every method that needs nothing, a pruning one and another one at a time."""
    prunes = [method for method in FREE if method.step == "prune"]
    others = [method for method in FREE if method.step != "prune"]
    count = max(len(prunes), len(others))
    return [(prunes[index % len(prunes)], others[index % len(others)]) for index in range(count)]


def compressed(methods, draw):
    """A random network after these methods in random order, and an input; refusals must have a reason."""
    refused = []
    for _ in range(10):
        net, x = make(draw.randrange(10**6), 2)
        steps = [step(method, draw) for method in draw.sample(methods, 2)]
        try:
            return compress(net, steps, example_input=x), x
        except EdgewrightError as error:
            assert error.wanted and error.seen
            refused.append(str(error))
    pytest.fail(f"ten networks were refused: {refused}")


@pytest.mark.parametrize("methods", pairs(), ids=lambda pair: "-".join(method.name for method in pair))
def test_the_engine_computes_what_the_compressed_model_does(methods, tmp_path):
    torch.set_num_threads(1)
    seed = zlib.crc32("".join(method.name for method in methods).encode())
    result, x = compressed(methods, random.Random(seed))
    first, *rows = result.rows
    assert any(row.params < first.params or row.zeros > first.zeros for row in rows), "nothing was compressed"
    exported = export_onnx(result.model, {"x": x.numpy()}, tmp_path / "net.onnx")
    session = ort.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        wanted = result.model.double()(x.double()).numpy()
    (seen,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert np.abs(seen - wanted).max() <= 1e-4 * np.abs(wanted).max() + 1e-5
