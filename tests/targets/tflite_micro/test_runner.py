"""A bundle from its files to its figures: in the emulator, and over a serial port as if it were a board."""

import dataclasses
import json
import re

import harness
import networks
import numpy as np
import pytest

from profiles.device import load_device
from profiles.errors import ConfigError, VerificationError
from profiles.measurement import Kind
from profiles.sampling import Settings
from targets.artifact import Artifact, load_artifact, write_manifest
from targets.base import ExportedModel, TensorSpec
from targets.execute import spawn
from targets.golden import Golden, save_golden, tolerances
from targets.measure import profile_bundle, run_bundle, verify_bundle
from targets.registry import load_target
from targets.tflite_micro.emulate import qemu

PLACE = re.compile(rb"redirected to (/dev/\S+)")


def make(folder, device, data):
    """A bundle with two golden samples, as the toolchain makes one."""
    folder.mkdir()
    (folder.parent / f"{folder.name}.tflite").write_bytes(data)
    canonical = TensorSpec("tensor_0", (1, 49, 10, 1)), TensorSpec("tensor_46", (1, 12))
    model = ExportedModel(
        "net", canonical[:1], canonical[1:], tflite=folder.parent / f"{folder.name}.tflite", precision="int8"
    )
    compiled = load_target("tflite_micro").compile(model, device, folder)
    samples = harness.random_samples(data, 6)[4:]
    wanted = harness.reference(data, samples)
    names = compiled.inputs[0].name, compiled.outputs[0].name
    golden = {names[0]: np.stack([row[0] for row in samples])}, {names[1]: np.stack([row[0] for row in wanted])}
    save_golden(folder / "golden.npz", Golden(*golden, golden[1]))
    write_manifest(
        Artifact(
            folder=folder, device=device.as_dict(), target="tflite_micro", precision="int8", compiled=compiled,
            golden={"tolerance": tolerances(golden[1], "int8")},
        )
    )  # fmt: skip
    return load_artifact(folder)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make(tmp_path_factory.mktemp("micro") / "bundle", load_device("cortex-m4-an386"), networks.dscnn())


def test_what_is_in_a_bundle(bundle):
    names = {path.name for path in bundle.folder.iterdir()}
    assert names >= {
        "firmware.elf",
        "firmware.bin",
        "firmware.hex",
        "firmware.map",
        "library",
        "memory.json",
        "memory.svg",
    }
    assert names >= {"map.json", "model.tflite", "tflm", "golden.npz", "manifest.json"}
    assert bundle.size() == (bundle.folder / "firmware.bin").stat().st_size
    plan = json.loads((bundle.folder / "memory.json").read_text())
    assert plan["arena"] == bundle.compiled.options["arena"] >= plan["lower_bound"]
    assert bundle.compiled.options["tflm"]["operators"], "the kit names the operators"


def test_the_emulator_computes_the_golden_outputs(bundle):
    assert verify_bundle(bundle) == 0.0, "to the bit"
    given = {bundle.compiled.inputs[0].name: np.zeros((3, 1, 49, 10, 1), np.int8)}
    outputs, _ = run_bundle(bundle.folder, given)
    assert outputs[bundle.compiled.outputs[0].name].shape == (3, 1, 12)


def test_figures_of_the_emulator_say_how_they_were_obtained(bundle):
    profile = profile_bundle(bundle, Settings())
    kinds = {name: metric.kind for name, metric in profile.metrics.items()}
    assert kinds["instructions"] is kinds["init_instructions"] is kinds["stack"] is Kind.SIMULATED
    assert kinds["cycles"] is kinds["latency_p50"] is Kind.ESTIMATED
    assert kinds["flash"] is kinds["code_size"] is kinds["arena"] is Kind.MEASURED
    assert kinds["energy"] is Kind.UNAVAILABLE, "a prototyping board has no datasheet current"
    values = {name: metric.value for name, metric in profile.metrics.items()}
    parts = bundle.compiled.options["sizes"]
    assert values["flash"] == values["code_size"] + values["weights_size"] + parts["padding"] + parts["data"]
    assert values["flash"] == (bundle.folder / "firmware.bin").stat().st_size
    assert values["instructions"] < 5.77e6, "0.75 of what TFLM with CMSIS-NN needs"
    in_layers = sum(layer.metrics["instructions"].value for layer in profile.layers)
    assert in_layers == pytest.approx(values["instructions"], rel=0.001)


def test_a_board_is_measured_by_its_own_counter(bundle):
    """QEMU's serial line on a pseudo-terminal stands for the board."""
    device = load_device("cortex-m4-an386")
    line = qemu.argv(device, bundle.folder / "firmware.elf", line="uart")
    with spawn([word.replace("stdio,id=uart,signal=off", "pty,id=uart") for word in line]) as talk:
        said = b""
        while not (found := PLACE.search(said)):
            said += talk.read(10)
        via = f"serial://{found[1].decode()}"
        assert verify_bundle(bundle, via=via) == 0.0
        profile = profile_bundle(bundle, Settings(), via=via)
        assert profile.metrics["latency_p50"].kind is Kind.MEASURED
        assert profile.metrics["stack"].kind is Kind.MEASURED
        assert "the board at /dev/pts/" in profile.facts["port"]
        options = {**bundle.compiled.options, "digest": "f" * 16}
        other = dataclasses.replace(bundle, compiled=dataclasses.replace(bundle.compiled, options=options))
        write_manifest(other)
        with pytest.raises(VerificationError, match="runs other firmware"):
            verify_bundle(other, via=via)
        write_manifest(bundle)


def test_firmware_does_not_travel_over_ssh(bundle):
    with pytest.raises(ConfigError, match="cannot be reached like this") as caught:
        profile_bundle(bundle, Settings(), via="ssh://pi@board")
    assert "serial:///dev/PORT" in caught.value.allowed


def test_a_board_pack_runs_on_the_emulated_board_with_the_same_core(tmp_path):
    made = make(tmp_path / "bundle", load_device("nrf52840"), networks.dscnn())
    assert (made.folder / "emulator.elf").is_file() and made.compiled.options["emulator"] == "cortex-m4-an386"
    assert verify_bundle(made) == 0.0
    profile = profile_bundle(made, Settings())
    assert profile.metrics["energy"].kind is Kind.ESTIMATED and "uA/MHz" in profile.metrics["energy"].method
    assert "64 MHz" in profile.metrics["latency_p50"].method
