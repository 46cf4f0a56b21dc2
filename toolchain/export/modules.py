"""Torch modules as functions from named arrays to named arrays.

Imports torch: import this module inside functions only.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from profiles.errors import ModelError
from profiles.runner import Array, Arrays
from toolchain.export.silence import captured

_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


@contextlib.contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients while inside; every submodule's own mode afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    if any(isinstance(part, torch.fx.GraphModule) for part, _ in modes):
        for part, _ in modes:  # a program of torch.export has no other mode, and refuses to be asked
            part.training = False
    else:
        module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes:
            part.training = training


def to_tensors(inputs: Arrays) -> tuple[torch.Tensor, ...]:
    """Tensors of their own (no two share memory), in the order of the mapping."""
    return tuple(torch.from_numpy(np.array(values)) for values in inputs.values())


def to_array(tensor: torch.Tensor) -> Array:
    """The tensor's values; bfloat16, which numpy lacks, as float32."""
    plain = tensor.detach()
    return np.array((plain.float() if plain.dtype is torch.bfloat16 else plain).numpy())


def named_outputs(value: Any, taken: Collection[str] = ()) -> dict[str, torch.Tensor]:
    """The tensors of a module's result under stable names.

    ``output`` for a single one, ``output_0``, ``output_1`` for a tuple or list, the keys of a mapping,
    and ``_`` between the levels of nested results.

    Args:
        value: what ``forward`` returned.
        taken: the input names, which no output may have; such a one gets ``_out`` appended.

    Raises:
        ModelError: something in the result is no tensor.
    """
    found: dict[str, torch.Tensor] = {}
    for path, leaf in pytree.tree_flatten_with_path(value)[0]:
        name = _output_name(path)
        if not isinstance(leaf, torch.Tensor):
            raise ModelError(
                f"wanted a tensor as the model's output '{name}'",
                seen=f"{type(leaf).__name__} {str(leaf)[:40]}",
                next_step="let forward return a tensor, or a tuple or dict of tensors",
            )
        while name in taken or name in found:
            name += "_out"
        found[name] = leaf
    return found


def _output_name(path: tuple[Any, ...]) -> str:
    keys = [str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in path]
    name = re.sub(r"\W", "_", "_".join(keys))
    return name if name.isidentifier() else f"output_{name}".rstrip("_")


def run_module(module: torch.nn.Module, inputs: Arrays) -> dict[str, Array]:
    """One forward run in evaluation mode: outputs by name.

    Raises:
        ModelError: ``forward`` fails: names the layer; or the result holds something else than tensors.
    """
    with evaluating(module), captured(), _naming_the_layer(module):
        value = module(*to_tensors(inputs))
    return {name: to_array(tensor) for name, tensor in named_outputs(value, taken=tuple(inputs)).items()}


@contextlib.contextmanager
def _naming_the_layer(module: torch.nn.Module) -> Iterator[None]:
    """Turn any exception of a forward run into a ModelError with the layer that it came from."""
    running: list[str] = []
    with contextlib.ExitStack() as hooks:
        for name, part in module.named_modules():
            before = part.register_forward_pre_hook(lambda *_, name=name: running.append(name))
            after = part.register_forward_hook(lambda *_: _drop_last(running))
            hooks.callback(before.remove)
            hooks.callback(after.remove)
        try:
            yield
        except Exception as error:  # whatever the user's forward raises
            name = running[-1] if running else ""
            raise ModelError(
                "wanted one forward run of the model on its inputs",
                seen=f"{type(error).__name__} in {describe(module, name)}: {str(error).partition(chr(10))[0]}",
                next_step="check the input shapes and types in [model] against what the model takes",
            ) from error


def _drop_last(names: list[str]) -> None:
    names.pop()


def describe(module: torch.nn.Module, name: str) -> str:
    """A layer in words: ``layer 'blocks.0.conv' (Conv2d)``."""
    kind = type(module.get_submodule(name)).__name__
    return f"layer '{name}' ({kind})" if name else f"the model's own forward ({kind})"


class ChannelLast(torch.nn.Module):  # type: ignore[misc]
    """The wrapped module with named inputs and outputs, some of them with the channel axis last."""

    def __init__(self, wrapped: torch.nn.Module, channel_last: Collection[str]) -> None:
        super().__init__()
        self.wrapped = wrapped
        self.channel_last = frozenset(channel_last)

    def forward(self, **tensors: torch.Tensor) -> dict[str, torch.Tensor]:
        """Keyword arguments in the order of the wrapped module's inputs, NHWC where so listed."""
        inner = [t.permute(_TO_FIRST) if name in self.channel_last else t for name, t in tensors.items()]
        outputs = named_outputs(self.wrapped(*inner), taken=tuple(tensors))
        return {name: t.permute(_TO_LAST) if name in self.channel_last else t for name, t in outputs.items()}


class Replay(torch.nn.Module):  # type: ignore[misc]
    """One layer called as it was called inside its model, with the tensors among its arguments as inputs."""

    def __init__(self, layer: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        super().__init__()
        self.layer = layer
        leaves, self.spec = pytree.tree_flatten((args, dict(kwargs)))
        self.leaves = [None if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        self.places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
        self.inputs = {f"input_{place}": to_array(leaves[place]) for place in self.places}

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The layer's output tensors, flat."""
        leaves = list(self.leaves)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self.spec)
        results = pytree.tree_flatten(self.layer(*args, **kwargs))[0]
        return tuple(leaf for leaf in results if isinstance(leaf, torch.Tensor))
