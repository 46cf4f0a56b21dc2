"""Every float tensor of an ONNX graph, sample by sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from profiles.runner import Array, Arrays
from targets.quiet import in_our_words


def float_tensors(model: Any, *, half: bool = False) -> list[str]:
    """Names of all float32 tensors that nodes compute, in graph order; outputs of Constant nodes left out.

    With ``half``, float16 tensors too.
    """
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model)
    typed = [*inferred.graph.value_info, *inferred.graph.output]
    kinds = {onnx.TensorProto.FLOAT, *([onnx.TensorProto.FLOAT16] if half else [])}
    floats = {info.name for info in typed if info.type.tensor_type.elem_type in kinds}
    nodes = (node for node in model.graph.node if node.op_type != "Constant")
    return [name for node in nodes for name in node.output if name in floats]


def watch(path: Path, names: Iterable[str], samples: Iterable[Arrays]) -> Iterator[dict[str, Array]]:
    """Run the graph as it is written (no fusion) and yield the named tensors of each sample.

    The graph's own float inputs are yielded too, because they are quantized as well.
    """
    import onnx
    import onnxruntime as ort

    model = onnx.load(str(path))
    wanted = list(names)
    present = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in present)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    content, create = model.SerializeToString(), ort.InferenceSession
    with in_our_words("ONNX Runtime must load the model to watch its tensors"):
        session = create(content, options, providers=["CPUExecutionProvider"])
    for sample in samples:
        values = session.run(wanted, dict(sample)) if wanted else []
        yield {**sample, **dict(zip(wanted, values, strict=True))}
