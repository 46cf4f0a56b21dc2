"""From an ONNX file to TVM's kernels and the order in which they are called. Runs in the compiler's own process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import UnsupportedError
from profiles.runner import Array
from targets.onnx_tools import load_onnx
from targets.tvm_cpu.program import Program
from targets.tvm_cpu.read import read_program

_CHANNELS_LAST = {"relax.nn.conv2d": ["NHWC", "HWIO"]}


def read_model(path: Path) -> Any:
    """The model as an IRModule of Relax, with its weights as constants.

    Raises:
        ModelError: the file is no ONNX model.
        UnsupportedError: TVM's importer does not know an operator, or not in this form.
    """
    from tvm.relax.frontend.onnx import from_onnx

    graph = load_onnx(path)
    try:
        return from_onnx(graph, keep_params_in_input=False)
    except Exception as error:  # the importer raises whatever Python and TVM have
        raise UnsupportedError(
            "TVM's importer must take the ONNX file",
            seen=_words(error),
            next_step="try another target, or another way to express the operator",
        ) from error


def lower(module: Any, target: Any) -> tuple[Any, Program, list[Array]]:
    """Operators as fused kernels (TIR), called one after the other by ``main``; and these calls as data.

    Convolutions get their channels last: the vectors of :mod:`targets.tvm_cpu.schedule` then lie in one piece in
    memory, in weights and results alike. Around operators that TVM knows with channels first only, such as transposed
    convolutions, all stay as they are.

    Raises:
        UnsupportedError: TVM cannot make kernels of an operator.
    """
    try:
        return _lowered(module, target, _CHANNELS_LAST)
    except UnsupportedError:
        return _lowered(module, target, {})


def _lowered(module: Any, target: Any, layouts: Mapping[str, list[str]]) -> tuple[Any, Program, list[Array]]:
    import tvm
    from tvm import relax

    passes = relax.transform
    steps = [
        *([passes.ConvertLayout(dict(layouts)), passes.Normalize()] if layouts else []),
        passes.LegalizeOps(), passes.AnnotateTIROpPattern(), passes.FoldConstant(), passes.FuseOps(), passes.FuseTIR(),
        passes.DeadCodeElimination(), passes.RewriteDataflowReshape(), passes.ToNonDataflow(),
        passes.RemovePurityChecking(),
    ]  # fmt: skip
    try:
        with target:
            fused = tvm.transform.Sequential(steps)(module)
    except Exception as error:
        raise UnsupportedError("TVM must make kernels of every operator", seen=_words(error)) from error
    return fused, *read_program(fused)


def _words(error: Exception) -> str:
    """The last line of what TVM says, which holds the reason; the lines before are its stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else 'no words'}"


def kernels(module: Any) -> dict[str, Any]:
    """TVM's functions by name, sorted."""
    from tvm import tirx

    found = {gv.name_hint: f for gv, f in module.functions.items() if isinstance(f, tirx.PrimFunc)}
    return dict(sorted(found.items()))


def known_operators() -> frozenset[str]:
    """The operators of ONNX that TVM's importer has a converter for."""
    from tvm.relax.frontend.onnx import onnx_frontend

    return frozenset(onnx_frontend._get_convert_map())
