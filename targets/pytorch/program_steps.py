"""A ``.pt2`` program as the few kinds of steps that ``targets/sparsity.py`` looks for."""

from __future__ import annotations

from typing import Any

from targets.network import Step, kind_of
from targets.pytorch.program import layer_names, operator

#: Layers whose second argument is their weights, with the input channels on axis 1.
_LAYERS = frozenset({"conv1d", "conv2d", "conv3d", "linear"})


def steps(module: Any) -> list[Step]:
    """The steps of a program's ``torch.fx.GraphModule``, in order."""
    names, state = layer_names(module), module.state_dict()
    return [_step(node, names[node.name], state) for node in module.graph.nodes if node.name in names]


def _step(node: Any, name: str, state: Any) -> Step:
    inputs = tuple(one.name for one in node.all_input_nodes if one.op != "get_attr")
    kind = operator(node)
    held = node.args[1] if kind in _LAYERS and len(node.args) > 1 else None
    if held is None or held.op != "get_attr" or held.target not in state:
        return Step(kind_of(kind), name, inputs, (node.name,))
    weights = state[held.target].detach().float().numpy()
    one_each = kind != "linear" and weights.shape[1] == 1
    return Step("layer", name, inputs, (node.name,), weights, None if one_each else 1)
