"""What the files of a bundle tell without running it again: sizes, golden errors, per-layer errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from profiles.measurement import Kind, Metric, as_simulated, unavailable
from profiles.runner import Array, Arrays
from targets.adapt import outputs_to_canonical
from targets.artifact import GOLDEN, LAYERS, Artifact
from targets.golden import largest_error, load_golden, sqnr_db
from toolchain.steps.data import stack, unstack
from toolchain.steps.evaluate import specs

#: What computes a bundle's outputs where its engine cannot run.
EMULATOR = "the target's emulator, not the engine"


def canonical_outputs(outputs: Arrays, artifact: Artifact) -> dict[str, Array]:
    """Stacked native outputs as stacked canonical ones."""
    canonical = specs(artifact.model["outputs"])
    return stack([outputs_to_canonical(one, artifact.compiled.outputs, canonical) for one in unstack(outputs)])


def size_metrics(artifact: Artifact) -> dict[str, Metric]:
    """What the files alone tell."""
    return {"model_size": Metric(float(artifact.size()), "B", Kind.MEASURED, "sum of the model files' sizes")}


def golden_metrics(artifact: Artifact) -> dict[str, Metric]:
    """How far the golden outputs, as computed on the building machine, are from the float reference.

    Simulated where no engine computed them.
    """
    golden = load_golden(artifact.folder / GOLDEN)
    if artifact.target == "null" or not golden.reference:
        why = "the null target does not compute the model" if artifact.target == "null" else "no float reference"
        return {"parity_max_error": unavailable("parity_max_error", why), "sqnr": unavailable("sqnr", why)}
    outputs = canonical_outputs(golden.outputs, artifact)
    how = f"golden outputs against {artifact.golden.get('reference') or 'the float reference'}, {len(golden)} samples"
    worst = max(largest_error(outputs, golden.reference).values())
    ratios = [sqnr_db(reference, outputs[name]) for name, reference in golden.reference.items()]
    known = [ratio for ratio in ratios if ratio is not None]
    found = {
        "parity_max_error": Metric(worst, "1", Kind.MEASURED, f"largest absolute error, {how}"),
        "sqnr": Metric(min(known), "dB", Kind.MEASURED, how)
        if known
        else unavailable("sqnr", "outputs equal the reference"),
    }
    return {name: as_simulated(metric, EMULATOR) for name, metric in found.items()} if artifact.not_run else found


def layer_rows(folder: Path) -> list[dict[str, Any]]:
    """``layers.json`` of a bundle, or nothing."""
    path = folder / LAYERS
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
    return rows
