"""What layers read: windows of their inputs, drawn from training samples."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from toolchain.compress.context import Context
from toolchain.project.recipe import Prune

if TYPE_CHECKING:
    from toolchain.compress.structured.groups import Group, Member

#: Windows that are drawn per layer, over all batches.
ROWS = 2048
#: Samples per batch.
BATCH = 128

#: From a layer's name, the layer and windows (rows, input channels, kernel positions) to values (rows, ...).
Read = Callable[[str, torch.nn.Module, torch.Tensor], torch.Tensor]


def readable(group: Group) -> list[Member]:
    """The layers that read the group, where :func:`windows` can follow all of them; else none."""
    members = [member for member in group.members if member.axis == "in"]
    return members if all(_is_plain(member.module) for member in members) else []


def windows(module: torch.nn.Module, x: torch.Tensor, rows: int, generator: torch.Generator) -> torch.Tensor:
    """Inputs of ``rows`` output values of a layer, drawn anew: (rows, input channels, kernel positions).

    Args:
        module: a linear layer, or a convolution of one or two axes without groups.
        x: its input, (N, ..., features), or (N, channels, length) or (N, channels, height, width).
        rows: how many.
        generator: draws samples and places; on the CPU.
    """
    if isinstance(module, torch.nn.Linear):
        flat = x.reshape(-1, x.shape[-1])
        return flat[_draw(len(flat), rows, generator, x.device)][:, :, None]
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padded = functional.pad(x, module._reversed_padding_repeated_twice, mode)
    size, step, spread = module.kernel_size, module.stride, module.dilation
    if x.ndim == 3:
        padded, size, step, spread = padded[:, :, None], (1, *size), (1, *step), (1, *spread)
    which = _draw(len(x), rows, generator, x.device)
    reach = [(length - 1) * gap for length, gap in zip(size, spread, strict=True)]
    places = [(padded.shape[2 + axis] - reach[axis] - 1) // step[axis] + 1 for axis in range(2)]
    top, left = (
        _draw(places[axis], rows, generator, x.device)[:, None] * step[axis]
        + torch.arange(size[axis], device=x.device) * spread[axis]
        for axis in range(2)
    )
    taken = padded[which[:, None, None], :, top[:, :, None], left[:, None, :]]
    return taken.permute(0, 3, 1, 2).flatten(2)


def sample(
    model: torch.nn.Module, names: Sequence[str], read: Read, options: Prune, context: Context
) -> dict[str, torch.Tensor]:
    """What ``read`` makes of windows of these layers' inputs, over training samples; float64 on the CPU.

    The same layer gets the same places in every call with the same seed, whatever its inputs are.
    """
    purpose = f"the method '{options.method}'"
    count = math.ceil(options.samples / BATCH)
    rows = math.ceil(ROWS / count)
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    draws = {name: torch.Generator().manual_seed(zlib.crc32(f"{context.seed} {name}".encode())) for name in names}

    def note(name: str, module: torch.nn.Module, x: torch.Tensor) -> None:
        parts[name].append(read(name, module, windows(module, x, rows, draws[name])).double().cpu())

    with on_device(model, context), watched(model, names, note), torch.no_grad():
        for batch in context.batches(purpose, count, min(BATCH, options.samples)):
            model(batch.x)
    return {name: torch.cat(values) for name, values in parts.items()}


@contextmanager
def watched(
    model: torch.nn.Module, names: Sequence[str], note: Callable[[str, torch.nn.Module, torch.Tensor], None]
) -> Iterator[None]:
    """``note`` is called with name, module and first input whenever one of these layers runs."""

    def hook(name: str) -> Any:
        return lambda module, args: note(name, module, args[0].detach())

    handles = [model.get_submodule(name).register_forward_pre_hook(hook(name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def on_device(model: torch.nn.Module, context: Context) -> Iterator[None]:
    """The model in eval mode on the context's device, and on the CPU afterwards."""
    model.to(context.device).eval()
    try:
        yield
    finally:
        model.cpu()


def _is_plain(module: torch.nn.Module) -> bool:
    convolution = isinstance(module, (torch.nn.Conv1d, torch.nn.Conv2d)) and module.groups == 1
    return isinstance(module, torch.nn.Linear) or convolution


def _draw(count: int, rows: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    return torch.randint(0, count, (rows,), generator=generator).to(device)
