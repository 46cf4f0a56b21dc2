"""The contracts between the toolchain and its backends.

A backend is a :class:`Target` with four verbs, each usable alone. What goes in is an
:class:`ExportedModel`; what comes out is an artifact folder (``targets/artifact.py``).
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from profiles.device import PRECISIONS, Device
from profiles.errors import ConfigError, UnsupportedError
from profiles.measurement import Metric
from profiles.runner import Array, Arrays, Counters, Runner

#: Precisions whose values are integers or 8-bit floats with a scale, and those that need samples to find it.
QUANTIZED = ("fp8", "int8", "int4")
CALIBRATED = ("fp8", "int8")


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: as the model file calls it.
        shape: all dimensions fixed.
        dtype: numpy name of what the engine takes (``float32``, ``int8``, ``int64``).
        layout: such as ``NCHW``, ``NHWC``, ``NC``; empty where axes have no agreed meaning.
        meaning: ``image``, ``logits``, ``features``; free text.
        scale, zero_point: for quantized tensors, real = scale * (q - zero_point), per tensor
            (Jacob et al. 2018, equation 1).
        mean, std: the normalisation that turned raw values into the real ones: (raw - mean) / std.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    layout: str = ""
    meaning: str = ""
    scale: float | None = None
    zero_point: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the manifest."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TensorSpec:
        """The inverse of :meth:`as_dict`."""
        lists = {key: tuple(data[key]) for key in ("shape", "mean", "std") if key in data}
        return cls(**{**data, **lists})


@dataclasses.dataclass(frozen=True)
class Scheme:
    """How to quantize.

    Attributes:
        precision: of :data:`profiles.device.PRECISIONS`.
        calibrator: ``minmax``, ``percentile``, ``entropy`` or ``mse`` (``targets/calibration.py``).
        percentile: in percent, for the percentile calibrator.
        per_channel: weights have one scale per output channel (Krishnamoorthi 2018, section 3.1).
        allowed_drop: of accuracy, as a share of 1, where the project's budget says so.
    """

    precision: str = "fp32"
    calibrator: str = "minmax"
    percentile: float = 99.99
    per_channel: bool = True
    allowed_drop: float | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError("unknown precision", seen=repr(self.precision), allowed=", ".join(PRECISIONS))


#: Samples in the model's canonical form: float (or integer) arrays keyed by input name, batch axis included.
CalibrationSet = Sequence[Arrays]


@dataclasses.dataclass(frozen=True)
class ExportedModel:
    """A model as files, with what is known of its numbers.

    Attributes:
        name: for people and file names.
        inputs, outputs: canonical form, in the layout of the source, real (not quantized) values.
        onnx, tflite, pt2: the files; a backend takes the one it understands. ``pt2`` is a program of ``torch.export``.
        native: a backend's own file, where its quantizer writes neither ONNX nor TFLite.
        tflite_channel_last: names of inputs and outputs that the TFLite file takes with the
            channel axis last although the canonical form has it second.
        golden_inputs: canonical inputs, keyed by name, batch axis of the model's own size,
            stacked on a new first axis (number of golden samples).
        golden_outputs: what the float reference computes on them, same stacking.
        reference: how the float reference was run, in words.
        precision: of the files.
        float_onnx, float_tflite, float_native: the float files that a quantized model came from.
        notes: facts for the manifest (dialect, calibrator, samples).
        records: what making it found out, as plain data for the manifest (a search and its candidates).
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    onnx: Path | None = None
    tflite: Path | None = None
    pt2: Path | None = None
    native: Path | None = None
    tflite_channel_last: tuple[str, ...] = ()
    golden_inputs: Arrays = dataclasses.field(default_factory=dict)
    golden_outputs: Arrays = dataclasses.field(default_factory=dict)
    reference: str = ""
    precision: str = "fp32"
    float_onnx: Path | None = None
    float_tflite: Path | None = None
    float_native: Path | None = None
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    records: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def golden_sample(self, index: int) -> dict[str, Array]:
        """The inputs of one golden sample."""
        return {name: stack[index] for name, stack in self.golden_inputs.items()}


class Verdict(str, enum.Enum):
    """What a target does with one operator."""

    NATIVE = "native"  # in the engine's own kernels, in the precision asked for
    FALLBACK = "fallback"  # runs, but elsewhere or in another precision; the note says where and why
    UNSUPPORTED = "unsupported"  # the note says which constraint, the value seen and the value allowed

    def __str__(self) -> str:
        return self.value


@dataclasses.dataclass(frozen=True)
class OpSupport:
    """The verdict on one operator of the graph."""

    name: str
    op: str
    verdict: Verdict
    note: str = ""


@dataclasses.dataclass(frozen=True)
class SupportReport:
    """What a target will do with a model on a device, before anything is compiled.

    Attributes:
        target, device, precision: what was asked.
        ops: one row per operator, in graph order.
        problems: what stops the model as a whole (dynamic axes, no file in a format that the
            target reads, a precision that the engine does not have).
        weights_bytes: of all constants as stored.
        memory: sentences on whether it fits.
        notes: further sentences: who was asked, and what a part of the hardware could take.
    """

    target: str
    device: str
    precision: str
    ops: tuple[OpSupport, ...] = ()
    problems: tuple[str, ...] = ()
    weights_bytes: int | None = None
    memory: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the model can be compiled."""
        return not self.problems and all(op.verdict is not Verdict.UNSUPPORTED for op in self.ops)

    def blockers(self) -> list[str]:
        """Sentences on everything that stops the model."""
        ops = [f"{op.op} '{op.name}': {op.note}" for op in self.ops if op.verdict is Verdict.UNSUPPORTED]
        return [*self.problems, *ops]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        data = dataclasses.asdict(self)
        data["ok"] = self.ok
        data["ops"] = [{**dataclasses.asdict(op), "verdict": op.verdict.value} for op in self.ops]
        return data


@dataclasses.dataclass(frozen=True)
class LayerError:
    """Float against quantized, for one tensor. ``sqnr`` in dB, ``max_error`` in the tensor's real unit."""

    name: str
    op: str
    sqnr: float | None
    max_error: float


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What ``compile`` made: files below its folder, and how the engine sees inputs and outputs.

    Attributes:
        files: the model files that the runner needs, relative to the folder.
        inputs, outputs: in the engine's own layout and dtype, in the order of the canonical ones.
        options: what the runner must set (threads, precision hint), as JSON data.
        unreproducible: file name to the reason why it cannot be byte-identical.
    """

    files: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    unreproducible: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Hardware:
    """What came of :meth:`Target.synthesize`.

    Attributes:
        folder: the files: sources, scripts, logs, what configures the device.
        status: in words, such as ``placed and routed`` or ``built, not run``.
        cached: nothing was done: an equal call before had left it.
        metrics: figures of the circuit; empty where no tool has seen it.
        facts: in words: the part, the tools.
    """

    folder: Path
    status: str
    cached: bool
    metrics: Mapping[str, Metric] = dataclasses.field(default_factory=dict)
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        metrics = {name: metric.as_dict() for name, metric in self.metrics.items()}
        return {**dataclasses.asdict(self), "folder": str(self.folder), "metrics": metrics, "facts": dict(self.facts)}


class Target(Protocol):
    """A backend: four verbs, and what the toolchain must know before it calls them.

    The runner lives in ``targets/NAME/runner.py`` as ``open_runner(folder, compiled, device)``, apart
    from the rest of the backend, because it alone travels to the device.

    Attributes:
        name: in the registry and in ``edge.toml``.
        title: one line for people.
        formats: files it reads, best first: ``onnx``, ``tflite``, ``pt2``.
        precisions: that it can compile.
        calibrators: that its quantizer understands.
        packages: Python distributions whose versions go into the manifest and the cache key.
        programs: commands that it runs, with the package that installs each on Debian; their versions go there too.
        resources: folders beside the Python sources that bundles are made from.
        side_by_side: precisions of which a build makes and shows all when it makes one, because none is always fastest.
        exploits: patterns of zeros in weights that it can skip, on some device at least (``2:4``). All other zeros are
            computed and stored like any number; what holds for a device, ``support`` says (``targets/sparsity.py``).
        helpers: like ``programs``, but bundles are made without them too, and say then what is missing.
        hardware: whether it makes the circuit that its bundles run on, see :meth:`synthesize`.
    """

    name: str
    title: str
    formats: tuple[str, ...]
    precisions: tuple[str, ...]
    calibrators: tuple[str, ...]
    packages: tuple[str, ...]
    programs: Mapping[str, str]
    resources: tuple[Path, ...]
    side_by_side: tuple[str, ...]
    exploits: frozenset[str]
    helpers: Mapping[str, str]
    hardware: bool

    def absent(self, device: Device) -> str:
        """Why this machine cannot run bundles for that device, not even as a stand-in; empty when it can.

        Golden outputs and accuracy then come from the target's emulator, ``targets/NAME/emulate.py``, and the manifest
        says "compiled, not run".
        """
        ...

    def static_counters(self, folder: Path, compiled: Compiled) -> Counters:
        """What the compiled files alone tell, without running them; for bundles that this machine cannot run."""
        ...

    def support(self, model: ExportedModel, device: Device, precision: str) -> SupportReport:
        """What would happen, operator by operator, before anything is compiled."""
        ...

    def quantize(
        self, model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
    ) -> ExportedModel:
        """The model in the precision of ``scheme``, in this engine's dialect, written below ``out``."""
        ...

    def compile(self, model: ExportedModel, device: Device, out: Path) -> Compiled:
        """The engine's own files below ``out``."""
        ...

    def runner(self, folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> Runner:
        """Load a compiled model; ``device`` is the profile as plain data, as the manifest keeps it."""
        ...

    def layer_errors(self, quantized: ExportedModel, samples: Iterable[Arrays]) -> list[LayerError]:
        """Float against quantized, tensor by tensor, on canonical inputs."""
        ...

    def synthesize(self, device: Device, out: Path | None, progress: Callable[[str, str], None]) -> Hardware:
        """The circuit for a device, from the cache or made now: ``edgewright rtl synth``.

        Args:
            device: says which circuit, and for which chip.
            out: gets a copy of the files.
            progress: is told the tool and what it does.

        Raises:
            UnsupportedError: the target makes no circuits, or none for this device.
        """
        ...


class Backend:
    """What a target has unless it says otherwise."""

    programs: Mapping[str, str] = MappingProxyType({})
    resources: tuple[Path, ...] = ()
    side_by_side: tuple[str, ...] = ()
    exploits: frozenset[str] = frozenset()
    helpers: Mapping[str, str] = MappingProxyType({})
    hardware: bool = False

    def absent(self, device: Device) -> str:
        """Nothing: another machine's engine runs here too, and its figures are stand-ins."""
        return ""

    def static_counters(self, folder: Path, compiled: Compiled) -> Counters:
        """Nothing."""
        return Counters()

    def synthesize(self, device: Device, out: Path | None, progress: Callable[[str, str], None]) -> Hardware:
        """Nothing: its bundles run on chips that are there.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(
            f"wanted the circuit of {device.name}",
            seen="its bundles run on a finished chip",
            next_step="choose an fpga device; see: edgewright devices",
        )
