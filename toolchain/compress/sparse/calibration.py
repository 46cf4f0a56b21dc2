"""What layers see: H = 2 X Xᵀ of their inputs, from training samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from toolchain.frontend.train.environment import at_home, bounded_threads, deterministic

if TYPE_CHECKING:
    from toolchain.compress.context import Context

#: Samples of one forward run; their unfolded inputs lie in memory together.
BATCH = 32
#: Widest layer whose H is kept: this many columns take 0.5 GB.
COLUMNS = 8192


def columns_of(module: torch.nn.Module) -> int:
    """Inputs of one output value: input channels per group times the kernel."""
    return int(module.weight[0].numel())


def refuse(name: str, module: torch.nn.Module) -> str:
    """Why a layer has no such Hessian here, or an empty text."""
    if not isinstance(module, torch.nn.Linear | torch.nn.Conv1d | torch.nn.Conv2d):
        return "only linear layers and convolutions in one or two dimensions have a Hessian here"
    wide = columns_of(module)
    return f"{wide} inputs per output are more than {COLUMNS}" if wide > COLUMNS else ""


def input_columns(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A layer's input as the columns that its weight is multiplied with.

    Args:
        module: linear, or a convolution in one or two dimensions of any stride, padding, dilation and groups.
        x: (samples, features) with any axes between, or (samples, channels, [height,] width).

    Returns:
        (groups, columns, positions) such that ``weight.reshape(groups, -1, columns) @ result`` is the output without
        its bias, all positions of all samples in a row.
    """
    if isinstance(module, torch.nn.Linear):
        return x.reshape(1, -1, x.shape[-1]).mT
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    x = functional.pad(x, module._reversed_padding_repeated_twice, mode=mode)
    line = isinstance(module, torch.nn.Conv1d)
    kernel, stride, dilation = (
        (1, *values) if line else values for values in (module.kernel_size, module.stride, module.dilation)
    )
    found = functional.unfold(x[:, :, None] if line else x, kernel, dilation, 0, stride)
    return found.transpose(0, 1).reshape(module.groups, found.shape[1] // module.groups, -1)


def hessians(
    model: torch.nn.Module, layers: Mapping[str, torch.nn.Module], context: Context, samples: int, purpose: str
) -> dict[str, torch.Tensor]:
    """H of every layer that is called: (groups, columns, columns), float64, on the CPU.

    Sums over about ``samples`` training samples and all positions; all layers see what the model as it is makes.

    Raises:
        DataError: no training samples.
    """
    found: dict[str, torch.Tensor] = {}

    def watch(name: str) -> Any:
        def hook(module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            x = input_columns(module, given[0].detach().float())
            product = (x @ x.mT).double().mul_(2)
            found[name] = found[name].add_(product) if name in found else product

        return hook

    handles = [module.register_forward_pre_hook(watch(name)) for name, module in layers.items()]
    size = min(BATCH, samples, len(context.samples(purpose).train))
    try:
        with bounded_threads(context.training.threads), deterministic(context.device), at_home(model), torch.no_grad():
            model.to(context.device).eval()
            for batch in context.batches(purpose, -(-samples // size), size):
                model(batch.x)
    finally:
        for handle in handles:
            handle.remove()
    return {name: value.cpu() for name, value in found.items()}
