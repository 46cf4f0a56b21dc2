"""Find the layer that makes an export fail, by trying its layers alone.

One forward run per level records what every child was called with; then the operation (an export, or
an export with its parity check) is tried on each child alone, in order, and the search goes on inside
the first one that fails. The deepest failing layer is the culprit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from profiles.errors import UnsupportedError, VerificationError
from profiles.runner import Arrays
from toolchain.export.blame import Blame, read_blame

if TYPE_CHECKING:
    import torch

#: Tries the operation on a module; raises when it fails.
Attempt = Callable[["torch.nn.Module", Arrays], object]
#: What decides whether a failure is the one that is being looked for.
Relevant = Callable[[BaseException], bool]


@dataclasses.dataclass(frozen=True)
class Culprit:
    """The deepest failing layer.

    Attributes:
        name: qualified, empty for the model's own ``forward``.
        kind: its class.
        error: its failure when tried alone.
        tried: how many layers were tried.
    """

    name: str
    kind: str
    error: BaseException
    tried: int = 0

    def __str__(self) -> str:
        return f"layer '{self.name}' ({self.kind})" if self.name else f"the model's own forward ({self.kind})"


def locate(
    module: torch.nn.Module,
    inputs: Arrays,
    error: BaseException,
    attempt: Attempt,
    relevant: Relevant = lambda error: True,
) -> Culprit:
    """Find the deepest layer on which ``attempt`` fails.

    Args:
        module: in whatever mode; it stays as it is.
        inputs: canonical inputs of the module, one sample.
        error: how the attempt failed on the module as a whole.
        attempt: the operation, which raises when it fails.
        relevant: whether a failure on a layer alone counts.
    """
    found = Culprit("", type(module).__name__, error)
    tried = 0
    current, arrays = module, inputs
    while True:
        for name, call in _children(current, arrays):
            tried += 1
            failure = _failure(attempt, call)
            if failure is not None and relevant(failure):
                found = Culprit(f"{found.name}.{name}".lstrip("."), type(call.layer).__name__, failure)
                current, arrays = call, call.inputs
                break
        else:
            return dataclasses.replace(found, tried=tried)


def _failure(attempt: Attempt, call: Any) -> BaseException | None:
    try:
        attempt(call, call.inputs)
    except Exception as error:  # the failure is what is being looked for
        return error
    return None


def _children(module: Any, inputs: Arrays) -> Iterator[tuple[str, Any]]:
    """The layers below a module with their calls, in the order of definition; those never called are left out."""
    from toolchain.export.modules import Replay, evaluating, to_tensors

    parent = module.layer if isinstance(module, Replay) else module
    layers = dict(_callable_children(parent, ""))
    calls: dict[str, Replay] = {}
    hooks = [
        layer.register_forward_pre_hook(_recorder(name, calls), with_kwargs=True) for name, layer in layers.items()
    ]
    try:
        with evaluating(module):
            module(*to_tensors(inputs))
    finally:
        for hook in hooks:
            hook.remove()
    return ((name, calls[name]) for name in layers if name in calls and calls[name].inputs)


def _recorder(name: str, calls: dict[str, Any]) -> Callable[[Any, Any, Any], None]:
    """A hook that keeps a copy of what a layer is first called with (layers may work in place)."""
    from toolchain.export.modules import Replay

    def record(layer: Any, args: Any, kwargs: Any) -> None:
        if name not in calls:
            calls[name] = Replay(layer, args, kwargs)

    return record


def _callable_children(module: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Direct children; lists and dicts of modules, which are never called themselves, are looked into."""
    import torch

    for name, child in module.named_children():
        if isinstance(child, (torch.nn.ModuleList, torch.nn.ModuleDict)):
            yield from _callable_children(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def export_failed(target: str, culprit: Culprit) -> UnsupportedError:
    """The error for a model that cannot be exported; ``target`` is the format's name."""
    blame = read_blame(culprit.error)
    where = f" at {blame.source}" if blame.source else ""
    operator = f", operator {blame.operator}" if blame.operator else ""
    return UnsupportedError(
        f"wanted the model as {target}",
        seen=f"{culprit}{operator}{where}: {blame.reason}",
        allowed=f"tensor operations that the {target} exporter knows, with shapes that do not depend on the data",
        next_step=_advice(blame),
    )


def _advice(blame: Blame) -> str:
    if "data-dependent" in blame.reason or "depends on the data" in blame.reason:
        return (
            "replace Python values taken from tensors (int(t), t.item(), if t) by torch.where, or fix them beforehand"
        )
    if blame.operator:
        return f"replace {blame.operator} by other operators, or move it out of the model into pre- or post-processing"
    return "export that layer alone to see the exporter's whole message, or run again with --debug"


def parity_failed(target: str, culprit: Culprit, seen: str, allowed: str) -> VerificationError:
    """The error for an export that computes something else than the module."""
    if culprit.name or not culprit.tried:
        found = f"the layer that differs when exported alone is {culprit}"
        advice = f"write {culprit} with other operators, or choose a device whose target reads another format"
    else:
        found = (
            f"none of its {culprit.tried} layers differs when exported alone, so {culprit} puts them together wrongly"
        )
        advice = (
            "export again; if it stays, compare inner tensors, or choose a device whose target reads another format"
        )
    return VerificationError(
        f"wanted the {target} export to compute what the torch module computes",
        seen=f"{seen}; {found}",
        allowed=allowed,
        next_step=advice,
    )
