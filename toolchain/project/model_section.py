"""``[model]``: the model, its inputs, and what its outputs mean."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, StrictFloat, StrictInt, model_validator

from toolchain.project.common import Frozen, ProjectPath, SafeName, problem
from toolchain.project.sources import MODEL_FORMS, SOURCE_KINDS, ModelSourceText

Layout = Literal["NCHW", "NHWC", "NC", ""]
Task = Literal["classification", "regression", "reconstruction", "none"]
Dimension = Annotated[StrictInt, Field(ge=1, lt=2**31)]
Positive = Annotated[StrictFloat, Field(gt=0)]


class InputSpec(Frozen):
    """One input of the model, and how raw values become what it takes: (raw / scale - mean) / std."""

    name: str = Field(
        default="", description="Name of the input. Needed when there are several; default: as the model says."
    )
    shape: tuple[Dimension, ...] | None = Field(
        default=None,
        min_length=1,
        description="All dimensions, batch first, such as [1, 3, 32, 32]. Default: as the model says.",
    )
    layout: Layout = Field(
        default="",
        description="What the axes mean, one letter each. Default: NCHW for images (in .tflite files NHWC).",
    )
    scale: Positive | None = Field(
        default=None,
        description="Raw values are divided by it first. Default: 255 for 8-bit images, 1 for real numbers.",
    )
    mean: tuple[StrictFloat, ...] = Field(
        default=(), description="Subtracted after the division: one number, or one per channel. Default: 0."
    )
    std: tuple[Positive, ...] = Field(
        default=(), description="What is left is divided by it: one number, or one per channel. Default: 1."
    )

    @model_validator(mode="after")
    def _layout_fits(self) -> InputSpec:
        if self.layout and self.shape and len(self.layout) != len(self.shape):
            raise problem(
                "does not fit the shape",
                seen=f'"{self.layout}" with {len(self.shape)} dimensions',
                allowed="one letter per dimension",
                at=("layout",),
            )
        return self

    @model_validator(mode="after")
    def _one_per_channel(self) -> InputSpec:
        channels = self.channels
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) > 1 and channels is not None and len(values) != channels:
                allowed = f"1 number, or {channels}, one per channel"
                raise problem("does not fit the channels", seen=f"{len(values)} numbers", allowed=allowed, at=(key,))
        return self

    @property
    def channels(self) -> int | None:
        """Length of the channel axis, or None where shape and layout do not tell."""
        return self.shape[self.layout.index("C")] if self.shape and self.layout else None


def _several(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Inputs = Annotated[tuple[InputSpec, ...], BeforeValidator(_several, json_schema_input_type=InputSpec | list[InputSpec])]


def _default_name(checked: dict[str, Any]) -> str:
    """Of the source; when that was refused, the name no longer matters."""
    return checked["source"].default_name if "source" in checked else "model"


class ModelSection(Frozen):
    """The model: where it comes from, what goes in, what comes out."""

    source: ModelSourceText = Field(description=f"Where the model comes from: {MODEL_FORMS}.")
    name: SafeName = Field(
        default_factory=_default_name,
        description="Name for reports and file names. Default: taken from the source.",
    )
    weights: ProjectPath | None = Field(
        default=None,
        description="File with trained weights for a zoo: or module:callable source, relative to this file.",
    )
    arguments: dict[str, JsonValue] = Field(
        default_factory=dict, description="Keyword arguments for a module:callable source."
    )
    input: Inputs = Field(
        default=(),
        description="The input, or a list of them. Default: as the model says; dynamic dimensions must be fixed.",
    )
    task: Task = Field(
        default="classification", description='What the outputs are judged by; with "none" accuracy is unavailable.'
    )
    classes: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Number of classes. Default: the number of labels, else as the data says."
    )
    labels: tuple[str, ...] = Field(default=(), description="Names of the classes, in the order of the outputs.")

    @model_validator(mode="after")
    def _keys_fit_the_source(self) -> ModelSection:
        takers = {"weights": ("zoo", "callable"), "arguments": ("callable",)}
        for key, kinds in takers.items():
            if getattr(self, key) and self.source.kind not in kinds:
                raise problem(
                    f"goes with a {' or '.join(SOURCE_KINDS[kind] for kind in kinds)} source only",
                    seen=f'source = "{self.source.text}"',
                    next_step=f"remove '{key}', or change the source",
                    at=(key,),
                )
        return self

    @model_validator(mode="after")
    def _inputs_are_told_apart(self) -> ModelSection:
        names = [spec.name for spec in self.input]
        for index, name in enumerate(names):
            if len(names) > 1 and (not name or name in names[:index]):
                what = "needs a name of its own, because there are several inputs"
                raise problem(what, seen=repr(name), at=("input", index, "name"))
        return self

    @model_validator(mode="after")
    def _labels_fit_classes(self) -> ModelSection:
        if self.labels and self.classes is not None and len(self.labels) != self.classes:
            seen = f"{len(self.labels)} labels, classes = {self.classes}"
            raise problem("does not fit the number of classes", seen=seen, at=("labels",))
        return self
