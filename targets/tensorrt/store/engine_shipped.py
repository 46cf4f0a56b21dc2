"""What a bundle brings for one batch size: the graph, and perhaps an engine. Travels to the device."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from profiles.errors import VerificationError
from targets.tensorrt.gpu.gpu import Gpu
from targets.tensorrt.plan import ONNX, BuildPlan


def why_not_shipped(folder: Path, plan: BuildPlan, batch: int, gpu: Gpu, version: str) -> str:
    """Why the bundle's own engine cannot be used; empty when it can."""
    if not (folder / plan.engine_name(batch)).is_file():
        return f"the bundle has no engine for batch size {batch}"
    if gpu.compute_capability not in plan.compute_capabilities:
        return (
            f"the bundle's engine is for compute capability {' and '.join(plan.compute_capabilities)}; "
            f"{gpu.name} has {gpu.compute_capability}"
        )
    made = _made_with(folder, plan.library)
    if made != version:
        return f"the bundle's engine was built with {plan.library} {made or 'of unknown version'}; here is {version}"
    return ""


def _made_with(folder: Path, library: str) -> str:
    """The library's version in the manifest's list of tools; distributions are called like ``tensorrt-rtx-cu13``."""
    try:
        tools = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["tools"]
        named: Mapping[str, str] = {name.replace("-", "_"): version for name, version in tools.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return next((version for name, version in named.items() if name.startswith(library)), "")


def onnx_name(plan: BuildPlan, batch: int) -> str:
    """Of the graph for one batch size, in the bundle: the device cannot change the batch size of a graph."""
    return ONNX if batch == plan.batches[0] else f"batch{batch}.onnx"


def onnx_path(folder: Path, plan: BuildPlan, batch: int) -> Path:
    """The graph for one batch size.

    Raises:
        VerificationError: the bundle has none.
    """
    path = folder / onnx_name(plan, batch)
    if not path.is_file():
        raise VerificationError(
            f"wanted the graph for batch size {batch}",
            seen=f"no {path.name} in {folder}",
            next_step="build or copy the bundle again",
        )
    return path
