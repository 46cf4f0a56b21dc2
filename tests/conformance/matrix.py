"""One cell of the conformance matrix: one case, one target, one precision, and the verdict."""

from __future__ import annotations

import dataclasses
import enum
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from conformance.cases import Case
from conformance.oracles import oracle_error
from conformance.workshop import Exports, Workshop
from profiles.errors import EdgewrightError
from profiles.runner import Array, Arrays, Counters
from targets.adapt import inputs_to_native, outputs_to_canonical
from targets.base import Compiled, ExportedModel, LayerError, Scheme, SupportReport, Target, Verdict
from targets.golden import sqnr_db
from targets.registry import load_target, target_names

#: Largest error as a share of the reference's largest magnitude, above an absolute floor of ATOL.
#: fp16 has a unit roundoff of 2^-11, bf16 of 2^-9 with 8 significant bits (Higham 2002, section 2.1);
#: a few rounded operations in a row stay within these.
RTOL = {"fp32": 1e-4, "fp16": 5e-3, "bf16": 4e-2}
ATOL = 1e-5
LEAST_SQNR_DB = 20.0


class Judgement(str, enum.Enum):
    """The three verdicts."""

    OK = "OK"
    FAIL = "FAIL"
    NOT_SUPPORTED = "NOT_SUPPORTED"

    def __str__(self) -> str:
        return self.value


@dataclasses.dataclass(frozen=True)
class Cell:
    """What came out.

    Attributes:
        reason: why not OK.
        error: largest error as a share of the reference's largest magnitude, over all outputs.
        sqnr: least signal to quantization noise ratio of all outputs in dB; None without noise.
        executed: compute layers by the precision that the engine ran them in.
        steps: largest distance to the oracle in steps of the output's scale; None without an oracle.
        fallbacks: compute operators that ``support`` said would not run in the precision asked for.
        seconds: spent on this cell alone.
    """

    case: str
    target: str
    precision: str
    judgement: Judgement
    reason: str = ""
    error: float | None = None
    sqnr: float | None = None
    executed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    steps: float | None = None
    fallbacks: int = 0
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.case}-{self.target}-{self.precision}"
