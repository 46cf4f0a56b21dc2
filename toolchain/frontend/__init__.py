"""The frontend: model zoo, data sets, trainer and model loading.

Importing this package, and every module in it but the networks themselves, loads no torch:
torch is imported inside the functions that need it.
"""

from __future__ import annotations

from toolchain.frontend.specs import DataSpec, InputSpec, ModelSpec, Progress, TrainSpec
from toolchain.frontend.zoo import ZOO, ZooEntry, zoo_entry

__all__ = ["ZOO", "DataSpec", "InputSpec", "ModelSpec", "Progress", "TrainSpec", "ZooEntry", "zoo_entry"]
