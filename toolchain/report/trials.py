"""Where quantization was placed in the graph: what was tried, and what was kept."""

from __future__ import annotations

import dataclasses

from profiles.units import format_quantity
from toolchain.report.entries import Entry
from toolchain.report.shapes import Trial
from toolchain.report.words import scale_for

DEFAULT = "Default placement, not measured: nothing was timed, because the bundle was built without its device at hand."


@dataclasses.dataclass(frozen=True)
class Row:
    """One placement, ready to print; ``kept`` is the one that the bundle has."""

    name: str
    kept: bool
    verdict: str
    time: str
    ratio: str
    loss: str
    why: str


@dataclasses.dataclass(frozen=True)
class Trials:
    """All placements of one bundle; ``note`` says how they were judged."""

    note: str
    rows: tuple[Row, ...]


def trials(entry: Entry) -> Trials | None:
    """What the search for a placement did; None where a bundle has no such question."""
    placement = entry.placement
    if placement is None:
        return None
    rows = tuple(_row(trial, placement.best) for trial in placement.rows)
    if placement.gain is None and not placement.measured:
        return Trials(DEFAULT, rows)
    gain = f" What was kept saves {100 * placement.gain:.1f} % of the default's time." if placement.gain else ""
    return Trials(f"Each placement was timed on the device in turns with the best before it.{gain}", rows)


def _row(trial: Trial, best: str) -> Row:
    points = scale_for("accuracy_drop", ())
    kept = trial.kept or trial.name == best
    return Row(
        name=trial.name,
        kept=kept,
        verdict=trial.verdict or ("kept" if kept else "not kept"),
        time="–" if trial.time is None else format_quantity(trial.time, "s"),
        ratio="–" if trial.ratio is None else f"{trial.ratio:.3f} ×",
        loss="–" if trial.loss is None else points.text(trial.loss),
        why=trial.why,
    )
