"""Reading, naming and watching OpenVINO models."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from profiles.errors import UnsupportedError
from profiles.runner import Array, Arrays
from targets.base import ExportedModel
from targets.tflite_tools import read_tflite

#: How lines begin that say where in OpenVINO's own sources something went wrong.
_NOISE = ("Exception from ", "Check '", "FrontEnd API failed", "Model wasn't fully converted")


def source_file(model: ExportedModel) -> Path:
    """The file that OpenVINO reads: its own IR after quantization, else ONNX, else TFLite.

    Raises:
        UnsupportedError: there is none, or only a TFLite file in another layout than the model's own.
    """
    path = model.native or model.onnx or model.tflite
    if path is None:
        raise UnsupportedError(f"OpenVINO needs an ONNX or TFLite file of '{model.name}'", seen="neither")
    if path == model.tflite and model.tflite_channel_last:
        raise UnsupportedError(
            f"OpenVINO needs '{model.name}' in the layout of its source",
            seen=f"a TFLite file that has {', '.join(model.tflite_channel_last)} with the channel axis last",
            next_step="export it to ONNX",
        )
    return path


def read(path: Path) -> Any:
    """An ``openvino.Model``.

    Raises:
        UnsupportedError: the frontend does not know an operator; its words are passed on.
    """
    import openvino as ov

    try:
        return ov.Core().read_model(str(path))
    except RuntimeError as error:
        raise UnsupportedError(
            f"OpenVINO could not read {path.name}", seen=_reason(str(error)), next_step="run: edgewright support MODEL"
        ) from error


def open_network(model: ExportedModel) -> Any:
    """The model's network with its shapes fixed to those of its specs; a TFLite file may leave the batch axis open.

    What depends on constants only is computed here, if the model is float. The ONNX frontend leaves the
    weights of grouped convolutions behind a reshape, where NNCF would put the quantizer after the reshape,
    and the layer would run in float. Folding a quantized model would make its weights float again.
    """
    path = source_file(model)
    network = read(path)
    name_anew(network, {t.name for t in read_tflite(path).tensors} if path.suffix == ".tflite" else None)
    if any(port.get_partial_shape().is_dynamic for port in network.inputs):
        ports = zip(network.inputs, model.inputs, strict=True)
        network.reshape({port: list(spec.shape) for port, spec in ports})
    if model.precision != "int8":
        _fold_constants(network)
    return network


def _fold_constants(network: Any) -> None:
    from openvino.passes import ConstantFolding, Manager

    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(network)


def name_anew(model: Any, known: Collection[str] | None = None) -> None:
    """Number the nodes without a name of their own from 0, in the order of the graph.

    OpenVINO numbers them with a counter of the whole process, so that the same model would be written
    with other names whenever something else was read before it.

    Args:
        model: the network.
        known: names of the source file. The TFLite frontend hands automatic names on to other nodes,
            which can be told from given ones only by this list.
    """
    nodes = model.get_ordered_ops()
    automatic = [node for node in nodes if _is_automatic(node, known)]
    taken = {node.get_friendly_name() for node in nodes} - {node.get_friendly_name() for node in automatic}
    counters: dict[str, Iterator[int]] = {}
    for node in automatic:
        kind = node.get_type_name()
        free = (f"{kind}_{number}" for number in counters.setdefault(kind, itertools.count()))
        node.set_friendly_name(next(name for name in free if name not in taken))


def _is_automatic(node: Any, known: Collection[str] | None) -> bool:
    name = node.get_friendly_name()
    return name == node.get_name() or (
        known is not None and name not in known and re.fullmatch(r"[A-Z]\w*_\d+", name) is not None
    )


def _reason(text: str) -> str:
    """The lines of an OpenVINO exception that a person can use: what it lists, else the first after the noise."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    listed = [line.removeprefix("-- ") for line in lines if line.startswith("-- ")]
    plain = [line for line in lines if not line.startswith(_NOISE)]
    return "; ".join(listed) or (plain or lines or ["no reason given"])[0]


def compile_for(model: Any, hint: str, threads: int = 1) -> Any:
    """Compile on the CPU plugin with an explicit precision; its default may be bf16."""
    import openvino as ov

    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    try:
        return ov.Core().compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise UnsupportedError("OpenVINO could not compile the model for the CPU", seen=_reason(str(error))) from error


def watchable(model: Any) -> dict[str, Any]:
    """Friendly name to node, for every node with one float output that is not a constant or plumbing."""
    skipped = {"Parameter", "Result", "Constant", "FakeQuantize", "Convert", "ReadValue", "Assign"}
    nodes = (node for node in model.get_ordered_ops() if node.get_type_name() not in skipped)
    return {
        node.get_friendly_name(): node
        for node in nodes
        if node.get_output_size() == 1 and node.output(0).get_element_type().is_real()
    }


def in_order(model: ExportedModel, samples: Iterable[Arrays]) -> list[list[Array]]:
    """Each sample as OpenVINO takes it: a list in the order of the model's inputs, whose names IR may have lost."""
    return [[sample[spec.name] for spec in model.inputs] for sample in samples]


def watch(model: Any, names: Iterable[str], samples: Iterable[list[Array]]) -> Iterator[dict[str, Array]]:
    """Run a network on the CPU in f32 and yield the named nodes' outputs, sample by sample. Adds outputs to it."""
    nodes = watchable(model)
    wanted = [name for name in names if name in nodes]
    ports = {name: model.add_outputs([nodes[name].output(0)])[0] for name in wanted}
    request = compile_for(model, "f32").create_infer_request()
    for sample in samples:
        request.infer(sample)
        yield {name: request.get_tensor(port).data.copy() for name, port in ports.items()}
