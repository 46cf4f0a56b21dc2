"""Which multiple of channels the kernels of a device like, and who says so."""

from __future__ import annotations

from profiles.device import Device
from toolchain.compress.rounding import Rounding
from toolchain.project.device_section import DeviceEntry
from toolchain.project.models import Project

#: CMSIS-NN's int8 convolutions unroll over 4 output channels with MVE (arm_nn_mat_mult_nt_t_s8), over 2 with DSP.
CORTEX_M = Rounding(4, "CMSIS-NN computes output channels up to four at a time")
#: ONNX Runtime, MlasNchwcGetBlockSize: 16 with AVX-512, 8 with AVX; oneDNN (OpenVINO, PyTorch), "Understanding memory
#: formats": nChw16c and nChw8c. A ResNet-like network of 0.6 M MACs ran 2.7 times faster with 16, 16, 48, 48 channels
#: than with 11, 23, 45, 44 of about as many MACs (ONNX Runtime, fp32, one thread of an AVX-512 machine).
AVX512 = Rounding(16, "x86 kernels lay channels out in blocks of 16 (AVX-512)")
AVX = Rounding(8, "x86 kernels lay channels out in blocks of 8 (AVX)")
#: XNNPACK's tiles for AArch64 are 8 channels wide (f32-gemm 6x8, qs8-gemm 4x8 and 4x16).
NEON = Rounding(8, "kernels for AArch64 compute tiles of 8 channels (XNNPACK)")
#: NVIDIA, "Matrix multiplication background user's guide": tensor cores want multiples of 16 bytes; 8 numbers in fp16.
TENSOR_CORES = Rounding(8, "tensor cores want multiples of 8 numbers in fp16")
ANY = Rounding(1, "no multiple is known to be faster")
_GPU_TARGET, _PACKED = "tensorrt", ("fp16", "bf16", "fp8", "int8", "int4")


def rounding(project: Project, device: str | None) -> Rounding:
    """For one device entry; None means the project's first one. What ``[compress]`` says comes first."""
    if project.compress.round_to is not None:
        return Rounding(project.compress.round_to, "compress.round_to", fixed=True)
    entry = next((e for e in project.devices if device in (None, e.name)), None)
    return ANY if entry is None else _of_entry(entry, entry.device())


def _of_entry(entry: DeviceEntry, device: Device) -> Rounding:
    if (entry.target or next(iter(device.targets), "")) == _GPU_TARGET:
        return TENSOR_CORES if entry.precision in _PACKED else ANY
    isa = device.cpu.isa
    if isa.startswith(("armv6-m", "armv7-m", "armv7e-m", "armv8-m", "armv8.1-m")):
        return CORTEX_M
    if isa.startswith("armv"):
        return NEON
    if isa.startswith("x86-64"):
        return AVX512 if "avx512f" in device.cpu.features else AVX
    return ANY
