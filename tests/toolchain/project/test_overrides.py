from __future__ import annotations

import pytest

from profiles.device import Cpu, Device, Memory, Power
from profiles.errors import ConfigError
from toolchain.project.overrides import apply_overrides, flattened, override_keys

BOARD = Device(
    name="board",
    title="A board",
    targets=("null",),
    cpu=Cpu(arch="arm", clock=1e9, cores=2),
    memories=(Memory("sram", "ram", 1024.0), Memory("flash", "flash", 4096.0)),
    power=Power(meter="rapl", tdp=5.0),
    sources={"cpu.clock": "data sheet", "cpu.cores": "data sheet"},
    parameters={"array": 16, "machine": "m"},
)

GOOD = {
    "cpu.clock": ("500 MHz", lambda d: d.cpu.clock, 5e8),
    "cpu.cores": (4, lambda d: d.cpu.cores, 4),
    "cpu.features": (["neon"], lambda d: d.cpu.features, ("neon",)),
    "memory.sram.size": ("2 KiB", lambda d: d.memory("ram"), 2048),
    "memory.flash.base": (0x1000, lambda d: d.memories[1].base, 0x1000),
    "power.tdp": ("500 mW", lambda d: d.power.tdp, 0.5),
    "formats": (["fp32", "int8"], lambda d: d.formats, ("fp32", "int8")),
    "identity.arch": ("arm", lambda d: d.identity.arch, "arm"),
    "parameters.array": (8, lambda d: d.parameters["array"], 8),
}


@pytest.mark.parametrize("key", GOOD)
def test_an_override_changes_its_number_and_names_its_source(key):
    value, read, expected = GOOD[key]
    device = apply_overrides(BOARD, {key: value}, "edge.toml")
    assert read(device) == pytest.approx(expected) if isinstance(expected, float) else read(device) == expected
    assert device.sources == {**BOARD.sources, key: "edge.toml"}, "every number keeps or gets its source"


def test_the_profile_itself_stays_as_it_was():
    apply_overrides(BOARD, {"parameters.array": 8, "cpu.cores": 8}, "edge.toml")
    assert (BOARD.parameters["array"], BOARD.cpu.cores, BOARD.sources["cpu.cores"]) == (16, 2, "data sheet")


def test_no_overrides_change_nothing():
    assert apply_overrides(BOARD, {}, "edge.toml") == BOARD


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("cpu.cores", "4", "an integer"),
        ("cpu.cores", True, "an integer"),
        ("cpu.cores", 0, "at least 1"),
        ("memory.flash.base", -1, "at least 0"),
        ("cpu.features", "neon", "a list"),
        ("formats", ["int2"], "fp32, bf16, fp16, fp8, int8, int4"),
        ("parameters.array", "8", "an integer"),
        ("memory.flash.base", 1.5, "an integer"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(key, value, allowed):
    with pytest.raises(ConfigError) as caught:
        apply_overrides(BOARD, {key: value}, "edge.toml")
    assert caught.value.wanted.startswith(f"{key} ")
    assert caught.value.allowed == allowed


def test_an_unknown_feature_names_the_nearest():
    with pytest.raises(ConfigError, match="has an unknown value") as caught:
        apply_overrides(BOARD, {"cpu.features": ["noen"]}, "edge.toml")
    assert caught.value.next_step == "did you mean 'neon'?"


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("cpu.clok", "did you mean 'cpu.clock'?"),
        ("memory.ram.size", "did you mean 'memory.sram.size'?"),
        ("parameters.arry", "did you mean 'parameters.array'?"),
        ("cpu", ""),
        ("name", ""),
    ],
)
def test_a_key_that_the_profile_does_not_have_is_refused(key, hint):
    with pytest.raises(ConfigError, match=f"^{key} is not a key of the profile 'board'") as caught:
        apply_overrides(BOARD, {key: "1 GHz"}, "edge.toml")
    if hint:
        assert caught.value.next_step == hint


def test_every_key_that_is_offered_can_be_overridden():
    untried = set(override_keys(BOARD)) - set(GOOD)
    values = {"size": "1 KiB", "base": 1, "rails": ["a"], "model_contains": ["a"]}
    for key in untried:
        device = apply_overrides(BOARD, {key: values.get(key.rpartition(".")[2], "text")}, "edge.toml")
        assert device != BOARD, f"{key} is offered and changes nothing"


def test_nested_tables_are_flattened():
    assert flattened({"threads": 1, "cpu": {"clock": "1 GHz", "x": {"y": 2}}}) == {
        "threads": 1,
        "cpu.clock": "1 GHz",
        "cpu.x.y": 2,
    }
