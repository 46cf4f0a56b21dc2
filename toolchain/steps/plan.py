"""What is to be built for one device: target, format, precision, and whether that is possible at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from profiles.device import Device
from profiles.errors import ConfigError, UnsupportedError
from profiles.machine import describe, snapshot
from profiles.measurement import Metric, as_simulated, as_stand_in
from profiles.profiler import Profile, not_run
from profiles.sampling import Settings
from targets.artifact import Artifact, load_artifact
from targets.base import CALIBRATED, QUANTIZED, ExportedModel, Scheme, SupportReport
from targets.measure import APART, profile_bundle, state_is_device, verify_bundle, write_profile
from targets.registry import BASELINE, default_target, load_target, require_packages
from toolchain.progress import Progress
from toolchain.project.device_section import DeviceEntry
from toolchain.project.models import Project
from toolchain.steps.bundle import BundleJob
from toolchain.steps.figures import EMULATOR
from toolchain.steps.planned import planned, with_planned
from toolchain.steps.source import ModelSource

#: What executes a bundle here when its device is not a machine like this one.
SIMULATORS = {"qemu": "QEMU", "serial": "QEMU", "rtl": "RTL simulation"}


@dataclasses.dataclass(frozen=True)
class Plan:
    """One entry of the project with everything decided.

    Attributes:
        entry: as the project has it.
        device: with overrides; ``threads`` among its parameters.
        target: its name.
        format: of the file that the target will read.
        scheme: precision and calibration.
        companion: nobody asked for it; see ``toolchain/steps/companions.py``.
    """

    entry: DeviceEntry
    device: Device
    target: str
    format: str
    scheme: Scheme
    companion: bool = False

    @property
    def name(self) -> str:
        """Of the bundle's folder."""
        return self.entry.name

    @property
    def precision(self) -> str:
        """Of the bundle."""
        return self.scheme.precision

    def support(self, model: ExportedModel) -> SupportReport:
        """What the target will do with the model."""
        return load_target(self.target).support(self.only_format(model), self.device, self.precision)

    def job(self, source: ModelSource, model: ExportedModel) -> BundleJob:
        """The work order."""
        mine = self.only_format(model)
        needs_samples = self.precision in CALIBRATED and model.precision not in QUANTIZED
        calibration = source.data.calibration if needs_samples and source.data else None
        facts = {"source": source.project.model.source.text, "weights": source.project.weights_origin}
        return BundleJob(mine, self.target, self.device, self.scheme, calibration, facts, optional=self.companion)

    def only_format(self, model: ExportedModel) -> ExportedModel:
        """The model with just the file that the target will read."""
        return dataclasses.replace(
            model,
            onnx=model.onnx if self.format == "onnx" else None,
            tflite=model.tflite if self.format == "tflite" else None,
            pt2=model.pt2 if self.format == "pt2" else None,
        )

    def profile(self, folder: Path, settings: Settings, progress: Progress) -> Profile:
        """Measure the bundle here, or where the entry says, and write ``profile.json`` and what lies beside it.

        Raises:
            VerificationError: the machine that the entry names computes something else than this one did.
            UnreachableError: it does not answer.
        """
        via = self.entry.via or ""
        with progress.step(f"profile {self.name}{f' on {via}' if via else ''}") as step:
            artifact = load_artifact(folder)
            profile = self._measured(artifact, settings, via, step.update)
        write_profile(folder, profile)
        return profile

    def _measured(
        self, artifact: Artifact, settings: Settings, via: str, update: Callable[[int, int], None]
    ) -> Profile:
        if artifact.not_run and not via:
            return not_run(planned(artifact), artifact.not_run, settings)
        if via:  # here, the golden outputs were computed by this engine a moment ago
            verify_bundle(artifact, via=via)
        return with_planned(profile_bundle(artifact, settings, via=via, progress=update), planned(artifact))

    def as_run(self, metrics: Mapping[str, Metric]) -> dict[str, Metric]:
        """Figures obtained by running the bundle on this machine, marked as stand-ins where it is not the device."""
        if load_target(self.target).absent(self.device):
            return {name: as_simulated(metric, EMULATOR) for name, metric in metrics.items()}
        if self.device.reach in APART:
            return {name: as_simulated(metric, SIMULATORS[self.device.reach]) for name, metric in metrics.items()}
        state = snapshot()
        if state_is_device(self.device.as_dict(), state):
            return dict(metrics)
        return {name: as_stand_in(metric, describe(state)) for name, metric in metrics.items()}


def make_plans(project: Project, source: ModelSource, *, calibrate: bool = True) -> list[Plan]:
    """One plan per device entry; ``calibrate`` is False where nothing will be quantized, only asked.

    Raises:
        ConfigError: there is no entry, and whatever :func:`make_plan` raises.
    """
    if not project.devices:
        raise ConfigError(
            "wanted a device to build for",
            seen="no [[device]] entry in the project",
            next_step='add an entry, such as [[device]] with profile = "local-cpu", or give --device local-cpu',
        )
    return [make_plan(entry, project, source, calibrate=calibrate) for entry in project.devices]


def make_plan(entry: DeviceEntry, project: Project, source: ModelSource, *, calibrate: bool = True) -> Plan:
    """Decide target and format, and refuse what cannot work before anything long is started.

    Raises:
        ConfigError: int8 without calibration samples, or a precision that the model is not in.
        UnsupportedError: the target lacks the precision, the calibrator or the format.
        MissingToolError: the target's packages are not installed.
    """
    device = entry.device()
    name = entry.target or default_target(device, source.formats)
    target = load_target(name)
    require_packages(target)
    formats = [known for known in target.formats if known in source.formats]
    if not formats:
        raise UnsupportedError(
            f"{entry.name}: the target '{name}' cannot read '{project.model.source.text}'",
            seen=f"a model in {' or '.join(source.formats)}",
            allowed=" or ".join(target.formats),
            next_step="choose another target, or start from the torch model, which is exported to either format",
        )
    _check_precision(entry, target.name, target.precisions, source.precision)
    if calibrate and entry.precision in CALIBRATED and source.precision not in QUANTIZED:
        _check_calibration(entry, name, target.calibrators, source)
    parameters = {**device.parameters, "threads": entry.threads or 1}
    if name == BASELINE and project.baseline is not None and project.baseline.compiled:
        parameters["torch_compile"] = True
    return Plan(
        entry, dataclasses.replace(device, parameters=parameters), name, formats[0], _scheme(entry, project, device)
    )


def _scheme(entry: DeviceEntry, project: Project, device: Device) -> Scheme:
    """The project's; what accuracy may be lost is told only where something is searched for by it."""
    searches = device.parameters.get("placement") == "search"
    return dataclasses.replace(project.scheme(entry), allowed_drop=entry.budget.accuracy_drop if searches else None)


def _check_precision(entry: DeviceEntry, target: str, allowed: tuple[str, ...], given: str) -> None:
    if entry.precision not in allowed:
        raise UnsupportedError(
            f"{entry.name}: the target '{target}' has no such precision",
            seen=entry.precision,
            allowed=", ".join(allowed),
        )
    if given == "int8" and entry.precision != "int8":
        raise ConfigError(
            f"{entry.name}: the model is quantized already",
            seen=f'precision = "{entry.precision}"',
            allowed="int8",
            next_step='set precision = "int8", or start from the float model',
        )


def _check_calibration(entry: DeviceEntry, target: str, calibrators: tuple[str, ...], source: ModelSource) -> None:
    if source.data is None:
        raise ConfigError(
            f"{entry.name}: {entry.precision} from a float model needs calibration samples",
            seen="no data",
            next_step="add [data] to the project, or give --data parquet:DIR, folder:DIR or npz:FILE; "
            "--data random is for smoke tests only",
        )
    if entry.calibrator not in calibrators:
        raise UnsupportedError(
            f"{entry.name}: the target '{target}' has no such calibrator",
            seen=entry.calibrator,
            allowed=", ".join(calibrators),
            next_step=f'set calibrator = "{calibrators[0]}" under this [[device]]',
        )


def refuse_unsupported(report: SupportReport) -> None:
    """Turn a negative verdict into an error.

    Raises:
        UnsupportedError: with the first reasons.
    """
    if report.ok:
        return
    reasons = report.blockers()
    more = f" (and {len(reasons) - 3} more)" if len(reasons) > 3 else ""
    raise UnsupportedError(
        f"'{report.device}' with {report.target} in {report.precision}: the model is not supported",
        seen="; ".join(reasons[:3]) + more,
        next_step="run: edgewright support MODEL "
        f"--device {report.device} --target {report.target} --precision {report.precision}",
    )
