"""ResNet-8 on CIFAR-10 in RTL simulation: the integers of the layers' definition, and as accurate as the float model.

The calibrator is chosen on training images: of four, the one whose int8 logits differ least from the float ones on
images that it was not calibrated with. Test images only judge: all of them the chosen one, some of them the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import cifar_folder, say
from benchmarks.fpga_cycles import LATENCY
from benchmarks.fpga_networks import NETWORKS, RESNET8, Built, built, exported, quantized
from profiles.runner import Array
from targets.tvm_fpga.compiler.reference import run_region
from targets.tvm_fpga.compiler.run import run_program, simulated
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.host.build import build_host
from targets.tvm_fpga.host.module import HostModule
from targets.tvm_fpga.host.target import HOSTS
from targets.tvm_fpga.rtl.build import simulator
from targets.tvm_fpga.rtl.simulate import Memory, Simulator

CALIBRATORS = ("minmax", "percentile", "entropy", "mse")
#: Training images to calibrate with, other training images to choose by, and test images that every calibrator gets.
CALIBRATED, CHOSEN_BY, IMAGES = 1024, 4000, 500
#: Points that may be lost.
MOST_DROP = 0.5
Regions = Callable[[str, Mapping[str, Array]], Mapping[str, Array]]


@dataclasses.dataclass
class Twice:
    """Runs every region twice, in RTL and by the layers' definition, and counts outputs that are not the same bytes."""

    network: Built
    opened: Simulator
    different: int = 0
    cycles: int = 0

    def __call__(self, symbol: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """The outputs of the simulation."""
        executor = simulated(self.opened, Memory(latency=LATENCY))
        made, run = run_program(self.network.programs[symbol], inputs, executor)
        wanted = by_definition(self.network)(symbol, inputs)
        self.different += sum(not np.array_equal(made[name], wanted[name]) for name in wanted)
        self.cycles = run.cycles if run else 0
        return made


def by_definition(network: Built) -> Regions:
    """Regions as their layers are defined: the golden integers, without tiles or addresses."""
    regions = {each.symbol: each.region for each in network.parted.regions}
    return lambda symbol, inputs: run_region(regions[symbol], inputs)


def logits(network: Built, folder: Path, regions: Regions, images: Array) -> Array:
    """Of a batch, one image after the other: the host's module as it is deployed, the regions run by ``regions``."""
    library = build_host(network.parted, HOSTS["x86_64"], folder / "host.so")
    host = HostModule(library, [each.host for each in network.parted.regions], regions)
    return np.stack([host.run([image[None]])[0][0] for image in images])


def in_rtl(
    path: Path, folder: Path, images: Array, geometry: Geometry, cache: Path | None = None
) -> tuple[Array, Twice]:
    """Logits of a quantized file from the simulation, and what was compared on the way; ``cache`` of simulators."""
    network = built(path, geometry)
    with simulator(geometry, cache) as opened:
        twice = Twice(network, opened)
        return logits(network, folder, twice, images), twice


def by_onnxruntime(path: Path, images: Array) -> Array:
    """Logits of an ONNX file, float or Q/DQ; one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.stack([session.run(None, {name: image[None]})[0][0] for image in images])


def noise(mine: Array, wanted: Array) -> float:
    """Root mean square difference of two sets of logits, as a share of the second's; a shift of all logits is none."""
    mine, wanted = (each - each.mean(axis=1, keepdims=True) for each in (mine, wanted))
    return float(np.sqrt(np.square(mine - wanted).sum() / np.square(wanted).sum()))


def points(found: Array, labels: Array) -> float:
    """Accuracy in percent."""
    return float(100 * np.mean(found.argmax(axis=1) == labels))


@dataclasses.dataclass(frozen=True)
class Samples:
    """Images as the model takes them, with labels; ``tests`` in the order of the file."""

    calibration: list[dict[str, Array]]
    chosen_by: Array
    tests: Array
    labels: Array


def samples(name: str) -> Samples:
    """CIFAR-10; ``name`` of the model's input."""
    from toolchain.frontend.data.load import load_data
    from toolchain.frontend.source import default_input
    from toolchain.frontend.specs import DataSpec

    spec = default_input(NETWORKS[RESNET8].source)
    assert spec is not None
    data = load_data(DataSpec(f"parquet:{cifar_folder()}", calibration=CALIBRATED), spec)
    others = np.flatnonzero(~np.isin(data.train.rows, data.calibration.rows))[:CHOSEN_BY]
    calibration = [{name: image[None]} for image in data.calibration.batch(np.arange(len(data.calibration)))]
    assert data.test.labels is not None
    order = np.argsort(data.test.rows)
    return Samples(calibration, data.train.batch(others), data.test.batch(order), data.test.labels[order])


def measure(folder: Path) -> dict[str, Any]:
    """Choose a calibrator by training images; judge all of them by test images, the chosen one by all of these."""
    folder.mkdir()
    model = exported(NETWORKS[RESNET8], folder)
    assert model.onnx is not None
    given = samples(model.inputs[0].name)
    float_logits = by_onnxruntime(model.onnx, given.tests)
    wanted = by_onnxruntime(model.onnx, given.chosen_by)
    files = {how: quantized(model, given.calibration, folder / how, how) for how in CALIBRATORS}
    noises = {how: noise(by_onnxruntime(path, given.chosen_by), wanted) for how, path in files.items()}
    chosen = min(noises, key=lambda how: noises[how])
    say(f"chosen by training images: {chosen}; all on {IMAGES} test images in RTL simulation")
    rows = {how: {"noise": noises[how], **_judged(path, given, float_logits)} for how, path in files.items()}
    return {
        "chosen": chosen,
        "float": {
            "first": points(float_logits[:IMAGES], given.labels[:IMAGES]),
            "all": points(float_logits, given.labels),
        },
        "tests": len(given.labels),
        "calibrators": rows,
        "whole": _whole(files[chosen], given, float_logits),
    }  # fmt: skip


def _judged(path: Path, given: Samples, float_logits: Array) -> dict[str, Any]:
    found, twice = in_rtl(path, path.parent, given.tests[:IMAGES], Geometry(lanes=16))
    theirs = by_onnxruntime(path, given.tests)
    labels = given.labels[:IMAGES]
    return {
        "different": twice.different,
        "cycles": twice.cycles,
        "first": points(found, labels),
        "as_float": points(found, float_logits[:IMAGES].argmax(axis=1)),
        "onnxruntime_first": points(theirs[:IMAGES], labels),
        "onnxruntime_all": points(theirs, given.labels),
    }


def _whole(path: Path, given: Samples, float_logits: Array) -> dict[str, Any]:
    """All test images in RTL simulation; points to float of each block of ``IMAGES``, and what chance makes of one."""
    say(f"{path.parent.name} on all {len(given.labels)} test images in RTL simulation")
    found, twice = in_rtl(path, path.parent, given.tests, Geometry(lanes=16))
    mine, its = (each.argmax(axis=1) == given.labels for each in (found, float_logits))
    gained = 100 * (mine.astype(float) - its)
    whole = len(gained) // IMAGES * IMAGES
    blocks = gained[:whole].reshape(-1, IMAGES).mean(axis=1)
    return {
        "different": twice.different,
        "points": points(found, given.labels),
        "deviation": float(gained.std() / np.sqrt(IMAGES)),
        "blocks": [round(float(each), 6) for each in blocks],
    }


def missed(found: Mapping[str, Any]) -> list[str]:
    """Goals: the same integers everywhere; the chosen calibrator's accuracy on the first images and on all."""
    rows: Mapping[str, Mapping[str, Any]] = {**found["calibrators"], "all test images": found["whole"]}
    wrong = [
        f"{how}: {row['different']} outputs differ from the golden integers'"
        for how, row in rows.items()
        if row["different"]
    ]
    drops = {
        f"the first {IMAGES}": found["float"]["first"] - found["calibrators"][found["chosen"]]["first"],
        f"all {found['tests']}": found["float"]["all"] - found["whole"]["points"],
    }
    lost = [
        f"{found['chosen']}: {drop:.2f} points lost on {which} test images, allowed {MOST_DROP}"
        for which, drop in drops.items()
        if drop > MOST_DROP + 1e-9
    ]
    return wrong + lost


def table(found: Mapping[str, Any]) -> Sequence[Sequence[str]]:
    """One row per calibrator."""
    rows = []
    for how, row in found["calibrators"].items():
        mark = "**" if how == found["chosen"] else ""
        rows.append([
            f"{mark}{how}{mark}", f"{100 * row['noise']:.2f} %", f"{row['first']:.1f} %",
            f"{row['first'] - found['float']['first']:+.1f}", f"{row['as_float']:.1f} %",
            "all" if not row["different"] else f"{IMAGES - row['different']} of {IMAGES}",
            f"{row['onnxruntime_first']:.1f} %", f"{row['onnxruntime_all']:.2f} %",
        ])  # fmt: skip
    return rows
