"""What number formats need: the hardware, the ONNX operator set, and fp16's range."""

from __future__ import annotations

from typing import Any

import numpy as np

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.runner import Array
from targets.onnx_tools import onnx_package, opset

#: The largest finite fp16 number, the smallest normal one and the smallest one (IEEE 754-2019, binary16).
FP16_MAX = 65504.0
FP16_NORMAL = 2.0**-14
FP16_TINY = 2.0**-24
#: The operator sets in which Q/DQ nodes take fp16 scales and fp8 values, and in which they take int4 values in blocks.
FP16_SCALES = 19
INT4_BLOCKS = 21


def require_format(device: Device, precision: str) -> None:
    """Check that the device computes in a number format.

    Raises:
        UnsupportedError: naming the formats that it has.
    """
    if precision not in device.formats:
        raise UnsupportedError(
            f"wanted {precision} on {device.title}",
            seen=f"hardware without {precision}",
            allowed=", ".join(device.formats),
            next_step=f'set precision = "{_next_best(device, precision)}" under this [[device]]',
        )


def _next_best(device: Device, precision: str) -> str:
    """A format of a similar size that the device has."""
    wishes = {"fp8": ("int8", "fp16"), "int4": ("int8", "fp16")}.get(precision, ("fp16",))
    return next((name for name in wishes if name in device.formats), "fp32")


def at_least_opset(model: Any, version: int) -> Any:
    """The model in an operator set of at least this version; the model itself when it is in one already.

    Raises:
        UnsupportedError: one of its operators cannot be converted.
    """
    if opset(model) >= version:
        return model
    converter = onnx_package().version_converter
    try:
        raised = converter.convert_version(model, version)
    except Exception as error:  # the converter raises RuntimeError and its own kinds
        raise UnsupportedError(
            f"wanted the model in ONNX operator set {version}",
            seen=f"operator set {opset(model)}, which does not convert: {' '.join(str(error).split())[:200]}",
            next_step=f"export the model with opset_version = {version}",
        ) from error
    raised.ir_version = max(raised.ir_version, 10 if version >= INT4_BLOCKS else 9)
    return raised


def require_fp16_range(largest: float, where: str) -> None:
    """Check that fp16 holds a magnitude.

    Raises:
        UnsupportedError: naming where it was seen.
    """
    if not largest <= FP16_MAX:
        raise UnsupportedError(
            "wanted the network's arithmetic in fp16",
            seen=f"{largest:.3g} in {where}",
            allowed=f"magnitudes up to {FP16_MAX:,.0f}",
            next_step='set precision = "fp32" under this [[device]], or rescale this layer',
        )


def fp16_scale(scale: Array) -> Array:
    """Scales as the next fp16 numbers that are not smaller, in float32; zero becomes one.

    Rounded up, so that what was in range stays in range. Any positive scale stays positive, and one beyond fp16's range
    stays as it is.
    """
    wanted = np.where(scale > 0, scale, 1.0).astype(np.float64)
    half = np.clip(wanted, FP16_TINY, FP16_MAX).astype(np.float16)
    low = (half.astype(np.float64) < wanted) & (wanted <= FP16_MAX)
    rounded = np.where(low, np.nextafter(np.minimum(half, FP16_MAX - 32), np.float16(np.inf)), half)
    return np.where(wanted > FP16_MAX, wanted, rounded).astype(np.float32)
