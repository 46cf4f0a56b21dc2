"""Two processes that build the same thing write the same bytes, manifest included, or the manifest says why not."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
BUILD = """
import dataclasses, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])

if __name__ == "__main__":
    from conformance.boards import board_of
    from conformance.matrix import columns
    from conformance.subjects import make_subject
    from profiles.device import load_device
    from targets.base import Scheme
    from targets.golden import save_arrays
    from targets.registry import load_target
    from toolchain.steps.bundle import BundleJob, build_bundle
    from toolchain.steps.data import stack

    out = Path(sys.argv[2])
    if sys.argv[3] == "busy":  # whatever ran in this process before must not show
        make_subject("squeeze_excite", out)
        import openvino.opset13 as operators
        for _ in range(1000):
            operators.constant(0)
    device = dataclasses.replace(load_device("local-cpu"), parameters={"threads": 1, "tuning_seconds": 0})
    subject = make_subject("residual", out)
    calibration = out / "calibration.npz"
    save_arrays(calibration, stack(subject.calibration))
    for target, precision in columns():
        bundle = out / f"{target}-{precision}"
        bundle.mkdir()
        model = subject.models[load_target(target).formats[0]]
        board = board_of(target, device)
        build_bundle(BundleJob(model, target, board, Scheme(precision), calibration, {}), bundle)
"""


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """Two folders with all bundles, built at the same time from different places with different hash seeds."""
    folders = [tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("a_longer_name") / "deep"]
    folders[1].mkdir()
    running = []
    for number, folder in enumerate(folders):
        (folder / "build.py").write_text(BUILD)
        argv = [sys.executable, str(folder / "build.py"), str(TESTS), str(folder), ("plain", "busy")[number]]
        env = {**os.environ, "PYTHONHASHSEED": str(number + 1)}
        running.append(subprocess.Popen(argv, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    for process in running:
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr.decode()
    return folders


def hashes(bundle):
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    return {path.relative_to(bundle).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_two_processes_write_the_same_bytes(builds):
    bundles = sorted(path.name for path in builds[0].iterdir() if path.is_dir())
    assert len(bundles) >= 14, f"every target in every precision: {bundles}"
    for name in bundles:
        first, second = (hashes(folder / name) for folder in builds)
        assert set(first) == set(second), f"{name} has other files"
        excused = json.loads((builds[0] / name / "manifest.json").read_text())["unreproducible"]
        assert all(excused.values()), f"{name} excuses a file without a reason"
        # a file that cannot be the same has another hash in the manifest, which then cannot be the same either
        differing = {file for file in first if first[file] != second[file]} - set(excused)
        assert differing <= ({"manifest.json"} if excused else set()), f"{name}: {sorted(differing)} differ"


def test_nothing_tells_where_it_was_built(builds):
    for bundle in (path for path in builds[1].iterdir() if path.is_dir()):
        for path in (path for path in bundle.rglob("*") if path.is_file()):
            assert b"a_longer_name" not in path.read_bytes(), f"{path.name} of {bundle.name} holds a path"
