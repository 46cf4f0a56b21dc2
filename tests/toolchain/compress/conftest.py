"""Methods of the tests' own in the catalogue, and data that a small network learns."""

import numpy as np
import pytest


@pytest.fixture
def fakes(monkeypatch):
    """The module with the tests' methods; they are in the catalogue, and nothing else is."""
    pytest.importorskip("torch", reason="compression works on torch modules")
    from tests.toolchain.compress import fakes as module
    from toolchain.compress import catalogue

    monkeypatch.setattr(catalogue, "all_methods", lambda: module.METHODS)
    module.CALLS.clear()
    return module


@pytest.fixture
def blobs(tmp_path):
    """Three classes of 4 numbers that lie apart: (48 samples for training, 12 for testing)."""
    from toolchain.frontend.data import load_data
    from toolchain.frontend.specs import DataSpec, InputSpec

    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    values = random.standard_normal((60, 4)) * 0.2 + np.eye(4)[labels] * 2
    np.savez(tmp_path / "blobs.npz", x=values.astype(np.float32), y=labels)
    return load_data(DataSpec(f"npz:{tmp_path / 'blobs.npz'}", calibration=8), InputSpec((1, 4), "NC", name="x"))
