"""Boards for tests: bundles linked for a slot, keys, and a stand-in board as a process of its own."""

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from profiles.device import load_device
from targets.artifact import Artifact, load_artifact, write_manifest
from targets.base import ExportedModel, TensorSpec
from targets.golden import Golden, save_golden, tolerances
from targets.registry import load_target
from toolchain.fleet.gateway.image import IMAGE, VENDOR
from toolchain.fleet.gateway.place import Place
from toolchain.fleet.gateway.sign import Slot, make_key, sign_firmware
from toolchain.project.overrides import apply_overrides

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "targets" / "tflite_micro"))

import harness  # noqa: E402
import networks  # noqa: E402

BOARD, PASSPHRASE = "cortex-m4-an386", "correct horse battery staple"
#: Where the stand-in has its primary slot (fleet_board_stand_in.SLOT_BASE), and how large it is.
SLOT = Slot(0x8000, 48 << 10)
SCRATCH = tempfile.TemporaryDirectory(prefix="edgewright-fleet-boards-")


def keys(name="firmware"):
    """A firmware key: private and public half."""
    private, public = Path(SCRATCH.name, f"{name}.pem"), Path(SCRATCH.name, f"{name}.pub.pem")
    if not private.exists():
        make_key(private, public, PASSPHRASE)
    return private, public


def network(seed):
    """A small network; the seed decides on the weights and on nothing else."""
    net = networks.Net((1, 12, 12, 2), seed=7)
    net.random = Weights(seed)
    net.conv(8, 3, 2)
    net.depthwise()
    net.conv(16, 1)
    net.head(4)
    return net.bytes()


class Weights:
    """A random generator for a Net: weights are drawn by the seed, everything else is the same for all seeds."""

    def __init__(self, seed):
        self._weights, self._shape = np.random.default_rng(seed), np.random.default_rng(1)

    def integers(self, low, high, size=None):
        return (self._shape if size is None else self._weights).integers(low, high, size)

    def uniform(self, *words):
        return self._shape.uniform(*words)


@functools.cache
def bundle(seed=1, board=BOARD, slot=SLOT, spoiled=False):
    """A firmware bundle with two golden samples; ``spoiled`` records other outputs than it computes."""
    place = Path(tempfile.mkdtemp(dir=SCRATCH.name))
    data, folder = network(seed), place / "bundle"
    folder.mkdir()
    (place / "model.tflite").write_bytes(data)
    device = apply_overrides(load_device(board), slot.overrides(load_device(board).memories[0].name), "slot")
    canonical = TensorSpec("input", (1, 12, 12, 2)), TensorSpec("output", (1, 4))
    model = ExportedModel("net", canonical[:1], canonical[1:], tflite=place / "model.tflite", precision="int8")
    compiled = load_target("tflite_micro").compile(model, device, folder)
    samples = harness.random_samples(data, 2)
    wanted = [row[0] ^ (64 if spoiled else 0) for row in harness.reference(data, samples)]
    names = compiled.inputs[0].name, compiled.outputs[0].name
    golden = {names[0]: np.stack([row[0] for row in samples])}, {names[1]: np.stack(wanted)}
    save_golden(folder / "golden.npz", Golden(*golden, golden[1]))
    write_manifest(
        Artifact(
            folder=folder, device=device.as_dict(), target="tflite_micro", precision="int8", compiled=compiled,
            golden={"tolerance": tolerances(golden[1], "int8")},
        )
    )  # fmt: skip
    return load_artifact(folder)


@functools.cache
def signed(release, seed=1, key="firmware", board=BOARD, spoiled=False):
    """The signed image of a bundle."""
    made = bundle(seed, board, spoiled=spoiled)
    firmware = (made.folder / "firmware.bin").read_bytes()
    return sign_firmware(made.device, firmware, SLOT, keys(key)[0], PASSPHRASE, release=release)


def agent_slot(folder, release, seed=1, **words):
    """A folder as the agent has it: ``bundle/`` and the signed image."""
    spoiled = words.get("spoiled", False)
    shutil.copytree(bundle(seed, words.get("board", BOARD), spoiled=spoiled).folder, folder / "bundle")
    (folder / IMAGE).write_bytes(signed(release, seed, **words))
    return folder


class StandIn:
    """A stand-in board; it lies in ``folder`` and lives from :meth:`power` to :meth:`unplug`."""

    def __init__(self, folder, image, board=BOARD, slot=SLOT, key="firmware"):
        folder.mkdir()
        self.folder, self.process = folder, None
        self.config = {"slot": slot.size, "board": board, "vendor": VENDOR, "key": str(keys(key)[1])}
        erased = b"\xff" * (2 * slot.size + 2 * 4096)
        (folder / "flash.bin").write_bytes(image + erased[len(image) :])

    @property
    def place(self):
        lines = {"smp": f"serial://{self.folder / 'smp'}", "line": f"serial://{self.folder / 'line'}"}
        return Place(self.config["board"], key=keys()[1], answer=2.0, boot=20.0, pause=0.05, measure=0.05, **lines)

    def power(self, cut=0):
        """Power on; ``cut`` is the number of the flash operation in which power fails."""
        (self.folder / "board.json").write_text(json.dumps({**self.config, "cut": cut}))
        for name in ("smp", "line"):
            (self.folder / name).unlink(missing_ok=True)
        with (self.folder / "errors").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "fleet_board_stand_in.py"), str(self.folder)], stderr=errors,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        end = time.monotonic() + 20
        while not (self.folder / "line").is_symlink():
            assert self.process.poll() is None or cut, (self.folder / "errors").read_text()
            assert time.monotonic() < end, "the stand-in did not start"
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        return self

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def unplug(self):
        """Power off, at once."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def log(self):
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def operations(self):
        """Flash operations since it was powered on, as its log says."""
        return int(self.log()[-1].split()[-2]) if self.log() else 0
