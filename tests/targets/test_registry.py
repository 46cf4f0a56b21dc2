import shutil
import subprocess
import sys

import pytest

from profiles.device import PRECISIONS, Cpu, Device
from profiles.errors import ConfigError, MissingToolError, UnsupportedError
from targets import registry
from targets.base import CALIBRATED
from targets.calibration import CALIBRATORS
from targets.registry import (
    default_target,
    installed_version,
    load_target,
    missing_packages,
    require_packages,
    target_names,
    tool_versions,
)

VENDORS = ("onnxruntime", "openvino", "nncf", "ai_edge_litert", "ai_edge_quantizer", "onnx", "torch")


def device(*targets):
    return Device("board", "A board", targets, Cpu("aarch64"))


@pytest.mark.parametrize("name", target_names())
def test_a_target_says_what_it_is(name):
    target = load_target(name)
    assert target.name == name
    assert target.title
    assert target.formats, "a target reads some format"
    assert set(target.formats) <= {"onnx", "tflite", "pt2"}
    if name not in ("tflite_micro", "tvm_fpga"):  # integer kernels only
        assert target.precisions[0] == "fp32", "what can run in fp32 has it first, because it is the default"
    assert set(target.precisions) <= set(PRECISIONS)
    assert set(target.calibrators) <= set(CALIBRATORS)
    assert "minmax" in target.calibrators or not set(target.precisions) & set(CALIBRATED), "what quantizes calibrates"


@pytest.mark.parametrize("name", target_names())
def test_versions_are_those_of_what_is_installed(name):
    target = load_target(name)
    assert missing_packages(target) == []
    versions = tool_versions(target)
    programs = {*target.programs, *target.helpers}
    assert set(versions) == {*target.packages, *programs}
    assert all(versions[package] == installed_version(package) for package in target.packages)
    here = [version for name, version in versions.items() if name not in programs or shutil.which(name)]
    assert all(any(sign.isdigit() for sign in version) for version in here), versions


def test_loading_every_target_imports_no_vendor_package():
    code = f"""
import sys
from targets.registry import load_target, target_names
[load_target(name) for name in target_names()]
print([name for name in {VENDORS!r} if sys.modules.get(name)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", "vendor packages are imported inside the methods that need them"


def test_an_unknown_target_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError) as caught:
        load_target("onnxruntim")
    assert "onnxruntime" in caught.value.next_step
    assert caught.value.allowed == ", ".join(target_names())


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    real = registry.installed_version
    monkeypatch.setattr(registry, "installed_version", lambda name: None if name == "nncf" else real(name))
    target = load_target("openvino")
    with pytest.raises(MissingToolError) as caught:
        require_packages(target)
    assert "nncf" in caught.value.seen
    assert "openvino" not in caught.value.seen, "only what is missing is named"
    assert caught.value.next_step == "run: pip install 'edgewright[openvino]'"
    assert tool_versions(target)["nncf"] == "not installed"
    require_packages(load_target("null"))


def test_the_default_target_reads_the_format_at_hand():
    assert default_target(device("litert", "onnxruntime"), ("onnx",)) == "onnxruntime"
    assert default_target(device("litert", "onnxruntime"), ("onnx", "tflite")) == "litert"
    assert default_target(device("another", "openvino"), ("onnx",)) == "openvino", "others are not in this release"


def test_a_target_made_for_a_format_comes_before_one_that_also_reads_it():
    assert default_target(device("openvino", "litert"), ("tflite",)) == "litert"


@pytest.mark.parametrize(
    ("targets", "hint"), [(("onnxruntime",), "target ="), (("another",), "edgewright targets"), ((), "targets")]
)
def test_a_device_that_nothing_serves_is_refused(targets, hint):
    with pytest.raises(ConfigError) as caught:
        default_target(device(*targets), ("tflite",))
    assert hint in caught.value.next_step


def test_the_target_that_makes_a_devices_circuit():
    assert registry.hardware_target(device("tvm_cpu", "another", "tvm_fpga")).name == "tvm_fpga"
    with pytest.raises(UnsupportedError) as caught:
        registry.hardware_target(device("onnxruntime"))
    assert "a finished chip" in caught.value.seen and "tvm_fpga" in caught.value.allowed


def test_other_targets_make_no_circuits():
    for name in target_names():
        target = load_target(name)
        if not target.hardware:
            with pytest.raises(UnsupportedError, match="circuit of board"):
                target.synthesize(device(name), None, lambda tool, stage: None)
