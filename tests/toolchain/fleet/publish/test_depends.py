"""What bundles need of devices, and the limits that they are held to."""

import json

import pytest
from packaging.specifiers import SpecifierSet

from profiles.device import device_names, load_device
from profiles.errors import ConfigError
from targets.artifact import Artifact
from targets.base import Compiled
from targets.registry import TARGETS, load_target
from targets.runtime import runtime_modules
from toolchain.fleet.documents.release import Depends, Limit
from toolchain.fleet.publish.budget import ON_DEVICE, budget_of, parse_limit, profile_of
from toolchain.fleet.publish.depends import BUILDS, COMPILED, RUNTIME, depends_of


def artifact(device, target="onnxruntime", tools=None):
    profile = load_device(device).as_dict() if isinstance(device, str) else device
    profile = json.loads(json.dumps(profile))
    return Artifact("somewhere", profile, target, "int8", Compiled((), (), ()), tools=tools or {})


@pytest.mark.parametrize("device", device_names())
def test_every_device_profile_can_have_releases(device):
    for target in load_device(device).targets:
        found = depends_of(artifact(device, target), {})
        assert found.device == device
        assert bool(found.machine) != bool(found.board), "a machine with an operating system, or a board behind one"


def test_a_raspberry_pi():
    found = depends_of(artifact("raspberry-pi-4", "litert", {"ai-edge-litert": "2.3.0", "numpy": "2.1"}), {})
    assert found == Depends("raspberry-pi-4", machine="aarch64", packages={"ai-edge-litert": ">=2.3,<2.4"})


def test_a_jetson_builds_for_its_gpu():
    found = depends_of(artifact("jetson-orin-nano", "tensorrt", {"tensorrt-rtx-cu13": "1.7.1"}), {})
    assert found == Depends("jetson-orin-nano", machine="aarch64", sm=("8.7",)) and "tensorrt" in BUILDS
    assert depends_of(artifact("jetson-orin-nano", "onnxruntime"), {}).sm == ()


def test_compiled_code_needs_the_processor_it_was_compiled_for():
    found = depends_of(artifact("raspberry-pi-5", "tvm_cpu"), {})
    assert found.isa == tuple(load_device("raspberry-pi-5").cpu.features) and found.isa
    assert depends_of(artifact("raspberry-pi-5", "onnxruntime"), {}).isa == ()


def test_a_board_is_behind_a_gateway():
    found = depends_of(artifact("cortex-m4-an386", "tflite_micro", {"ai-edge-litert": "2.3.0"}), PROFILE)
    assert found == Depends("cortex-m4-an386", board="cortex-m4-an386")


PROFILE = {"metrics": {"peak_memory": {"value": 50_000_000.5, "kind": "stand_in", "unit": "B"}}}


@pytest.mark.parametrize(
    ("metric", "memory"),
    [
        ({"value": 50_000_000.5, "kind": "stand_in"}, 50_000_001),
        ({"value": 7.0, "kind": "measured"}, 7),
        ({"value": 7.0, "kind": "estimated"}, 0),
        ({"value": None, "kind": "unavailable"}, 0),
        ({}, 0),
    ],
)
def test_memory_is_what_was_measured(metric, memory):
    assert depends_of(artifact("raspberry-pi-4"), {"metrics": {"peak_memory": metric}}).memory == memory


@pytest.mark.parametrize(
    ("version", "specifier"),
    [
        ("1.31.1", ">=1.31,<1.32"),
        ("2.13.0+cpu", ">=2.13,<2.14"),
        ("2026.4.1", ">=2026.4,<2026.5"),
        ("not installed", ""),
    ],
)
def test_packages_are_held_to_their_minor_version(version, specifier):
    found = depends_of(artifact("raspberry-pi-4", "onnxruntime", {"onnxruntime": version, "onnx": "1.2"}), {}).packages
    assert found == ({"onnxruntime": specifier} if specifier else {})
    assert not specifier or SpecifierSet(specifier).contains(version.partition("+")[0])


def test_the_tables_speak_of_targets_that_exist():
    for target in (*RUNTIME, *COMPILED, *BUILDS):
        assert target in TARGETS
    for target, names in RUNTIME.items():
        assert set(names) <= set(load_target(target).packages)
    for target in TARGETS:
        assert runtime_modules(target), "every bundle brings the program that runs it"


@pytest.mark.parametrize("name", ["", "Board", "a/b", "x" * 65])
def test_names_that_no_fleet_can_have(name):
    with pytest.raises(ConfigError, match="cannot publish"):
        depends_of(artifact({"name": name}), {})


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("latency=20 ms", ("latency_p50", 0.02)),
        ("latency_p99=1 s", ("latency_p99", 1.0)),
        ("size = 2 MiB", ("model_size", 2097152.0)),
        ("energy=3 mJ", ("energy", 0.003)),
    ],
)
def test_limits_are_written_like_the_budget_of_a_project(text, limit):
    metric, most = parse_limit(text)
    assert (metric, pytest.approx(most)) == limit
    assert Limit(metric, most)


@pytest.mark.parametrize(
    "text", ["latency", "latncy=20 ms", "accuracy_drop=0.1", "=3", "latency=fast", "latency=20 MB", ""]
)
def test_limits_that_no_device_can_measure(text):
    with pytest.raises(ConfigError) as caught:
        parse_limit(text)
    assert caught.value.seen or caught.value.allowed
    assert "latncy" not in text or caught.value.next_step == "did you mean 'latency'?"


def test_without_a_project_there_is_no_budget(tmp_path):
    assert budget_of(tmp_path, {}) == ()
    assert budget_of(tmp_path, {"latency_p50": 1.0}) == (Limit("latency_p50", 1.0),)
    assert "accuracy_drop" not in ON_DEVICE


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"metrics": 3}', None])
def test_a_profile_that_cannot_be_read_tells_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / "profile.json").write_text(text)
    assert profile_of(tmp_path) == {}
