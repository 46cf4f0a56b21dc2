"""Instructions and sizes of two networks; a new baseline: ``python tests/targets/tflite_micro/baseline.py --write``."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))
sys.path.insert(0, str(Path(__file__).parent))

import harness
import networks

from profiles.device import load_device
from targets.tflite_micro.device import variant_of
from targets.tflite_micro.emit.source import write_model
from targets.tflite_micro.emulate.counts import count
from targets.tflite_micro.firmware.build import link
from targets.tflite_micro.firmware.sizes import sizes
from targets.tflite_micro.kernels import INCLUDE, SOURCES

PATH = Path(__file__).with_name("baseline.json")
NETWORKS = {"resnet8": networks.resnet8, "dscnn": networks.dscnn}
CORES = ("cortex-m3-an385", "cortex-m4-an386", "cortex-m55-an547")
KEYS = [f"{network} {core}" for network in NETWORKS for core in CORES]


def figures(key: str) -> dict[str, int]:
    """Instructions of one inference, bytes of arena, of code and of constants, as the compiler at hand makes them."""
    network, core = key.split()
    model, board = NETWORKS[network](), load_device(core)
    program = harness.program_of(model, variant_of(board.cpu.features))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(program, folder)
        sources = [folder / "edgewright_model.c", *(SOURCES / source for source in harness._sources(program))]
        built = link(sources, [folder, INCLUDE], board, folder)
        (sample,) = harness.random_samples(model, 6)[5]
        counts, found = count(built, board, [sample.tobytes()]), sizes(built.elf)
    return {
        "instructions": counts.run.total,
        "arena": program.arena,
        "code": found["code"],
        "constants": program.constant_bytes,
    }


def load() -> dict[str, dict[str, int]]:
    """The committed figures."""
    return json.loads(PATH.read_text())


if __name__ == "__main__":
    seen = {key: figures(key) for key in KEYS}
    if "--write" in sys.argv:
        PATH.write_text(json.dumps(seen, indent=1) + "\n")
    print(json.dumps(seen, indent=1))
