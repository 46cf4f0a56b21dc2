"""``docs/results/kd_pruning.md``: two tables, two pictures' worth of ratios, and an answer that the figures give."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import RESULTS, conditions
from benchmarks.compress_figures import Figures, gather
from benchmarks.compress_jobs import Site
from benchmarks.compress_latency import ENGINES
from benchmarks.compress_rows import TEACHER, Row
from benchmarks.kd_pruning import RECOVERY

_TEMPLATE = Path(__file__).parent / "kd_pruning_page.md.j2"


@dataclasses.dataclass(frozen=True)
class Point:
    """A pruned student, against the student that it came from (same model, with or without teacher).

    Attributes:
        figures: of the pruned student.
        model, taught, kind, kept: what it is: the network, whether a teacher taught it, ``weight`` or ``channel``,
            and the share of the parameters that was to be left.
        base: accuracy of the student before pruning.
    """

    figures: Figures
    model: str
    taught: bool
    kind: str
    kept: float
    base: float

    @property
    def accuracy(self) -> float:
        """At the end, as a share of 1."""
        return self.figures.accuracies[0]

    @property
    def ratio(self) -> float:
        """Accuracy left over parameters left: (accuracy / base) / (parameters that are not zero / all of before)."""
        return (self.accuracy / self.base) / self.figures.nonzero

    @property
    def fastest(self) -> float | None:
        """Largest speed-up over the student before pruning on any engine here."""
        return max((ratio["median"] for ratio in self.figures.speed.values()), default=None)


def write_page(rows: Sequence[Row], site: Site) -> None:
    """Write the page and its JSON."""
    import jinja2

    found = points(rows, site)
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)
    facts = conditions()
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        points=found,
        facts=facts,
        teacher=TEACHER,
        recovery=RECOVERY,
        verdicts=verdicts(found),
        engines=list(ENGINES),
        trained=sorted({point.figures.trained for point in found}),
        wanted=sum(bool(row.after) for row in rows),
        absent=sum(bool(row.after) for row in rows) - len(found),
    )
    (RESULTS / "kd_pruning.md").write_text(text, encoding="utf-8")
    data = {each.figures.row.name: _as_dict(each) for each in found}
    (RESULTS / "kd_pruning.json").write_text(json.dumps({**facts, "results": data}, indent=1) + "\n", encoding="utf-8")


def points(rows: Sequence[Row], site: Site) -> list[Point]:
    """Every pruned student that has a result."""
    made = []
    for student in [row for row in rows if not row.after]:
        base = gather([student], site, student.name)
        for each in gather([row for row in rows if row.after == student.name], site, student.name) if base else []:
            _, model, taught, kind, kept = each.row.name.split("-")
            made.append(Point(each, model, taught == "kd", kind, int(kept) / 100, base[0].accuracies[0]))
    return made


def pairs(found: Sequence[Point], *, taught: bool) -> list[tuple[Point, Point]]:
    """(weight, channel) of the same student at the same share."""
    by = {(p.model, p.kept, p.kind): p for p in found if p.taught is taught}
    return [
        (by[m, k, "weight"], by[m, k, "channel"]) for m, k, kind in by if kind == "weight" and (m, k, "channel") in by
    ]


def verdicts(found: Sequence[Point]) -> list[str]:
    """What the figures say to the study's conclusion, in sentences."""
    said = [_advantage(pairs(found, taught=taught), taught) for taught in (True, False)]
    timed = [(w, c) for taught in (True, False) for w, c in pairs(found, taught=taught) if w.fastest and c.fastest]
    if timed:
        weight, channel = (statistics.fmean(pair[index].fastest or 0 for pair in timed) for index in (0, 1))
        faster = sum((c.fastest or 0) > (w.fastest or 0) for w, c in timed)
        turns = "turns the answer round" if channel > weight else "does not change the answer"
        said.append(
            f"Measured latency {turns}: channel pruning is faster in {faster} of {len(timed)} pairs; against the "
            f"student before pruning it is {channel:.2f} times as fast in the mean, weight pruning {weight:.2f} times."
        )
    return [sentence for sentence in said if sentence]


def _advantage(found: Sequence[tuple[Point, Point]], taught: bool) -> str:
    if not found:
        return ""
    better = [100 * (weight.accuracy - channel.accuracy) for weight, channel in found]
    wins = sum(value > 0 for value in better)
    where = "With a teacher" if taught else "Without a teacher"
    return (
        f"{where}, weight pruning keeps more accuracy than channel pruning at equal parameters in {wins} of "
        f"{len(better)} pairs, by {statistics.fmean(better):+.1f} points in the mean "
        f"({min(better):+.1f} to {max(better):+.1f})."
    )


def _as_dict(point: Point) -> dict[str, object]:
    names = ("accuracies", "params", "macs", "nonzero", "speed")
    mine = {name: getattr(point.figures, name) for name in names}
    return {**mine, "base": point.base, "accuracy_ratio_over_parameter_ratio": point.ratio}
