"""How small a firmware update is when only weights change. Run it for the table: it needs no arguments.

The networks are those of MLPerf Tiny with random weights, built for a Cortex-M4 and signed, as all firmware of a fleet.
The patches are those that a release carries. Random weights compress worse than trained ones, which leave zeros.
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[4]))

import fleet_boards as fb
import networks
import numpy as np

from profiles.device import load_device
from targets.base import ExportedModel, TensorSpec
from targets.registry import load_target
from toolchain.fleet.gateway.sign import Slot, sign_firmware
from toolchain.fleet.publish.deltas import make_patch
from toolchain.project.overrides import apply_overrides

SLOT = Slot(0x8000, 512 << 10)
SHAPES = {"dscnn": ((1, 49, 10, 1), (1, 12)), "resnet8": ((1, 32, 32, 3), (1, 10))}
#: What happened to the weights of the older network.
CHANGES = ("nothing", "last layer", "one weight in 20", "all weights")


@dataclasses.dataclass(frozen=True)
class Row:
    """Bytes: of the signed image, its weights, and the patch to the image of the next release."""

    network: str
    changed: str
    image: int
    weights: int
    patch: int


class Changed(np.random.Generator):
    """Draws as the older network's generator, and then changes what is drawn as weights."""

    def __init__(self, seed, changed):
        super().__init__(np.random.PCG64(seed))
        self._changed, self._other = changed, np.random.default_rng(99)

    def integers(self, low, high=None, size=None, **more):
        drawn = super().integers(low, high, size, **more)
        if size is None or (low, high) != (-127, 128):
            return drawn
        if self._changed == "all weights" or (self._changed == "last layer" and np.ndim(drawn) == 2):
            return self._other.integers(low, high, size)
        if self._changed == "one weight in 20":
            step = (self._other.random(size) < 0.05) * self._other.choice([-1, 1], size)
            return np.clip(drawn + step, -127, 127)
        return drawn


def model(name, changed):
    """The TFLite file of a network whose weights were changed like this."""
    plain, seeds = np.random.default_rng, {8: "resnet8", 9: "dscnn"}
    networks.np.random.default_rng = lambda seed: Changed(seed, changed) if seed in seeds else plain(seed)
    try:
        return getattr(networks, name)()
    finally:
        networks.np.random.default_rng = plain


def image(name, changed, release, place):
    """The signed image of a firmware, and the bytes of its weights."""
    folder = Path(tempfile.mkdtemp(dir=place))
    (folder / "model.tflite").write_bytes(model(name, changed))
    device = apply_overrides(load_device(fb.BOARD), SLOT.overrides("ssram1"), "slot")
    specs = [(TensorSpec(kind, shape),) for kind, shape in zip(("input", "output"), SHAPES[name], strict=True)]
    (folder / "bundle").mkdir()
    exported = ExportedModel(name, *specs, tflite=folder / "model.tflite", precision="int8")
    compiled = load_target("tflite_micro").compile(exported, device, folder / "bundle")
    firmware = (folder / "bundle" / "firmware.bin").read_bytes()
    signed = sign_firmware(device.as_dict(), firmware, SLOT, fb.keys()[0], fb.PASSPHRASE, release=release)
    return signed, int(compiled.options["sizes"]["weights"])


def rows(name):
    """One for each change."""
    with tempfile.TemporaryDirectory() as place:
        old, weights = image(name, "nothing", 1, place)
        for changed in CHANGES:
            new, _ = image(name, changed, 2, place)
            yield Row(name, changed, len(new), weights, len(make_patch(old, new)))


if __name__ == "__main__":
    found = [row for name in SHAPES for row in rows(name)]
    if "--json" in sys.argv:
        print(json.dumps([dataclasses.asdict(row) for row in found]))
    else:
        print("| network | changed | signed image | of it weights | patch | of the image |\n|---|---|---|---|---|---|")
        for row in found:
            print(f"| {row.network} | {row.changed} | {row.image:,} B | {row.weights:,} B | {row.patch:,} B "
                  f"| {row.patch / row.image:.1%} |")  # fmt: skip
