"""``docs/results/compression.md``: one table per family, and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import RESULTS, conditions, span
from benchmarks.compress_figures import Figures, gather
from benchmarks.compress_jobs import Site
from benchmarks.compress_latency import ENGINES
from benchmarks.compress_picture import picture
from benchmarks.compress_rows import DENSE_EPOCHS, FEATURES_LR, RECOVERY, SCRATCH, SCRATCH_LR, TEACHERS, Row

#: The goal: at most so many points lost, at least so many times fewer MACs and less latency.
DROP, FEWER, FASTER = 1.0, 2.5, 1.7
#: The network of the goal and the picture, and what they are called.
FIRST = "resnet20"
NAMES = {"resnet20": "ResNet-20", "resnet8": "ResNet-8"}
_TEMPLATE = Path(__file__).parent / "compress_page.md.j2"
#: Published on lossless CIFAR images: compare drops, not levels.
ANCHORS = (
    ("DepGraph, ResNet-56, 2.1 × fewer MACs", "−0.0 to +0.2 points (Fang et al. 2023, arXiv:2301.12900)"),
    ("PPSM, 75 % fewer FLOPs", "−0.2 points"),
    ("HALOC, low rank, ResNet-20, 72 % fewer FLOPs", "+0.07 points (Xiao et al. 2023, arXiv:2301.09422)"),
    ("DKD and logit standardisation", "several points over the plain student, on CIFAR-100"),
)


def write_page(rows: Sequence[Row], site: Site) -> list[str]:
    """Write the page and its JSON; returns missed goals."""
    import jinja2

    found = gather(rows, site)
    main = [each for each in found if each.row.model == FIRST]
    best = winner(main)
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)
    facts = conditions()
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        groups=_groups(found),
        best=best,
        goal=(DROP, FEWER, FASTER),
        anchors=ANCHORS,
        facts=facts,
        engines=list(ENGINES),
        cells=cells,
        epochs=(DENSE_EPOCHS, RECOVERY, SCRATCH),
        rates=(SCRATCH_LR, FEATURES_LR),
        teachers={NAMES[model]: teacher for model, teacher in TEACHERS.items()},
        useless=[f for f in found if f.speed and not any(f.gains(e) for e in f.speed) and f.row.family != "baseline"],
        absent=_absent(rows, found),
        trained=sorted({each.trained for each in found}),
        span=span,
    )
    (RESULTS / "compression.md").write_text(text, encoding="utf-8")
    drawn = picture(main, "onnxruntime", f"{facts['machine']}, {facts['date']}")
    (RESULTS.parent / "images" / "compression.svg").write_text(drawn, encoding="utf-8")
    data = {each.row.name: _as_dict(each) for each in found}
    (RESULTS / "compression.json").write_text(json.dumps({**facts, "results": data}, indent=1) + "\n", encoding="utf-8")
    return missed(best)


def _groups(found: Sequence[Figures]) -> dict[str, list[Figures]]:
    families = dict.fromkeys(_family(each) for each in found)
    return {family: [each for each in found if _family(each) == family] for family in families}


def _family(found: Figures) -> str:
    family = "recipes" if found.row.family in ("baseline", "recipe") else found.row.family
    return family if found.row.model == FIRST else f"{NAMES[found.row.model]}: {family.replace('recipes', 'controls')}"


def _absent(rows: Sequence[Row], found: Sequence[Figures]) -> list[str]:
    there = {each.row.name for each in found}
    return [row.name for row in rows if row.name not in there]


def cells(found: Figures) -> list[str]:
    """One row of a table."""
    spread = "" if found.spread is None else f" ± {found.spread:.2f}"
    speeds = [_speed(found, engine) for engine in ENGINES]
    return [
        f"`{found.row.name}`",
        f"{100 * sum(found.accuracies) / len(found.accuracies):.2f} %",
        f"{found.drop:+.2f}{spread}",
        str(len(found.drops)),
        f"{100 * found.params:.0f} %",
        f"{100 * found.macs:.0f} %",
        f"{100 * found.stored:.0f} %",
        *speeds,
    ]


def _speed(found: Figures, engine: str) -> str:
    ratio = found.speed.get(engine)
    if ratio is None:
        return "–"
    return f"**{ratio['median']:.2f} ×**" if found.gains(engine) else f"{ratio['median']:.2f} ×"


def winner(found: Sequence[Figures]) -> Figures | None:
    """The fastest recipe within the drop and the MACs of the goal; else the one that loses least with so few MACs."""
    few = [each for each in found if each.macs <= 1 / FEWER and each.speed]
    within = [each for each in few if each.drop <= DROP]
    if within:
        return max(within, key=lambda each: max(ratio["median"] for ratio in each.speed.values()))
    return min(few, key=lambda each: each.drop) if few else None


def missed(best: Figures | None) -> list[str]:
    """What of the goal was not reached."""
    if best is None:
        return [f"no recipe has {FEWER} times fewer MACs"]
    sentences = [] if best.drop <= DROP else [f"{best.row.name} loses {best.drop:.2f} points, allowed {DROP}"]
    fastest = max(ratio["median"] for ratio in best.speed.values())
    return sentences + ([] if fastest >= FASTER else [f"{best.row.name} is {fastest:.2f} times as fast, goal {FASTER}"])


def _as_dict(found: Figures) -> dict[str, object]:
    names = ("accuracies", "drops", "params", "macs", "stored", "nonzero", "speed", "seconds", "trained", "notes")
    return {name: getattr(found, name) for name in names}
