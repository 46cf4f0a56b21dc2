"""Two bundles in one process of their own, run in turn: ``python -m toolchain.steps.duel_worker REQUEST``.

The request names both bundles (``bundles``), how long a round is (``settings``), and how many there are (``rounds``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from profiles.measurement import Kind, Metric, percentile
from profiles.sampling import Settings, sample
from targets.artifact import GOLDEN, Artifact, load_artifact
from targets.golden import load_golden
from targets.worker import main as worker_main
from targets.worker import open_runner

Say = Callable[[dict[str, Any]], None]
Rounds = tuple[list[dict[str, Metric]], list[dict[str, Metric]]]


def do_duel(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Both bundles' figures, round by round."""
    artifacts = [load_artifact(Path(folder), verify=False) for folder in request["bundles"]]
    settings, rounds = Settings(**request["settings"]), request["rounds"]
    found: Rounds = ([], [])
    for number in range(rounds):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            found[which].append(once(artifacts[which], settings))
        say({"event": "progress", "done": number + 1, "total": rounds})
        if not all("latency_p50" in side[-1] and side[-1]["latency_p50"].samples for side in found):
            break  # an emulator counts the same every time
    return {"rounds": [[{k: m.as_dict() for k, m in figures.items()} for figures in side] for side in found]}


def once(artifact: Artifact, settings: Settings) -> dict[str, Metric]:
    """One round of one bundle.

    The engine is loaded anew, because where it happens to lie in memory makes a few percent for as long as it lies
    there: that would look like a difference between the models.
    """
    with open_runner(artifact) as runner:
        call = runner.bind(load_golden(artifact.folder / GOLDEN).sample(0))
        if not runner.timed:
            call()
            return dict(runner.counters().metrics)
        walls = sample(call, settings).wall
    how = "wall clock around one inference, inputs in place"
    return {"latency_p50": Metric(percentile(sorted(walls), 50), "s", Kind.MEASURED, how, samples=walls)}


if __name__ == "__main__":
    sys.exit(worker_main(actions={"duel": do_duel}))
