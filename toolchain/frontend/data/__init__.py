"""Data sets: read, checked, split by content, normalised batch by batch. Needs no torch.

``load_data`` gives the three parts (train, calibration, test); ``data_fingerprint`` says whether
anything in the source has changed.
"""

from __future__ import annotations

from toolchain.frontend.data.dataset import DataSet, Normalisation, Splits
from toolchain.frontend.data.fingerprint import data_fingerprint
from toolchain.frontend.data.load import load_data

__all__ = ["DataSet", "Normalisation", "Splits", "data_fingerprint", "load_data"]
