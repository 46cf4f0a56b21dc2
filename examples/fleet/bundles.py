"""Small bundles for ONNX Runtime, made on the spot: two good ones, and three that are bad in different ways."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np

import toolchain
from targets.artifact import load_artifact, write_manifest

#: Features that go in, units of the hidden layers, words that are told apart.
FEATURES, HIDDEN, WORDS = 40, 768, 12
#: So many times the hidden layer's work does the slow one, to the same numbers.
DETOURS = 24


def make_bundles(folder: Path, *, short: bool) -> dict[str, Path]:
    """Name to bundle, below ``folder/build``. All but one are built by the pipeline, which writes golden outputs."""
    found = {"first": _build(folder, "first", tuned=0)}
    if not short:
        found["better"] = _build(folder, "better", tuned=1)
        found["slow"] = _build(folder, "slow", tuned=1, detours=DETOURS)
        found["strange"] = _build(folder, "strange", tuned=1, words=WORDS - 1)
    return {**found, "wrong": _mixed_up(folder, found.get("better", found["first"]))}


def _build(folder: Path, name: str, **network: int) -> Path:
    model = write_network(folder / f"{name}.onnx", **network)
    project = folder / f"{name}.toml"
    project.write_text(
        f'[model]\nsource = "{model.name}"\n[data]\nsource = "random"\n'
        '[[device]]\nprofile = "local-cpu"\ntarget = "onnxruntime"\nprecision = "fp32"\n'
    )
    toolchain.build(project, out=folder / "build" / name, profile=False)
    return folder / "build" / name / "local-cpu"


def _mixed_up(folder: Path, right: Path) -> Path:
    """A bundle whose weights are not those that its golden outputs were computed with, as a mix-up in a build makes it.

    Every hash in it is right, so it can be signed and published. Only running it shows what is wrong.
    """
    wrong = folder / "build" / "wrong" / "local-cpu"
    shutil.copytree(right, wrong)
    artifact = load_artifact(wrong)
    write_network(wrong / artifact.compiled.files[0], tuned=2)
    write_manifest(dataclasses.replace(artifact, folder=wrong))
    return wrong


def write_network(path: Path, *, tuned: int, detours: int = 0, words: int = WORDS) -> Path:
    """Three linear layers: (1, FEATURES) to (1, words). ``tuned`` draws other weights for the last one.

    ``detours`` adds products whose result is divided by 10^9 and added: nothing changes but the time.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(7)

    def weight(name: str, rows: int, columns: int, seed: int | None = None) -> onnx.TensorProto:
        draw = random if seed is None else np.random.default_rng(seed)
        values = draw.standard_normal((rows, columns)) / np.sqrt(rows)
        return numpy_helper.from_array(values.astype(np.float32), name)

    weights = [
        weight("w1", FEATURES, HIDDEN),
        weight("w2", HIDDEN, HIDDEN),
        weight("w3", HIDDEN, words, 100 + tuned),
        numpy_helper.from_array(np.array(1e-9, np.float32), "tiny"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h1"], name="features"),
        helper.make_node("Relu", ["h1"], ["r1"], name="relu1"),
        helper.make_node("MatMul", ["r1", "w2"], ["h2"], name="hidden"),
        helper.make_node("Relu", ["h2"], ["r2"], name="relu2"),
    ]
    last = "r2"
    for number in range(detours):
        nodes += [
            helper.make_node("MatMul", [last, "w2"], [f"d{number}"], name=f"detour{number}"),
            helper.make_node("Tanh", [f"d{number}"], [f"t{number}"], name=f"tanh{number}"),
            helper.make_node("Mul", [f"t{number}", "tiny"], [f"s{number}"], name=f"shrink{number}"),
            helper.make_node("Add", [last, f"s{number}"], [f"a{number}"], name=f"add{number}"),
        ]
        last = f"a{number}"
    nodes.append(helper.make_node("MatMul", [last, "w3"], ["scores"], name="scores"))
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])]
        for name, size in (("x", FEATURES), ("scores", words))
    ]
    graph = helper.make_graph(nodes, "keywords", *ends, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10), path)
    return path
