"""What has been decided so far, and what that means for a tensor further up."""

from __future__ import annotations

from targets.tensorrt.placement.graph import Net, Node

#: Operators whose outputs hold values of their first input and nothing else: a Q in front does what a Q behind does.
MOVING = frozenset(
    {
        "MaxPool",
        "Reshape",
        "Flatten",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
        "Identity",
        "Slice",
        "Split",
        "DepthToSpace",
        "SpaceToDepth",
        "Expand",
        "Tile",
    }
)


def moves(node: Node) -> bool:
    """Whether a node only moves values."""
    if node.op == "Resize":
        return bool(node.attribute("mode", b"nearest") == b"nearest")
    return node.op in MOVING


#: Operators that cut values, and become part of the layer in front of them.
CUTTING = frozenset({"Relu", "Clip"})


def carries(node: Node) -> bool:
    """Whether int8 values go through a node: it moves them, or cuts them."""
    return moves(node) or node.op in CUTTING


class Decided:
    """Grows from the end of the graph to its beginning.

    Attributes:
        net: the graph.
        rules: (node, position among its inputs) to the name of the rule that quantizes it.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self.rules: dict[tuple[str, int], str] = {}

    def int8(self, node: Node) -> bool:
        """Whether a node takes an input as int8."""
        return any((node.name, index) in self.rules for index in range(len(node.inputs)))

    def wanted(self, tensor: str) -> bool:
        """Whether some reader takes a tensor as int8, be it behind operators that carry int8 values."""
        return any(
            (node.name, index) in self.rules
            or (index == 0 and carries(node) and any(self.wanted(output) for output in node.outputs))
            for node, index in self.net.readers(tensor)
        )
