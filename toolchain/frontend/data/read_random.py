"""Random samples without labels, for smoke tests: nothing about accuracy can be learned from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toolchain.frontend.data.sources import Raw
from toolchain.frontend.data.stores import ArrayStore
from toolchain.frontend.specs import DataSpec, InputSpec


def read(path: Path, data: DataSpec, spec: InputSpec) -> Raw:
    """``data.samples`` to train and calibrate and as many to test: uniform 8-bit pixels, or normal features."""
    generator = np.random.default_rng(abs(data.seed))
    shape = (2 * data.samples, *spec.sample_shape)
    if spec.is_image:
        values = generator.integers(0, 256, shape, np.uint8)
    else:
        values = generator.standard_normal(shape, np.float32)
    store = ArrayStore(values, lambda row: f"random sample {row}")
    test = np.arange(len(values)) >= data.samples
    return Raw(store, lambda row: values[row].tobytes(), None, test=test)
