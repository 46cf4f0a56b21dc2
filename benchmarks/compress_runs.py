"""The raw figures of all runs as one file beside the page, so that another machine can go on with them."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.common import RESULTS, say
from benchmarks.compress_jobs import Site


def keep(name: str, site: Site) -> Path:
    """Write every run and the latencies to ``docs/results/NAME_runs.json``."""
    path = RESULTS / f"{name}_runs.json"
    runs = {file.stem: json.loads(file.read_text()) for file in sorted((site.out / "rows").glob("*.json"))}
    clocks = site.out / "latency.json"
    latency = json.loads(clocks.read_text()) if clocks.exists() else {}
    path.write_text(json.dumps({"runs": runs, "latency": latency}) + "\n", encoding="utf-8")
    return path


def restore(name: str, site: Site) -> int:
    """Put back what is not there; how many runs that were. Models do not come back: they are not kept."""
    kept = json.loads((RESULTS / f"{name}_runs.json").read_text(encoding="utf-8"))
    folder = site.out / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    missing = {stem: run for stem, run in kept["runs"].items() if not (folder / f"{stem}.json").exists()}
    for stem, run in missing.items():
        (folder / f"{stem}.json").write_text(json.dumps(run, indent=1))
    if not (site.out / "latency.json").exists():
        (site.out / "latency.json").write_text(json.dumps(kept["latency"]))
    say(f"{len(missing)} runs restored to {folder}")
    return len(missing)
