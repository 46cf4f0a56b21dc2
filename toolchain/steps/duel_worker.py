"""Two bundles in one process of their own, run in turn: ``python -m toolchain.steps.duel_worker REQUEST``.

The request names both bundles (``bundles``), how long a round is (``settings``), and how many there are (``rounds``).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from profiles.measurement import Kind, Metric, percentile
from profiles.runner import Runner
from profiles.sampling import Settings, sample
from targets.artifact import GOLDEN, load_artifact
from targets.golden import load_golden
from targets.worker import main as worker_main
from targets.worker import open_runner

Say = Callable[[dict[str, Any]], None]
Rounds = tuple[list[dict[str, Metric]], list[dict[str, Metric]]]


def do_duel(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Both bundles' figures, round by round."""
    artifacts = [load_artifact(Path(folder), verify=False) for folder in request["bundles"]]
    inputs = [load_golden(artifact.folder / GOLDEN).sample(0) for artifact in artifacts]
    with contextlib.ExitStack() as stack:
        runners = [stack.enter_context(open_runner(artifact)) for artifact in artifacts]
        calls = [runner.bind(values) for runner, values in zip(runners, inputs, strict=True)]
        if not all(runner.timed for runner in runners):
            rounds: Rounds = ([_counted(runners[0], calls[0])], [_counted(runners[1], calls[1])])
        else:
            rounds = _timed(calls, Settings(**request["settings"]), request["rounds"], say)
    return {"rounds": [[{k: m.as_dict() for k, m in figures.items()} for figures in side] for side in rounds]}


def _counted(runner: Runner, call: Callable[[], object]) -> dict[str, Metric]:
    call()
    return dict(runner.counters().metrics)


def _timed(calls: list[Callable[[], object]], settings: Settings, rounds: int, say: Say) -> Rounds:
    found: Rounds = ([], [])
    for number in range(rounds):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            walls = sample(calls[which], settings).wall
            middle = percentile(sorted(walls), 50)
            how = "wall clock around one inference, inputs in place"
            found[which].append({"latency_p50": Metric(middle, "s", Kind.MEASURED, how, samples=walls)})
        say({"event": "progress", "done": number + 1, "total": rounds})
    return found


if __name__ == "__main__":
    sys.exit(worker_main(actions={"duel": do_duel}))
