"""Mask equivalence: a pruned model computes what the dense one computes with the same channels set to zero.

The check runs in float64, on several inputs, in two ways. On random weights it looks at the structure: no zero scales
or equal rows, such as fresh batch norms have, and activations that are flat somewhere (ReLU, sigmoid) replaced by ones
that are not and have the same value at zero; else a dead channel could hide a cut in the wrong place. On the model's
own weights and activations it looks at the result.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from toolchain.compress.structured.groups_cut import Cut, Plan, apply
from toolchain.compress.structured.groups_trace import tensors_of

#: Largest difference of outputs, as a share of the largest output, that float64 rounding may make.
TOLERANCE = 1e-8
_SEED = 0
#: Seed of inputs that nobody else draws: the same input twice would show nothing.
_OTHER = 90_217
#: Random weights that are tried until the outputs depend on the inputs: few channels left may all be dead by chance.
_TRIES = 6
_SILENT = "the outputs are the same for different inputs, so a wrong cut could not be seen"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Why the pruned model is not the masked one; empty if it is."""

    problem: str = ""
    error: float = 0.0


def check(
    model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], plan: Plan, zeros: Sequence[Cut], *, random: bool = True
) -> Verdict:
    """Carry out a plan on a copy and compare it with a masked copy.

    Args:
        model: dense; stays as it is.
        inputs: of ``forward``; random ones of the same shapes are tried as well.
        plan: what is cut.
        zeros: positions set to zero in the masked copy: where the channels are produced.
        random: with random weights; else with the model's own.
    """
    verdict = Verdict()
    for seed in range(_TRIES if random else 1):
        verdict = _checked(model, inputs, plan, zeros, seed if random else None)
        if verdict.problem != _SILENT:
            break
    return verdict


def _checked(
    model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], plan: Plan, zeros: Sequence[Cut], seed: int | None
) -> Verdict:
    dense = copy.deepcopy(model).double().eval()
    if seed is not None:
        randomise(dense, seed)
    pruned = copy.deepcopy(dense)
    samples = _inputs(inputs)
    try:
        apply(pruned, plan)
        mask(dense, zeros)
        with exact(steep=seed is not None):
            have = [_flat(pruned(*sample)) for sample in samples]
    except Exception as error:  # whatever fails in a pruned model says that it was cut wrongly
        return Verdict(f"the pruned model fails: {type(error).__name__}: {str(error).splitlines()[0]}", math.inf)
    with exact(steep=seed is not None):
        want = [_flat(dense(*sample)) for sample in samples]
    return compare(want, have, varied=seed is not None)


def compare(want: Sequence[torch.Tensor], have: Sequence[torch.Tensor], *, varied: bool = True) -> Verdict:
    """Whether outputs are the same; ``varied``: they must be finite, and differ between inputs."""
    worst = 0.0
    for a, b in zip(want, have, strict=True):
        if a.shape != b.shape:
            return Verdict(f"outputs of shape {tuple(b.shape)} instead of {tuple(a.shape)}", math.inf)
        if not torch.isfinite(a).all():
            if varied:
                return Verdict("the masked model's outputs are not finite, so nothing can be compared", math.inf)
            continue
        scale = a.abs().max().item() or 1.0
        error = ((a - b).abs().max().item()) / scale
        worst = max(worst, error if math.isfinite(error) else math.inf)
    if worst > TOLERANCE:
        return Verdict(f"outputs differ by {worst:.2g} of the largest output", worst)
    if varied and len(want) > 1 and _same(want):
        return Verdict(_SILENT)
    return Verdict(error=worst)


def _same(outputs: Sequence[torch.Tensor]) -> bool:
    first, second = outputs[:2]
    return first.shape == second.shape and bool(torch.allclose(first, second, rtol=1e-9, atol=0))


def mask(model: torch.nn.Module, zeros: Sequence[Cut]) -> None:
    """Set positions of parameters and buffers to zero, in place."""
    modules = dict(model.named_modules(remove_duplicate=False))
    for cut in zeros:
        name, key = cut.names[0]
        holder = modules[name]
        value = (holder._parameters if key in holder._parameters else holder._buffers)[key]
        assert value is not None
        with torch.no_grad():
            value.index_fill_(cut.dim, torch.tensor(cut.drop, dtype=torch.int64), 0)


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Random weights that keep signals at their size: no channel is dead, no two are alike; in place."""
    generator = torch.Generator().manual_seed(seed)

    def draw(like: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return torch.rand(like.shape, generator=generator, dtype=like.dtype) * (high - low) + low

    with torch.no_grad():
        for module in model.modules():
            for key, value in module.named_parameters(recurse=False):
                if value.is_floating_point():
                    value.copy_(_drawn(module, key, value, draw, generator))
            if isinstance(module, torch.nn.modules.batchnorm._NormBase) and module.running_var is not None:
                assert module.running_mean is not None
                module.running_mean.copy_(draw(module.running_mean, -0.3, 0.3))
                module.running_var.copy_(draw(module.running_var, 0.7, 1.4))


def _drawn(
    module: torch.nn.Module, key: str, value: torch.Tensor, draw: object, generator: torch.Generator
) -> torch.Tensor:
    assert callable(draw)
    if value.ndim >= 2:
        fan_in = value[0].numel() if "Transpose" not in type(module).__name__ else value.shape[0]
        normal = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        return normal * math.sqrt(1.6 / max(1, fan_in))
    if isinstance(module, torch.nn.PReLU):
        made = draw(value, 0.1, 0.4)
    elif "bias" in key:
        made = draw(value, -0.3, 0.5)
    else:
        made = draw(value, 0.6, 1.4)
    assert isinstance(made, torch.Tensor)
    return made


def _inputs(inputs: tuple[torch.Tensor, ...]) -> list[tuple[torch.Tensor, ...]]:
    """The given inputs and others like them, in float64."""
    generator = torch.Generator().manual_seed(_OTHER)

    def other(x: torch.Tensor) -> torch.Tensor:
        if x.is_floating_point():
            return torch.randn(x.shape, generator=generator, dtype=torch.float64)
        order = torch.randperm(x.numel(), generator=generator)
        return x.reshape(-1)[order].reshape(x.shape)

    same = tuple(x.double() if x.is_floating_point() else x for x in inputs)
    return [tuple(other(x) for x in inputs), same]


def _flat(out: object) -> torch.Tensor:
    return torch.cat([t.reshape(-1).double() for t in tensors_of(out)])


def _leaky(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x > 0, x, 0.4 * x)


def _soft_sign(x: torch.Tensor) -> torch.Tensor:
    return x / (1 + x.abs())


def _gate(x: torch.Tensor) -> torch.Tensor:
    return 0.5 + 0.5 * _soft_sign(x)


#: Activations that are flat somewhere, or soon, and steep ones with the same value at zero.
_STEEP: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    **dict.fromkeys(("relu", "relu6", "hardtanh", "threshold", "hardswish", "silu", "gelu", "mish", "elu"), _leaky),
    **dict.fromkeys(("sigmoid", "hardsigmoid"), _gate),
    "tanh": _soft_sign,
}
_NARROW = (torch.float32, torch.float16, torch.bfloat16)


class _Exact(TorchDispatchMode):  # type: ignore[misc]
    """Nothing is rounded to less than float64; with ``steep``, no activation hides what goes in."""

    def __init__(self, steep: bool) -> None:
        super().__init__()
        self.steep = steep

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func.overloadpacket.__name__, dict(kwargs or {})
        if name == "_to_copy" and kwargs.get("dtype") in _NARROW:
            kwargs["dtype"] = torch.float64
        if self.steep and name.rstrip("_") in _STEEP:
            made = _STEEP[name.rstrip("_")](args[0])
            return args[0].copy_(made) if name.endswith("_") else made
        if self.steep and name in ("_softmax", "_safe_softmax"):
            largest = args[0].abs().amax(dim=args[1], keepdim=True).clamp_min(1.0)
            args = (args[0] / largest, *args[1:])
        return func(*args, **kwargs)


@contextlib.contextmanager
def exact(*, steep: bool = True) -> Iterator[None]:
    """Within, models run in float64, what they draw or set does not reach the caller, and activations are steep."""
    kept = torch.get_default_dtype()
    # Which fused attention runs depends on the width of a head, and what it computes within cannot be seen.
    parts = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with torch.random.fork_rng(devices=[]), torch.no_grad(), parts, _Exact(steep):
        torch.manual_seed(_SEED)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(kept)
