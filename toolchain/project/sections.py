"""``[data]``, ``[train]``, ``[compress]``, ``[quantize]``, ``[budget]`` and ``[baseline]``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, model_validator

from toolchain.project.common import Bytes, Fraction, Frozen, Joules, Seconds, problem
from toolchain.project.sources import DATA_FORMS, DataSourceText
from toolchain.project.steps import StepTable

Calibrator = Literal["minmax", "percentile", "entropy", "mse"]
Count = Annotated[StrictInt, Field(ge=1, lt=2**31)]
Seed = Annotated[StrictInt, Field(ge=0, lt=2**32)]
Share = Annotated[StrictFloat, Field(gt=0, lt=1)]
_Wide = Literal["fp32", "fp16", "bf16"]
BaselinePrecisions = Annotated[
    tuple[_Wide, ...],
    BeforeValidator(
        lambda value: [value] if isinstance(value, str) else value,
        json_schema_input_type=_Wide | Annotated[list[_Wide], Field(min_length=1)],
    ),
    Field(min_length=1),
]
NotNegative = Annotated[StrictFloat, Field(ge=0)]
Batch = Annotated[StrictInt, Field(ge=2, le=1_000_000)]
Momentum = Annotated[StrictFloat, Field(gt=0, lt=1)]
Threads = Annotated[StrictInt, Field(ge=0, le=1024)]
TrainPrecision = Literal["auto", "fp32", "bf16"]


class DataSection(Frozen):
    """The samples: where they come from, how they are split, how many calibrate and test."""

    source: DataSourceText = Field(
        description=f"Where samples come from: {DATA_FORMS}. Paths are relative to this file."
        ' "random" is for smoke tests and makes accuracy unavailable.'
    )
    calibration: Count = Field(default=128, description="Number of training samples that set the quantization ranges.")
    train: Count | None = Field(default=None, description="How many training samples to use at most. Default: all.")
    test: Count | None = Field(default=None, description="How many test samples to evaluate at most. Default: all.")
    seed: Seed = Field(default=0, description="Seed of the splits and draws.")
    test_fraction: Share = Field(
        default=0.2, description="Share set aside for testing where the data set has no such split of its own."
    )
    image_column: str | None = Field(
        default=None,
        min_length=1,
        description="parquet: the column with image bytes. Default: found by its usual names.",
    )
    label_column: str | None = Field(
        default=None,
        min_length=1,
        description="parquet: the column with labels. Default: found by its usual names.",
    )

    @model_validator(mode="after")
    def _columns_are_of_parquet(self) -> DataSection:
        for key in ("image_column", "label_column"):
            if getattr(self, key) and self.source.kind != "parquet":
                seen = f'source = "{self.source.text}"'
                raise problem("goes with a parquet: source only", seen=seen, next_step=f"remove '{key}'", at=(key,))
        return self


class TrainSection(Frozen):
    """Training. Without this section nothing is trained: weights are given, or random, and reports say which."""

    epochs: Annotated[StrictInt, Field(ge=1, le=100_000)] = Field(
        default=10, description="Passes over the training samples."
    )
    batch: Batch = Field(default=128, description="Samples per step.")
    lr: Annotated[StrictFloat, Field(gt=0)] = Field(default=0.1, description="Highest learning rate of the one cycle.")
    momentum: Momentum = Field(default=0.9, description="Momentum of SGD.")
    weight_decay: NotNegative = Field(default=5e-4, description="Weight decay.")
    label_smoothing: Annotated[StrictFloat, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Share of the target that is spread over all classes."
    )
    seed: Seed = Field(default=0, description="Seed of the first weights, of the order of samples and of augmentation.")
    precision: TrainPrecision = Field(
        default="auto",
        description='Number format of the arithmetic; "auto" takes bf16 where the processor has instructions for it.',
    )
    threads: Threads = Field(
        default=1, description="Threads to train with; 0 takes all cores. Weights depend on it in their last bits."
    )
    augment: StrictBool = Field(default=False, description="Vary training images at random.")


class CompressSection(Frozen):
    """Compression of the trained model; may be written as a list of steps, where nothing else is set.

    What is left open of the training comes from ``[train]`` where there is one.
    """

    steps: tuple[StepTable, ...] = Field(
        default=(), description='Steps in order, each a table with one key: [{ STEP = { option = "value" } }].'
    )
    seed: Seed | None = Field(default=None, description="Seed of all that is drawn. Default: that of [train], else 0.")
    torch_device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="Where PyTorch trains and scores; models are measured on their own devices anyway."
    )
    round_to: Annotated[StrictInt, Field(ge=1, le=256)] | None = Field(
        default=None,
        description="Channel counts are multiples of this. Default: what the kernels of the step's device like.",
    )
    batch: Batch | None = Field(default=None, description="Samples per step. Default: of [train], else 128.")
    momentum: Momentum | None = Field(default=None, description="Momentum of SGD. Default: of [train], else 0.9.")
    weight_decay: NotNegative | None = Field(
        default=None, description="Weight decay. Default: of [train], else 0.0005."
    )
    precision: TrainPrecision | None = Field(
        default=None, description='"bf16" needs hardware for it. Default: of [train], else "auto".'
    )
    threads: Threads | None = Field(
        default=None, description="Threads to train with; 0 takes all cores. Default: of [train], else 1."
    )
    augment: StrictBool | None = Field(
        default=None, description="Vary training images at random. Default: of [train], else false."
    )


def _steps_alone(value: Any) -> Any:
    return {"steps": value} if isinstance(value, list | tuple) else value


CompressTable = Annotated[
    CompressSection,
    BeforeValidator(_steps_alone, json_schema_input_type=CompressSection | list[StepTable]),
]


class QuantizeSection(Frozen):
    """How int8 entries are quantized."""

    calibrator: Calibrator = Field(default="minmax", description="How ranges are found from the calibration samples.")
    percentile: Annotated[StrictFloat, Field(gt=50, le=100)] = Field(
        default=99.99, description="In percent, for the percentile calibrator."
    )
    per_channel: StrictBool = Field(default=True, description="Whether weights have one scale per output channel.")


class Budget(Frozen):
    """Limits that a bundle is checked against; in code in SI base units (s, B, J, 1)."""

    accuracy_drop: Fraction | None = Field(
        default=None, description='Accuracy lost against the float model before compression, at most: "0.5 %" or 0.005.'
    )
    latency: Seconds | None = Field(default=None, description='Time of one inference (median), at most: "5 ms".')
    ram: Bytes | None = Field(default=None, description='Working memory, at most: "256 KiB".')
    flash: Bytes | None = Field(default=None, description='Code and weights in flash, at most: "1 MiB".')
    energy: Joules | None = Field(default=None, description='Energy of one inference, at most: "2 mJ".')
    size: Bytes | None = Field(default=None, description='Model files, at most: "500 kB".')

    def merged(self, other: Budget) -> Budget:
        """This budget, with the limits that ``other`` sets in place of its own."""
        return self.model_copy(update=other.model_dump(exclude_none=True))


class BaselineSection(Frozen):
    """Bundles for plain PyTorch beside those of every device that can run it, to compare every figure with."""

    precision: BaselinePrecisions = Field(
        default=("fp32",),
        description="Number format, or a list of them; the first one is what other bundles are compared with.",
    )
    compiled: StrictBool = Field(
        default=False, description="Also measure what torch.compile makes of it: up to a minute more per bundle."
    )
