"""Q/DQ pairs into a graph: what a placement says, with the scales of a calibration.

Everything is symmetric with zero point 0, as TensorRT demands. Activations: real = scale * q, q in [-128, 127].
Weights are stored as int8 in [-127, 127], in front of a DequantizeLinear. Biases stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from profiles.runner import Array
from targets.onnx_tools import all_graphs, constant_values, onnx_package, weights
from targets.tensorrt.formats.insert_qdq import drop_unread
from targets.tensorrt.placement.graph import node_name
from targets.tensorrt.placement.placement import Placement, QuantizedInput, Weights
from targets.tensorrt.placement.stored import Stored, store


def insert(model: Any, placement: Placement, scales: Mapping[str, float], style: Weights) -> Any:
    """A copy of a float graph with the Q/DQ pairs of a placement; nodes and tensors keep their names.

    Args:
        model: the ``onnx.ModelProto`` that the placement was made for; stays as it is.
        placement: what becomes int8.
        scales: of every tensor in ``placement.activations()``, in the tensor's real unit per step.
        style: the scales of weights, unless the placement's choice says otherwise.
    """
    onnx = onnx_package()
    made = onnx.ModelProto()
    made.CopyFrom(model)
    pairs = _Pairs(made, placement, scales, placement.choice.weights or style)
    nodes = list(_rewired(made.graph.node, placement.inputs, pairs))
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(pairs.constants)
    drop_unread(made)
    return made


def _rewired(nodes: Iterable[Any], inputs: Iterable[QuantizedInput], pairs: _Pairs) -> Iterator[Any]:
    """Every node reads the dequantized tensor where the placement says so; a pair stands before its first reader."""
    wanted: dict[str, list[QuantizedInput]] = {}
    for item in inputs:
        wanted.setdefault(item.node, []).append(item)
    for index, node in enumerate(nodes):
        behind: list[Any] = []
        for item in wanted.get(node_name(node, index), ()):
            yield from pairs.missing(item)
            node.input[item.index] = pairs.output(item)
            behind += pairs.factors(item, node)
        yield node
        yield from behind


class _Pairs:
    """Makes the pair of each tensor once.

    Attributes:
        constants: ``TensorProto`` of scales, zero points, int8 weights and factors.
    """

    def __init__(self, model: Any, placement: Placement, scales: Mapping[str, float], style: Weights) -> None:
        self.constants: list[Any] = []
        self._scales = scales
        self._style = style
        self._values = dict(weights(model))
        self._taken = _names(model)
        self._stored: dict[str, Stored | None] = {}
        self._computed_bias = _with_computed_bias(model, self._values)
        inputs = {item.node: scales[item.tensor] for item in placement.inputs if not item.weights}
        self._input_scales: dict[str, float] = {}
        for item in placement.inputs:
            if item.weights:
                largest = max(self._input_scales.get(item.tensor, 0.0), inputs[item.node])
                self._input_scales[item.tensor] = largest

    def output(self, item: QuantizedInput) -> str:
        """The dequantized tensor."""
        return self._free(f"{_prefix(item)}_DequantizeLinear_Output")

    def missing(self, item: QuantizedInput) -> list[Any]:
        """The nodes of the pair, unless they were made before."""
        if self.output(item) in self._stored:
            return []
        self._stored[self.output(item)] = self._quantized(item) if item.weights else None
        return self._weights(item) if item.weights else self._activation(item)

    def factors(self, item: QuantizedInput, node: Any) -> list[Any]:
        """Nodes behind a convolution that multiply its channels and then add its bias, where its weights need that."""
        stored = self._stored[self.output(item)]
        if stored is None or stored.factors is None:
            return []
        make, shape = onnx_package().helper.make_node, (1, -1, *[1] * (stored.values.ndim - 2))
        result = node.output[0]
        raw, scaled = self._free(f"{result}_raw"), self._free(f"{result}_scaled")
        bias = node.input[2] if len(node.input) > 2 else ""
        factors = self._store(f"{result}_factors", stored.factors.reshape(shape))
        node.output[0] = raw
        last = scaled if bias else result
        nodes = [make("Mul", [raw, factors], [last], name=f"{result}_Scale")]
        if bias:
            del node.input[2:]
            added = self._store(f"{result}_bias", constant_values(self._values[bias]).reshape(shape))
            nodes.append(make("Add", [scaled, added], [result], name=f"{result}_Bias"))
        return nodes

    def _quantized(self, item: QuantizedInput) -> Stored:
        floats, limit = constant_values(self._values[item.tensor]), self._input_scales[item.tensor]
        behind = item.op == "Conv" and item.tensor not in self._computed_bias
        style = Weights.CHANNEL if self._style is Weights.BEHIND and not behind else self._style
        return store(floats, item.axis, style, limit)

    def _activation(self, item: QuantizedInput) -> list[Any]:
        prefix = _prefix(item)
        scale = np.array(self._scales[item.tensor], np.float32)
        inputs = self._store(f"{prefix}_scale", scale), self._store(f"{prefix}_zero_point", np.zeros((), np.int8))
        quantized = self._free(f"{prefix}_QuantizeLinear_Output")
        make = onnx_package().helper.make_node
        return [
            make("QuantizeLinear", [item.tensor, *inputs], [quantized], name=f"{prefix}_QuantizeLinear"),
            make("DequantizeLinear", [quantized, *inputs], [self.output(item)], name=f"{prefix}_DequantizeLinear"),
        ]

    def _weights(self, item: QuantizedInput) -> list[Any]:
        prefix, stored = _prefix(item), self._stored[self.output(item)]
        assert stored is not None
        inputs = [
            self._store(f"{prefix}_quantized", stored.values),
            self._store(f"{prefix}_scale", stored.scale),
            self._store(f"{prefix}_zero_point", np.zeros(stored.scale.shape, np.int8)),
        ]
        more = {} if stored.axis is None else {"axis": stored.axis}
        make, name = onnx_package().helper.make_node, f"{prefix}_DequantizeLinear"
        return [make("DequantizeLinear", inputs, [self.output(item)], name=name, **more)]

    def _free(self, name: str) -> str:
        """The name, or one like it that the model does not have."""
        while name in self._taken:
            name += "_"
        return name

    def _store(self, name: str, values: Array) -> str:
        name = self._free(name)
        self.constants.append(onnx_package().numpy_helper.from_array(values, name))
        return name


def _names(model: Any) -> set[str]:
    """Of all tensors, those in branches and loop bodies too."""
    graphs = list(all_graphs(model.graph))
    made = {name for graph in graphs for node in graph.node for name in node.output}
    return made | {value.name for graph in graphs for value in (*graph.input, *graph.initializer)}


def _with_computed_bias(model: Any, constants: Mapping[str, Any]) -> set[str]:
    """Weights of convolutions whose bias the file does not hold, so that it cannot be moved behind a multiplication."""
    return {
        node.input[1]
        for node in model.graph.node
        if node.op_type == "Conv" and len(node.input) > 2 and node.input[2] and node.input[2] not in constants
    }


def _prefix(item: QuantizedInput) -> str:
    """Of all names; a matrix may be read from both sides, with scales along either axis."""
    return f"{item.tensor}_axis{item.axis}" if item.weights and item.axis else item.tensor
