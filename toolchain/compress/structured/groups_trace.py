"""Run a model once and note which channels of which weights belong together.

Torch-Pruning's dependency graph follows autograd nodes and guesses how indices run through a reshape. Here every
operator that PyTorch dispatches is followed with the exact positions instead, and sizes remember whether they were
computed from a channel count or written as a constant (see :mod:`toolchain.compress.structured.groups_sizes`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

from profiles.errors import ModelError
from toolchain.compress.structured.groups_sizes import plain, remembering
from toolchain.compress.structured.groups_tracer import OURS, Call, Trace, Tracer


class _Dispatch(TorchDispatchMode):  # type: ignore[misc]
    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        from toolchain.compress.structured.handlers import handle

        # What the tracer itself asks a tensor is not part of the model.
        with torch._C.DisableTorchFunction():
            return self._followed(func, args, kwargs or {}, handle)

    def _followed(self, func: Any, args: Any, kwargs: Any, handle: Any) -> Any:
        tracer = self.tracer
        tensors = [a for a in _pytree.tree_leaves((args, kwargs)) if isinstance(a, torch.Tensor)]
        name = func.overloadpacket.__name__
        if name == "_local_scalar_dense" and any(tracer.from_input(t) for t in tensors):
            raise _data_dependent(tracer, name)
        out = func(*args, **kwargs)
        call = Call(tracer, name, func, args, kwargs, out, tracer.written)
        results = [t for t in _pytree.tree_leaves(out) if isinstance(t, torch.Tensor)]
        for tensor, axes in zip(results, handle(call, tensors, results), strict=True):
            tracer.put(tensor, axes)
        if any(tracer.from_input(t) for t in tensors):
            for tensor in results:
                tracer.mark(tensor)
        return out


def _data_dependent(tracer: Tracer, name: str) -> ModelError:
    return ModelError(
        "pruning needs a model whose computation does not depend on the values of its inputs",
        seen=f"operator aten.{name} turns a value computed from them into a Python number in {tracer.where()}",
        allowed="what torch.export can trace",
        next_step="replace int(t), t.item() and if t by torch.where, or prune the part without it",
    )


class _Functions(TorchFunctionMode):  # type: ignore[misc]
    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "size" and isinstance(args[0], torch.Tensor):
            shape = self.tracer.sized(args[0])
            dim = args[1] if len(args) > 1 else kwargs.get("dim")
            return shape if dim is None else shape[dim]
        if name == "__get__" and getattr(getattr(func, "__self__", None), "__name__", "") == "shape":
            return self.tracer.sized(args[0])
        if name in ("expand_as", "view_as", "reshape_as"):
            name = name[:-3]
            self.tracer.written = (name, (args[0], self.tracer.sized(args[1])), {})
        else:
            self.tracer.written = (name, args, kwargs)
        try:
            return func(*plain(args), **plain(kwargs))
        finally:
            self.tracer.written = None


@contextlib.contextmanager
def _layers(tracer: Tracer) -> Iterator[None]:
    """Know which layer runs."""

    def enter(module: torch.nn.Module, args: Any) -> None:
        tracer.stack.append(tracer.names.get(id(module), ""))

    def leave(module: torch.nn.Module, args: Any, out: Any) -> None:
        tracer.stack.pop()

    hooks = [
        torch.nn.modules.module.register_module_forward_pre_hook(enter),
        torch.nn.modules.module.register_module_forward_hook(leave),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def trace(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], modes: Mapping[str, str] | None = None) -> Trace:
    """Run a model (in eval mode) on inputs and note what couples its channels.

    Args:
        model: stays as it is.
        inputs: of ``forward``.
        modes: for layers with a grouped convolution: ``"whole"`` or ``"local"``, see :class:`Trace`.

    Raises:
        ModelError: it does not run, or what it computes depends on the inputs' values; the layer and line are named.
    """
    tracer = Tracer(model, modes or {})
    for tensor in inputs:
        tracer.mark(tensor)
    fast = torch.backends.mha.get_fastpath_enabled()
    math = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), remembering(model), _layers(tracer), math, _Dispatch(tracer), _Functions(tracer):
            out = model(*inputs)
    except ModelError:
        raise
    except Exception as error:  # whatever a user's forward raises is reported with its place
        raise _does_not_run(tracer, error) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    for tensor in tensors_of(out):
        for axis in tracer.axes(tensor):
            tracer.trace.labels.pin(axis, lambda: "it is the model's output")
    return tracer.trace


def _does_not_run(tracer: Tracer, error: Exception) -> ModelError:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(OURS)]
    line = f", {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    name = tracer.stack[-1] if tracer.stack else ""
    return ModelError(
        "pruning needs a model that runs on its example input",
        seen=f"{type(error).__name__} in layer '{name}'{line}: {error}",
        next_step="run the model alone on that input",
    )


def tensors_of(out: Any) -> list[torch.Tensor]:
    """All tensors of a model's output."""
    found: list[torch.Tensor] = []
    for leaf in _pytree.tree_leaves(out):
        if isinstance(leaf, torch.Tensor):
            found.append(leaf)
        elif dataclasses.is_dataclass(leaf):
            found += [t for field in dataclasses.fields(leaf) for t in tensors_of(getattr(leaf, field.name))]
    return found
