"""Runs a bundle on the fakes, once for every scenario, in one process: ``scenarios.py BUNDLE [SETTINGS, ...]``.

Settings are JSON objects of environment variables. Prints one JSON line each: the profile of the counters or the error,
and what is alive on the fake GPU afterwards. All loops are cut short, so that the figures are of no use.
"""

import ctypes
import json
import os
import sys
from pathlib import Path

from profiles.errors import EdgewrightError
from profiles.profiler import Profile
from profiles.sampling import Settings
from targets.artifact import load_artifact
from targets.golden import load_golden
from targets.tensorrt.gpu import timing
from targets.tensorrt.gpu.gpu import find_gpu
from targets.tensorrt.runner import open_runner

QUICK = Settings(runs=3, min_runs=3, seconds=0.0, warmup_seconds=0.0, max_warmup_seconds=0.0)


def play(artifact, sample):
    """What the runner says, as a profile."""
    with open_runner(artifact.folder, artifact.compiled, {}) as runner:
        outputs = {name: values.tolist() for name, values in runner.run(sample).items()}
        runner.bind(sample)()
        told = runner.counters()
    profile = Profile(told.metrics, told.layers, told.executed, told.facts, {}, {}, True, (), told.batches)
    return {"profile": profile.as_dict(), "outputs": outputs}


def main():
    timing.SETTINGS = QUICK
    for function in (timing.by_events, timing.with_transfers, timing.by_graph):
        function.__defaults__ = (QUICK,)
    artifact = load_artifact(Path(sys.argv[1]))
    sample = load_golden(artifact.folder / "golden.npz").sample(0)
    fake = ctypes.CDLL("libcuda.so.1")
    for settings in json.loads(sys.argv[2]):
        os.environ.update(settings)
        find_gpu.cache_clear()
        fake.fake_cuda_forget_calls()
        try:
            answer = play(artifact, sample)
        except EdgewrightError as error:
            answer = {"error": error.as_dict()}
        print(json.dumps({**answer, "live": fake.fake_cuda_live()}), flush=True)
        for name in settings:
            del os.environ[name]


main()
