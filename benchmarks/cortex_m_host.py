"""The host's answer to what firmware computes: LiteRT's reference kernels on the same int8 file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from targets.artifact import load_artifact
from targets.base import TensorSpec
from targets.reference import TfliteReference
from toolchain.cache import open_cache
from toolchain.progress import Progress
from toolchain.steps.data import project_data


def correct_on_host(bundle: Path, project: Any) -> int:
    """Correct answers on the project's test samples, of the file ``model.tflite`` that the bundle was compiled from."""
    artifact = load_artifact(bundle)
    inputs = tuple(TensorSpec.from_dict(spec) for spec in artifact.model["inputs"])
    reference = TfliteReference(bundle / "model.tflite", artifact.compiled.options["channel_last"])
    correct = 0
    with open_cache() as cache:
        data = project_data(project, inputs, cache, Progress(quiet=True))
        assert data is not None
        for sample, labels in data.tests():
            assert labels is not None
            scores = next(iter(reference.run(sample).values()))
            guess = np.argmax(scores.reshape(len(scores), -1), axis=1)
            correct += int(np.sum(guess[: len(labels)] == labels))
    return correct
