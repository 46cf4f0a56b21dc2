"""What must hold before and after every step, and what single steps add."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from profiles.errors import EdgewrightError
from toolchain.compress.excluded import excluded
from toolchain.compress.passes import Condition

if TYPE_CHECKING:
    import torch

    from toolchain.compress.context import Context
    from toolchain.project.recipe import StepOptions

#: Of the zeros that were asked for, at least this share must be there: layers that do not divide stay dense.
_REACHED = 0.9
#: Methods of ``sparsify`` that have a pattern without being told.
_PATTERNED = ("nm", "sr_ste")


def before(options: StepOptions) -> tuple[Condition, ...]:
    """Preconditions of a step."""
    return (FINITE,)


def after(options: StepOptions, start: torch.nn.Module, context: Context) -> tuple[Condition, ...]:
    """Postconditions of a step that began with ``start``."""
    common = (
        FINITE,
        Condition("masks are folded into the weights", _new_parametrizations(start)),
        HOME,
        Condition("the outputs keep their shapes", _other_shapes(start)),
    )
    return (*common, *_OF_STEP.get(options.step, _none)(options, start, context))


def _not_finite(model: torch.nn.Module, context: Context) -> str:
    import torch

    values = model.state_dict().items()
    bad = [name for name, value in values if value.is_floating_point() and not torch.isfinite(value).all()]
    return f"'{bad[0]}' holds NaN or infinity" if bad else ""


def _does_not_run(model: torch.nn.Module, context: Context) -> str:
    try:
        _shapes(model, context)
    except EdgewrightError:
        raise
    except Exception as error:  # whatever a forward of somebody else's raises
        shapes = ", ".join(f"'{name}' {values.shape}" for name, values in context.inputs.items())
        return f"with {shapes}: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return ""


def _not_home(model: torch.nn.Module, context: Context) -> str:
    bad = [name for name, value in model.state_dict().items() if value.device.type != "cpu"]
    return f"'{bad[0]}' is elsewhere" if bad else ""


FINITE = Condition("all weights are finite", _not_finite)
RUNS = Condition("it runs on its example input", _does_not_run)
HOME = Condition("the model is on the processor", _not_home)
Broken = Callable[["torch.nn.Module", "Context"], str]


def _new_parametrizations(start: torch.nn.Module) -> Broken:
    """Those of the model's own code may stay."""
    from torch.nn.utils.parametrize import is_parametrized

    had = {name for name, layer in start.named_modules() if is_parametrized(layer)}

    def broken(model: torch.nn.Module, context: Context) -> str:
        bad = [name for name, layer in model.named_modules() if is_parametrized(layer) and name not in had]
        return f"'{bad[0]}' has a parametrization" if bad else ""

    return broken


def _other_shapes(start: torch.nn.Module) -> Broken:
    def broken(model: torch.nn.Module, context: Context) -> str:
        had, has = _shapes(start, context), _shapes(model, context)
        return "" if had == has else f"{has} instead of {had}"

    return broken


def _shapes(model: torch.nn.Module, context: Context) -> dict[str, tuple[int, ...]]:
    from toolchain.export.modules import run_module

    return {name: values.shape for name, values in run_module(model, context.inputs).items()}


def _none(options: Any, start: torch.nn.Module, context: Context) -> tuple[Condition, ...]:
    return ()


def _of_prune(options: Any, start: torch.nn.Module, context: Context) -> tuple[Condition, ...]:
    return (_no_more("params", start, context), _no_more("macs", start, context))


def _of_low_rank(options: Any, start: torch.nn.Module, context: Context) -> tuple[Condition, ...]:
    """What the goal counts; by default parameters, or the bytes of methods that save no parameters."""
    kind = options.goal().kind
    if all(saving.what != "parameters" for saving in options.chosen.saves):
        return (_no_more_bytes(start),)
    return (_no_more("macs" if kind in ("macs", "latency") else "params", start, context),)


def _no_more_bytes(start: torch.nn.Module) -> Condition:
    from toolchain.compress.costs import model_bytes

    had = model_bytes(start)

    def broken(model: torch.nn.Module, context: Context) -> str:
        has = model_bytes(model)
        return f"{has:,} instead of {had:,}" if has > had else ""

    return Condition("no more bytes are stored than before, zeros packed", broken)


def _no_more(what: str, start: torch.nn.Module, context: Context) -> Condition:
    from toolchain.frontend.macs import count

    place = ("params", "macs").index(what)
    words = ("parameters", "multiply-accumulates")[place]
    had = count(start, context.tensors())[place]

    def broken(model: torch.nn.Module, context: Context) -> str:
        has = count(model, context.tensors())[place]
        return f"{has:,} instead of {had:,}" if has > had else ""

    return Condition(f"there are no more {words} than before", broken)


def _of_sparsify(options: Any, start: torch.nn.Module, context: Context) -> tuple[Condition, ...]:
    """Layers that are left out, or that a pattern does not divide, stay as they are; the others have their zeros."""

    def broken(model: torch.nn.Module, context: Context) -> str:
        shares = list(_zero_shares(model, options.exclude))
        patterned = options.pattern or options.method in _PATTERNED
        best = max(shares, default=0.0) if patterned or options.exclude else _overall(model)
        return f"{100 * best:.1f} % are" if best < _REACHED * options.sparsity else ""

    return (Condition(f"{100 * options.sparsity:g} % of the weights are zero", broken),)


def _overall(model: torch.nn.Module) -> float:
    from toolchain.compress.costs import zero_share

    return zero_share(model)


def _zero_shares(model: torch.nn.Module, exclude: tuple[str, ...]) -> Iterator[float]:
    left_out = excluded(model, exclude)
    for name, weight in model.named_parameters():
        if weight.ndim > 1 and name.rpartition(".")[0] not in left_out:
            yield float((weight == 0).sum()) / weight.numel()


def _of_training(options: Any, start: torch.nn.Module, context: Context) -> tuple[Condition, ...]:
    """A step that only trains leaves zeros of earlier steps alone."""
    from toolchain.compress.costs import zero_share

    if not context.keep_zeros or getattr(options, "student", None) is not None:
        return ()
    had = zero_share(start)

    def broken(model: torch.nn.Module, context: Context) -> str:
        has = zero_share(model)
        return f"{100 * has:.2f} % instead of {100 * had:.2f} %" if has < had else ""

    return (Condition("weights that were zero stay zero", broken),)


_OF_STEP = {
    "prune": _of_prune,
    "lowrank": _of_low_rank,
    "sparsify": _of_sparsify,
    "distill": _of_training,
    "finetune": _of_training,
}
