"""Where the Q/DQ pairs of a graph go, by which rule; what stays in float, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from profiles.errors import UnsupportedError
from targets.tensorrt.placement.decided import Decided, carries, moves
from targets.tensorrt.placement.graph import WEIGHTED, Net, Node
from targets.tensorrt.placement.placement import Choice, Decision, Placement, QuantizedInput
from targets.tensorrt.placement.rules import RULES, Inputs, Rule
from targets.tensorrt.placement.shared import Groups, shared_scales

MOVES = "It only moves values, so it runs on the int8 values that the next layer takes."
CUTS = "It cuts values, and becomes part of the layer before it, whose result the next layer takes as int8."
UNREAD = "Nothing reads its result as int8."
NO_INT8 = "It has no int8 form; what works element by element is fused with its neighbours."


def plan(model: Any, choice: Choice | None = None) -> Placement:
    """Where the Q/DQ pairs of a float ``onnx.ModelProto`` go; it needs no ranges.

    The graph should have been prepared (``targets/tensorrt/formats/prepare.py``): batch normalisation folded, nodes
    named.
    """
    return plan_net(Net(model), choice or Choice())


def explain(model: Any, choice: Choice | None = None) -> list[Decision]:
    """For every node: quantized by which rule, or left in float and why."""
    return list(plan(model, choice).decisions)


def require_some(placement: Placement) -> None:
    """Refuse a placement that quantizes nothing.

    Raises:
        UnsupportedError: with the reason of the first layer that has weights.
    """
    if placement.inputs:
        return
    layers = [decision for decision in placement.decisions if decision.op in WEIGHTED]
    why = f": {layers[0].op} '{layers[0].node}': {layers[0].reason}" if layers else ""
    raise UnsupportedError(
        "wanted the model in int8",
        seen=f"no layer that can be int8{why.rstrip('.')}",
        allowed="convolutions and matrix products of float32 values, and what lies between them",
        next_step='set precision = "fp16" under this [[device]]',
    )


def plan_net(net: Net, choice: Choice) -> Placement:
    """Like :func:`plan`, for a graph that has been read."""
    known, groups = Decided(net), Groups()
    found: dict[str, list[QuantizedInput]] = {}
    refused: dict[str, str] = {}
    for node in _order(net):
        rule, inputs = _ask(known, node, choice)
        if rule is not None and rule.int8:
            found[node.name] = list(_quantized(rule, inputs, node))
            known.rules |= {(node.name, item.index): rule.name for item in found[node.name]}
        elif rule is not None:
            refused[node.name] = rule.sentence
        if inputs.shared:
            groups.join((*node.inputs, node.outputs[0]))
    everything = tuple(item for node in net.nodes for item in found.get(node.name, ()))
    tensors = list(dict.fromkeys(item.tensor for item in everything if not item.weights))
    decisions = tuple(_decide(known, node, choice, refused) for node in net.nodes if node.op != "Constant")
    return Placement(choice, everything, shared_scales(net, groups, tensors), decisions)


def _order(net: Net) -> Iterator[Node]:
    """Operators with weights first, because the others follow them; those from the end, where wishes come from."""
    yield from net.weighted()
    yield from (node for node in reversed(net.nodes) if node.op not in WEIGHTED)


def _ask(known: Decided, node: Node, choice: Choice) -> tuple[Rule | None, Inputs]:
    """The first rule that applies, and what it says."""
    if node.name not in choice.in_float:
        for rule in (rule for rule in RULES if node.op in rule.ops):
            inputs = rule.apply(known, node)
            if inputs is not None:
                return (None, Inputs()) if rule.name in choice.without else (rule, inputs)
    return None, Inputs()


def _quantized(rule: Rule, inputs: Inputs, node: Node) -> Iterator[QuantizedInput]:
    for index in inputs.activations:
        yield QuantizedInput(node.name, node.op, index, node.inputs[index], rule.name)
    for index, axis in inputs.weights:
        yield QuantizedInput(node.name, node.op, index, node.inputs[index], rule.name, True, axis)


def _decide(known: Decided, node: Node, choice: Choice, refused: dict[str, str]) -> Decision:
    """What to tell about a node once everything is decided."""
    keys = ((node.name, index) for index in range(len(node.inputs)))
    name = next((known.rules[key] for key in keys if key in known.rules), "")
    if name:
        return Decision(node.name, node.op, True, name, next(rule.sentence for rule in RULES if rule.name == name))
    if carries(node) and any(known.wanted(output) for output in node.outputs):
        return Decision(node.name, node.op, True, "", MOVES if moves(node) else CUTS)
    return Decision(node.name, node.op, False, "", refused.get(node.name) or _why_float(known, node, choice))


def _why_float(known: Decided, node: Node, choice: Choice) -> str:
    rule = _applicable(known, node)
    if rule is not None and rule.name in choice.without:
        return f"Left in float: {choice.without[rule.name]}"
    if rule is not None and node.name in choice.in_float:
        return f"Left in float by the placement '{choice.name}': {choice.sentence}"
    return UNREAD if _applicable(_AllWanted(known), node) is not None else NO_INT8


def _applicable(known: Decided, node: Node) -> Rule | None:
    """The rule that would quantize a node."""
    rules = (rule for rule in RULES if rule.int8 and node.op in rule.ops)
    return next((rule for rule in rules if rule.apply(known, node) is not None), None)


class _AllWanted(Decided):
    """The same decisions, in a network that takes every result as int8."""

    def __init__(self, known: Decided) -> None:
        super().__init__(known.net)
        self.rules = known.rules

    def wanted(self, tensor: str) -> bool:
        """Yes."""
        return True
