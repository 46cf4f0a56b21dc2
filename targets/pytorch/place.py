"""Where a baseline runs: on CUDA for devices with an NVIDIA GPU, else on the processor. Travels to the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from profiles.errors import MissingToolError

CPU, CUDA = "cpu", "cuda"


def place_of(device: Mapping[str, Any]) -> str:
    """By the device profile as plain data: whoever runs TensorRT has an NVIDIA GPU."""
    return CUDA if "tensorrt" in device.get("targets", ()) else CPU


def why_no_cuda() -> str:
    """Why PyTorch finds no NVIDIA GPU on this machine; empty when it does."""
    import torch

    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} was built without CUDA"
    return "" if torch.cuda.is_available() else "PyTorch finds no NVIDIA GPU, or no driver for it"


def require(place: str) -> str:
    """The place, if this machine has it.

    Raises:
        MissingToolError: it has no GPU that PyTorch can use.
    """
    if place == CUDA and (seen := why_no_cuda()):
        raise MissingToolError(
            "running this baseline needs an NVIDIA GPU",
            seen=seen,
            next_step="run it on the device: edgewright profile BUNDLE --via ssh://user@host",
        )
    return place
