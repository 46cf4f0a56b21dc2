"""The trainer: small, deterministic by seed, resumable. Importing it loads no torch.

``python -m toolchain.frontend.train --help`` trains a model from the command line.
"""

from __future__ import annotations

from toolchain.frontend.train.evaluation import evaluate, reconstruction_error
from toolchain.frontend.train.loop import TrainResult, train

__all__ = ["TrainResult", "evaluate", "reconstruction_error", "train"]
