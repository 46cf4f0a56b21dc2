"""The sensitivity of a project's model: every layer and strength from the cache where it was scored before."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError
from toolchain.cache import Cache
from toolchain.compress.context import Context
from toolchain.compress.sensitivity.points import PRUNE, RANK, SHARES, Point, Site
from toolchain.progress import Progress, Step
from toolchain.project.models import Project
from toolchain.steps.compress_recipe import make_context
from toolchain.steps.evaluate import no_accuracy
from toolchain.steps.torch_model import TorchModel

_TITLES = {PRUNE: "prune one layer at a time", RANK: "factorise one layer at a time"}
_CODE = ("toolchain.compress.sensitivity", "toolchain.compress.structured", "toolchain.frontend", __name__)


@dataclasses.dataclass(frozen=True)
class Wishes:
    """What to find out: the parts, the shares that go, and the number of training samples to score on."""

    parts: tuple[str, ...] = (PRUNE, RANK)
    shares: tuple[float, ...] = SHARES
    samples: int = 1000


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """Accuracy of the model as it is, and of every layer and strength; on ``samples`` training samples."""

    name: str
    samples: int
    accuracy: float
    points: tuple[Point, ...]

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        points = [point.as_dict() for point in self.points]
        return {"schema": 1, "model": self.name, "samples": self.samples, "accuracy": self.accuracy, "points": points}


def sensitivity(project: Project, cache: Cache, progress: Progress, wishes: Wishes) -> Sensitivity:
    """Score every layer at every strength; an interrupted run goes on where it was stopped.

    Raises:
        ConfigError: the model is a file, or there is no accuracy to speak of.
        ModelError: the model cannot be traced.
    """
    if project.model.source.kind == "file":
        seen = f"'{project.model.source.text}', an exported model"
        raise ConfigError("sensitivity needs a PyTorch model", seen=seen, allowed="a zoo: or module:callable source")
    model = TorchModel(project, cache, progress)
    if reason := no_accuracy(model.data, project.model.task):
        raise ConfigError("sensitivity needs an accuracy", seen=reason, next_step="add labelled samples under [data]")
    progress.planned = len(wishes.parts) + (project.train is not None) + 1
    scan = _Scan(model, make_context(model), wishes)
    with progress.step("accuracy of the model as it is") as step:
        base = scan.base(step)
    points: list[Point] = []
    for part in wishes.parts:
        with progress.step(_TITLES[part]) as step:
            points += scan.part(part, step)
    return Sensitivity(project.model.name, scan.samples, base, tuple(points))


class _Scan:
    def __init__(self, model: TorchModel, context: Context, wishes: Wishes) -> None:
        assert model.data is not None and context.data is not None
        self._model, self._context, self._wishes = model, context, wishes
        self.samples = min(wishes.samples, len(context.data.train))
        self._key = {**model.key(model.spec, *_CODE), **model.data.key(), "samples": self.samples}

    def base(self, step: Step) -> float:
        """Accuracy of the model as it is."""

        def produce(out: Path) -> None:
            accuracy = self._context.accuracy(self._model.module, samples=self.samples, training=True)
            (out / "point.json").write_text(json.dumps(accuracy))

        return float(self._cached({"part": "none"}, produce, step))

    def part(self, part: str, step: Step) -> list[Point]:
        """Every site at every strength."""
        from toolchain.compress.sensitivity.scan import pruning_sites, rank_sites

        model = self._model.module
        sites = pruning_sites(model, self._context) if part == PRUNE else rank_sites(model)
        wanted = [(site, share) for site in sites for share in self._wishes.shares]
        found = []
        for number, (site, share) in enumerate(wanted):
            step.update(number, len(wanted), f"{site.layer or 'the model'}, {share:.0%}")
            found.append(self._point(site, share, step))
        return found

    def _point(self, site: Site, share: float, step: Step) -> Point:
        def produce(out: Path) -> None:
            from toolchain.compress.sensitivity.scan import score

            point = score(self._model.module, site, share, self._context, self.samples)
            (out / "point.json").write_text(json.dumps(point.as_dict()))

        return Point(**self._cached({"site": site, "share": share}, produce, step))

    def _cached(self, inputs: dict[str, Any], produce: Any, step: Step) -> Any:
        cached = self._model.cache.folder("sensitivity", {**self._key, **inputs}, produce)
        step.cached = cached.hit
        return json.loads((cached.path / "point.json").read_text())


def most_sensitive(points: Sequence[Point], part: str) -> list[str]:
    """Layers of a part, those that lose most first: by the mean accuracy over all strengths."""
    found: dict[str, list[float]] = {}
    for point in points:
        if point.part == part:
            found.setdefault(point.layer, []).append(point.accuracy)
    return sorted(found, key=lambda layer: sum(found[layer]) / len(found[layer]))
