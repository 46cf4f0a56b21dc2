"""Integers that remember where they come from, so that a reshape to ``x.size(1) // 2`` is told from one to 64."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import torch

from toolchain.compress.structured.groups_labels import Axis


@dataclasses.dataclass(frozen=True)
class Attribute:
    """An integer that a layer keeps: ``module.key``, or ``module.key[item]``."""

    module: str
    key: str
    item: int | None = None


class Size(int):
    """An integer with a past: the length of an axis, an attribute of a layer, or something computed from such."""

    axis: Axis
    divisor: int
    attribute: Attribute | None
    computed: bool

    def __new__(
        cls,
        value: int,
        axis: Axis = None,
        divisor: int = 1,
        attribute: Attribute | None = None,
        computed: bool = False,
    ) -> Size:
        """An integer, and the nodes of the axis (divided by ``divisor``) or the attribute that it is."""
        made = super().__new__(cls, value)
        made.axis, made.divisor, made.attribute, made.computed = axis, divisor, attribute, computed
        return made

    def __floordiv__(self, other: Any) -> Any:
        value = int(self) // other
        if isinstance(value, int) and self.axis is not None and other > 0 and int(self) % other == 0:
            return Size(value, self.axis, self.divisor * int(other))
        return _computed(value)

    def __reduce__(self) -> Any:
        return int, (int(self),)

    def __deepcopy__(self, memo: Any) -> int:
        return int(self)


def _computed(value: Any) -> Any:
    return Size(value, computed=True) if type(value) is int else value


def _arithmetic(name: str) -> Any:
    plain = getattr(int, name)

    def operate(self: Size, *others: Any) -> Any:
        return _computed(plain(int(self), *(int(o) if isinstance(o, Size) else o for o in others)))

    return operate


for _name in ("add", "sub", "mul", "mod", "radd", "rsub", "rmul", "rfloordiv", "rmod"):
    setattr(Size, f"__{_name}__", _arithmetic(f"__{_name}__"))


class Shape(tuple):  # type: ignore[type-arg]
    """What ``x.shape`` gives while a model is traced."""

    def numel(self) -> int:
        """Product of all sizes."""
        total = 1
        for size in self:
            total = total * size
        return total


def plain(value: Any) -> Any:
    """The same arguments with ordinary integers."""
    if isinstance(value, Size):
        return int(value)
    if isinstance(value, slice):
        return slice(plain(value.start), plain(value.stop), plain(value.step))
    if type(value) in (list, tuple):
        return type(value)(plain(v) for v in value)
    if isinstance(value, Shape):
        return torch.Size(plain(tuple(value)))
    if type(value) is dict:
        return {k: plain(v) for k, v in value.items()}
    return value


@contextlib.contextmanager
def remembering(model: torch.nn.Module) -> Iterator[None]:
    """Within, integers that custom layers keep know which attribute they are."""
    kept: list[tuple[torch.nn.Module, str, Any]] = []
    try:
        for name, module in model.named_modules():
            if type(module).__module__.startswith("torch.nn."):
                continue
            for key, value in list(vars(module).items()):
                made = _remembered(name, key, value)
                if made is not None:
                    kept.append((module, key, value))
                    vars(module)[key] = made
        yield
    finally:
        for module, key, value in kept:
            vars(module)[key] = value


def _remembered(name: str, key: str, value: Any) -> Any:
    if key.startswith("_"):
        return None
    if type(value) is int:
        return Size(value, attribute=Attribute(name, key))
    if type(value) in (list, tuple) and value and all(type(v) is int for v in value):
        return type(value)(Size(v, attribute=Attribute(name, key, i)) for i, v in enumerate(value))
    return None
