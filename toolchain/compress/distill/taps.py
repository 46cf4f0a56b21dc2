"""What layers of a model give: seen once with their shapes, or kept in every run."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch

from profiles.errors import ModelError
from toolchain.compress.distill.term import Shape, outputs_of

_ACTIVATION = re.compile("relu|elu|swish|silu|mish|tanh", re.IGNORECASE)
#: Name, layer, output, and how often that had been changed in place.
_Entry = tuple[str, torch.nn.Module, torch.Tensor, int]
_CHANNELS_FIRST = (torch.nn.Conv1d, torch.nn.BatchNorm1d)


@dataclasses.dataclass(frozen=True)
class Call:
    """What one layer gave for one sample, when it was last called.

    Attributes:
        name: of the layer.
        shape: (channels, *spatial sizes).
        activation: it is an activation function.
        final: it is (one of) the model's own outputs.
        overwritten: something later changed the tensor in place.
        tokens: the tensor is (N, tokens, channels).
    """

    name: str
    shape: Shape
    activation: bool
    final: bool
    overwritten: bool
    tokens: bool

    @property
    def is_map(self) -> bool:
        """Whether it has spatial axes with more than one position."""
        return any(size > 1 for size in self.shape[1:])

    @property
    def is_vector(self) -> bool:
        """Whether it has none."""
        return len(self.shape) == 1


def probe(
    model: torch.nn.Module, inputs: Sequence[torch.Tensor], who: str, *, within: torch.nn.Module | None = None
) -> tuple[list[Call], tuple[Shape, ...]]:
    """The calls of all layers in the order in which they ended, each layer's last one; and the outputs' shapes.

    Args:
        model: in eval mode; run once without gradients, on the device where it is.
        inputs: one inference's.
        who: for the error: ``the teacher``.
        within: look at the layers of this part of the model only, and name them as it does.

    Raises:
        ModelError: it cannot be run on these inputs.
    """
    seen: list[_Entry] = []

    def keep(name: str) -> Callable[..., None]:
        def hook(module: torch.nn.Module, _: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.ndim >= 2:
                seen.append((name, module, output, output._version))

        return hook

    named = (within or model).named_modules()
    layers = [(name, module) for name, module in named if name and "parametrizations" not in name]
    handles = [module.register_forward_hook(keep(name)) for name, module in layers]
    try:
        with torch.no_grad():
            outputs = outputs_of(model(*inputs))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        raise ModelError(f"{who} must run on inputs of shape {shapes}", seen=str(error).splitlines()[0]) from error
    finally:
        for handle in handles:
            handle.remove()
    tokens = not any(isinstance(module, _CHANNELS_FIRST) for _, module in layers)
    last = {name: index for index, (name, *_) in enumerate(seen)}
    kept = [entry for index, entry in enumerate(seen) if last[entry[0]] == index]
    calls = [_call(entry, outputs, tokens=tokens) for entry in kept]
    return calls, tuple(tuple(value.shape) for value in outputs)


def _call(entry: _Entry, outputs: tuple[torch.Tensor, ...], *, tokens: bool) -> Call:
    name, module, value, version = entry
    tokens = tokens and value.ndim == 3
    shape = tuple((value.transpose(1, 2) if tokens else value).shape[1:])
    leaf = next(module.children(), None) is None
    activation = leaf and _ACTIVATION.search(type(module).__name__) is not None
    final = any(value is output for output in outputs)
    return Call(name, shape, activation, final, value._version != version, tokens)


class Taps:
    """Keeps what the named layers give in every run of a model, until it is taken."""

    def __init__(self, model: torch.nn.Module, calls: Sequence[Call]) -> None:
        self._names = [call.name for call in calls]
        self._found: dict[str, torch.Tensor] = {}
        layers = dict(model.named_modules())
        wanted = {call.name: call for call in calls}
        self._handles = [layers[name].register_forward_hook(self._keep(call)) for name, call in wanted.items()]

    def _keep(self, call: Call) -> Callable[..., None]:
        def hook(_: torch.nn.Module, __: Any, output: torch.Tensor) -> None:
            value = output.clone() if call.overwritten else output
            self._found[call.name] = value.transpose(1, 2) if call.tokens else value

        return hook

    def take(self) -> tuple[torch.Tensor, ...]:
        """(samples, channels, *spatial sizes) of every layer in the last run, in the order of the calls."""
        found = tuple(self._found[name] for name in self._names)
        self._found.clear()
        return found

    def close(self) -> None:
        """Stop; the model is as before."""
        for handle in self._handles:
            handle.remove()
        self._found.clear()
