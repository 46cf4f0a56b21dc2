"""What is known of every tensor while a model is traced."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from toolchain.compress.structured.groups_labels import Axis, Labels
from toolchain.compress.structured.groups_sizes import Attribute, Shape, Size

#: Axes of one tensor.
Axes = tuple[Axis, ...]


def unfollowed(tensor: torch.Tensor) -> Axes:
    """Axes from which nothing can be removed."""
    return tuple(None for _ in range(tensor.ndim))


#: Code that is not the model's.
OURS = (str(Path(__file__).parent), str(Path(torch.__file__).parent))


@dataclasses.dataclass
class Weight:
    """A parameter or buffer under all the names that it has."""

    names: list[tuple[str, str]]
    tensor: torch.Tensor
    axes: Axes


@dataclasses.dataclass
class Trace:
    """What one run showed.

    Attributes:
        labels: nodes, unions and pins.
        weights: every parameter and buffer that was used.
        attributes: integers of layers that must follow: the number of positions left of an axis.
        indices: buffers (module, name) that hold positions of an axis.
        grouped: layers with grouped convolutions, and whether whole groups go ("whole") or the same channels of
            each group ("local").
    """

    labels: Labels = dataclasses.field(default_factory=Labels)
    weights: list[Weight] = dataclasses.field(default_factory=list)
    attributes: dict[Attribute, Axis] = dataclasses.field(default_factory=dict)
    indices: list[tuple[str, str, Axis]] = dataclasses.field(default_factory=list)
    grouped: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Call:
    """One dispatched operator with the sizes as the model's code wrote them."""

    tracer: Tracer
    name: str
    func: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: Any
    written: tuple[str, tuple[Any, ...], Mapping[str, Any]] | None

    def axes(self, tensor: torch.Tensor) -> Axes:
        """Nodes of a tensor's axes."""
        return self.tracer.axes(tensor)

    @property
    def labels(self) -> Labels:
        """The nodes."""
        return self.tracer.trace.labels

    def get(self, index: int, name: str, default: Any = None) -> Any:
        """An argument by position or name."""
        return self.args[index] if len(self.args) > index else self.kwargs.get(name, default)

    def keep(self, attribute: Attribute, axis: Axis) -> None:
        """An attribute is the length of an axis; axes with the same attribute lose the same positions."""
        held = self.tracer.trace.attributes
        if attribute in held:
            one, other = held[attribute], axis
            same = one is not None and other is not None and len(one) == len(other)
            self.labels.unite(
                one, other if same else None, lambda: self.why(f"its length is kept as '{attribute.key}'")
            )
            if not same:
                self.labels.pin(other, lambda: self.why(f"its length is kept as '{attribute.key}'"))
        held.setdefault(attribute, axis)

    def why(self, reason: str) -> str:
        """A reason with the operator, the layer and the line."""
        return f"{reason} ({self.name} in {self.tracer.where()})"


def _memory(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride()


class Tracer:
    """The state of one run."""

    def __init__(self, model: torch.nn.Module, modes: Mapping[str, str]) -> None:
        self.trace = Trace()
        self.modes = modes
        self.model = model
        self.names = {id(module): name for name, module in model.named_modules()}
        self.stack: list[str] = []
        self.written: tuple[str, tuple[Any, ...], Mapping[str, Any]] | None = None
        self._known: dict[int, list[tuple[str, str]]] = {}
        self._held: dict[tuple[Any, ...], torch.Tensor] = {}
        self._axes: dict[int, tuple[torch.Tensor, Axes]] = {}
        self._data: set[int] = set()
        self._kept: list[Any] = []
        for name, module in model.named_modules(remove_duplicate=False):
            held = [*module._parameters.items(), *module._buffers.items()]
            for key, tensor in held:
                if tensor is not None:
                    self._known.setdefault(id(tensor), []).append((name, key))
                    self._held.setdefault(_memory(tensor), tensor)

    def axes(self, tensor: torch.Tensor) -> Axes:
        """Nodes of a tensor's axes; those of a weight are made when it is met first."""
        if id(tensor) in self._axes:
            return self._axes[id(tensor)][1]
        if id(tensor) not in self._known:
            held = self._weight(tensor)
            return unfollowed(tensor) if held is None else self.axes(held)
        axes = tuple(self.trace.labels.fresh(n) if n > 1 else None for n in tensor.shape)
        self.trace.weights.append(Weight(self._known[id(tensor)], tensor, axes))
        self.put(tensor, axes)
        return axes

    def put(self, tensor: torch.Tensor, axes: Axes) -> None:
        """Note a tensor's axes."""
        lengths = tuple(n if axis is None else len(axis) for n, axis in zip(tensor.shape, axes, strict=True))
        assert lengths == tuple(tensor.shape), f"axes of {lengths} for {tuple(tensor.shape)}"
        self._axes[id(tensor)] = (tensor, axes)

    def holder(self, tensor: torch.Tensor) -> tuple[str, str] | None:
        """(module, name) of a parameter or buffer."""
        held = self._weight(tensor)
        return None if held is None else self._known[id(held)][0]

    def _weight(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """The parameter or buffer that a tensor is, or is another handle of (such as ``weight.data``)."""
        if id(tensor) in self._known:
            return tensor
        held = self._held.get(_memory(tensor)) if tensor.numel() else None
        return held if held is not None and held.dtype == tensor.dtype else None

    def from_input(self, tensor: Any) -> bool:
        """Whether a tensor's values depend on the model's inputs."""
        return id(tensor) in self._data

    def mark(self, tensor: Any) -> None:
        """This tensor's values depend on the model's inputs."""
        self._data.add(id(tensor))
        self._kept.append(tensor)

    def where(self) -> str:
        """The layer that runs and the line of code."""
        name = self.stack[-1] if self.stack else ""
        layer = f"layer '{name}'" if name else "the model's own forward"
        frames = [f for f in traceback.extract_stack() if not f.filename.startswith(OURS)]
        return f"{layer}, {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else layer

    def sized(self, tensor: torch.Tensor) -> Shape:
        """A tensor's shape, whose sizes know their axes."""
        return Shape(Size(n, axis=a) for n, a in zip(tensor.size(), self.axes(tensor), strict=True))
