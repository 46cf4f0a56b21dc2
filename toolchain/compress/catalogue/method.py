"""What the catalogue knows of a method."""

from __future__ import annotations

import dataclasses
from typing import Any

#: Where a saving shows.
EVERYWHERE = "every target: the model is smaller and dense"
STORED = "download and storage where zeros are packed; no target here keeps them packed in memory"
NOWHERE = "no target here: its kernels compute with zeros too"
SPARSE_TENSOR_CORES = "TensorRT on GPUs with sparse tensor cores (Ampere and newer), 2:4 only"


@dataclasses.dataclass(frozen=True)
class Saving:
    """What is saved (``parameters``, ``MACs``, ``stored bytes``, ``latency``, ``memory``, ``training``), and where."""

    what: str
    where: str = EVERYWHERE


@dataclasses.dataclass(frozen=True)
class Method:
    """One compression method.

    Attributes:
        name: as a recipe writes it: ``method = "NAME"``; unique within a step.
        step: of a recipe: ``prune``, ``sparsify``, ``lowrank``, ``distill``, or ``start`` for networks.
        family: for people: ``structured pruning``, …
        title: in a few words.
        paper: authors, year, title, and its arXiv number or venue.
        implementation: ``module:function``, called with (model, options, context); see ``compress/passes.py``.
        saves: what it saves, and on which targets.
        library: who does the work (``Torch-Pruning``, ``TensorLy``, …); empty where it is ours.
        needs: of ``data``, ``labels``, ``training``, ``teacher``, ``latency``; empty for methods that need nothing.
        tasks: ``any``, or the tasks that it makes sense for: classification, regression, detection, reconstruction.
        limits: one sentence on where it fails or gains nothing.
    """

    name: str
    step: str
    family: str
    title: str
    paper: str
    implementation: str
    saves: tuple[Saving, ...]
    library: str = ""
    needs: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ("any",)
    limits: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {**dataclasses.asdict(self), "library": self.library or "Edgewright"}
