"""``python -m benchmarks.compress_clock ENGINE ROUNDS``: times files in turn, in one process.

Standard input is a JSON object from name to [file, input shape (NCHW), outputs]; the last line of standard output is
one from name to a list with the median time of each round, in seconds.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from profiles.device import load_device
from targets.base import ExportedModel, TensorSpec
from targets.registry import load_target

#: Timed inferences of a model in one round, and untimed ones before them.
TIMED, WARM_UP = 60, 15


def main() -> int:
    engine, rounds = sys.argv[1], int(sys.argv[2])
    files: dict[str, tuple[str, list[int], int]] = json.load(sys.stdin)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        calls = {name: _opened(engine, given, folder / name, stack) for name, given in files.items()}
        times: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(rounds):
            names = list(calls) if number % 2 == 0 else list(reversed(calls))
            for name in names:
                times[name].append(_median(calls[name]))
    print(json.dumps(times))
    return 0


def _opened(
    engine: str, given: tuple[str, Sequence[int], int], out: Path, stack: contextlib.ExitStack
) -> Callable[[], object]:
    """The model in its engine, as a bound call on a random image."""
    file, shape, classes = given
    target, device, path = load_target(engine), load_device("local-cpu"), Path(file)
    last = path.suffix == ".tflite"
    model = ExportedModel(
        name=out.name,
        inputs=(TensorSpec("input", tuple(shape), "float32", "NCHW"),),
        outputs=(TensorSpec("output", (1, classes), "float32", "NC"),),
        onnx=None if last else path,
        tflite=path if last else None,
        tflite_channel_last=("input",) if last else (),
    )
    out.mkdir()
    compiled = target.compile(model, device, out)
    runner = stack.enter_context(target.runner(out, compiled, device.as_dict()))
    image = np.random.default_rng(0).standard_normal(compiled.inputs[0].shape, dtype=np.float32)
    return runner.bind({compiled.inputs[0].name: image})


def _median(call: Callable[[], object]) -> float:
    for _ in range(WARM_UP):
        call()
    taken = []
    for _ in range(TIMED):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main())
