"""``[[device]]``: what is written for one device, and the entries it expands to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator

from profiles import device as device_profiles
from profiles.errors import ConfigError
from profiles.suggest import did_you_mean
from targets.registry import TARGETS, load_target, target_names
from targets.serial_address import SERIAL, parse_serial
from toolchain.project.common import Frozen, SafeName, as_problem, problem
from toolchain.project.overrides import apply_overrides, flattened
from toolchain.project.sections import Budget, Calibrator

Precision = Literal["fp32", "bf16", "fp16", "fp8", "int8", "int4"]
#: Names in the output folder that are no device's.
RESERVED_NAMES = ("summary.json", "report.html")
_VIA = re.compile(r"ssh://(?:[A-Za-z0-9_][\w.-]*@)?(?:[A-Za-z0-9][\w.-]*|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?", re.ASCII)


def _check_profile(name: str) -> str:
    if name not in (known := device_profiles.device_names()):
        hint = did_you_mean(name, known) or "run: edgewright devices"
        raise problem("names no device profile", seen=repr(name), allowed=", ".join(known), next_step=hint)
    return name


def _check_target(name: str) -> str:
    if name not in (known := target_names()):
        hint = did_you_mean(name, known) or "run: edgewright targets"
        raise problem("names no target of this release", seen=repr(name), allowed=", ".join(known), next_step=hint)
    return name


def _check_via(text: str) -> str:
    if text.startswith(SERIAL):
        try:
            parse_serial(text)
        except ConfigError as error:
            raise as_problem(error) from error
        return text
    match = _VIA.fullmatch(text)
    if match is None or not 1 <= int(match.group(1) or 22) <= 65535:
        allowed = "ssh://HOST, ssh://USER@HOST or ssh://USER@HOST:PORT (keys, no passwords), serial:///dev/PORT"
        raise problem("is not an address of a device", seen=repr(text), allowed=allowed)
    return text


def _check_not_reserved(name: str) -> str:
    if name in RESERVED_NAMES:
        raise problem("is the name of another file in the output folder", seen=repr(name))
    return name


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _check_threads(overrides: dict[str, JsonValue]) -> dict[str, JsonValue]:
    threads = overrides.get("threads", 1)
    if type(threads) is not int or not 1 <= threads <= 1024:
        raise problem("is out of range", seen=repr(threads), allowed="an integer from 1 to 1024", at=("threads",))
    return overrides


Precisions = Annotated[
    tuple[Precision, ...],
    BeforeValidator(_several, json_schema_input_type=Precision | Annotated[list[Precision], Field(min_length=1)]),
    Field(min_length=1),
]
Overrides = Annotated[
    dict[str, JsonValue],
    BeforeValidator(lambda value: flattened(value) if isinstance(value, dict) else value),
    AfterValidator(_check_threads),
]


class DeviceTable(Frozen):
    """One device to build for. A list of precisions makes one bundle for each."""

    profile: Annotated[str, AfterValidator(_check_profile)] = Field(
        description="The device profile; see: edgewright devices."
    )
    target: Annotated[str, AfterValidator(_check_target)] | None = Field(
        default=None, description="The engine; see: edgewright targets. Default: the best of the profile."
    )
    precision: Precisions | None = Field(
        default=None,
        description="Number format, or a list of them: one bundle for each. Default: fp32, or what the engine has.",
    )
    name: Annotated[SafeName, AfterValidator(_check_not_reserved)] | None = Field(
        default=None,
        description="Name of the bundle's folder. Default: the profile, with target and precision if shared.",
    )
    overrides: Overrides = Field(
        default_factory=dict,
        description='"threads", and numbers of the device profile, such as cpu.clock = "1.2 GHz".',
    )
    via: Annotated[str, AfterValidator(_check_via)] | None = Field(
        default=None,
        description="Where the device answers: ssh://user@host:port or serial:///dev/PORT. Default: this machine.",
    )
    budget: Budget = Field(default_factory=Budget, description="Limits for this device, in place of those of [budget].")
    calibrator: Calibrator | None = Field(default=None, description="In place of that of [quantize].")

    @model_validator(mode="after")
    def _overrides_fit_the_profile(self) -> DeviceTable:
        for key, value in self.overrides.items():
            try:
                if key != "threads":
                    apply_overrides(device_profiles.load_device(self.profile), {key: value}, "project")
            except ConfigError as error:
                raise as_problem(error, at=("overrides", key)) from error
        return self

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Those asked for; the first one of the engine where none is."""
        if self.precision is not None:
            return self.precision
        name = self.target or next((t for t in device_profiles.load_device(self.profile).targets if t in TARGETS), "")
        return cast("tuple[Precision, ...]", load_target(name).precisions[:1] if name else ("fp32",))

    @property
    def named_by_precision(self) -> bool:
        """Whether the given name alone would be shared by several entries."""
        return len(self.precisions) > 1


class DeviceEntry(Frozen):
    """One bundle to build.

    Attributes:
        name: unique in the project, safe as a folder name.
        profile, target: as in :class:`DeviceTable`; no target means the best of the profile.
        precision: one of ``PRECISIONS`` in ``profiles/device.py``.
        threads: for the engine; None leaves it to the target.
        overrides: dotted profile keys to values.
        via: ``ssh://...``, ``serial://...`` or None for this machine.
        budget: the project's and the device's own, merged; SI base units.
        calibrator: the device's own, else the project's.
    """

    name: str
    profile: str
    target: str | None
    precision: Precision
    threads: int | None
    overrides: dict[str, JsonValue]
    via: str | None
    budget: Budget
    calibrator: Calibrator

    def device(self, origin: str = "override in the project file") -> device_profiles.Device:
        """The device profile with this entry's overrides, whose source is then ``origin``."""
        return apply_overrides(device_profiles.load_device(self.profile), self.overrides, origin)


def expand_devices(tables: Sequence[DeviceTable], budget: Budget, calibrator: Calibrator) -> tuple[DeviceEntry, ...]:
    """One entry per table and precision, in order, with unique names.

    Raises:
        PydanticCustomError: two entries end up with one name.
    """
    shared = Counter(table.profile for table in tables if table.name is None for _ in table.precisions)
    entries: list[DeviceEntry] = []
    owners: dict[str, int] = {}
    for index, table in enumerate(tables):
        for precision in table.precisions:
            name = _entry_name(table, precision, shared[table.profile] > 1)
            _check_unique(name, index, owners)
            entries.append(_entry(table, name, precision, budget, calibrator))
    return tuple(entries)


def _entry_name(table: DeviceTable, precision: str, is_shared: bool) -> str:
    if table.name is not None:
        return f"{table.name}-{precision}" if table.named_by_precision else table.name
    return "-".join(filter(None, (table.profile, table.target, precision))) if is_shared else table.profile


def _check_unique(name: str, index: int, owners: dict[str, int]) -> None:
    if name in owners:
        raise problem(
            f"makes a second bundle with the name '{name}'",
            seen=f"device[{owners[name]}] makes one already",
            next_step='give one of them a name of its own: name = "..."',
            at=("device", index),
        )
    owners[name] = index


def _entry(table: DeviceTable, name: str, precision: Precision, budget: Budget, calibrator: Calibrator) -> DeviceEntry:
    overrides = dict(table.overrides)
    threads = overrides.pop("threads", None)
    return DeviceEntry(
        name=name,
        profile=table.profile,
        target=table.target,
        precision=precision,
        threads=threads if isinstance(threads, int) else None,
        overrides=overrides,
        via=table.via,
        budget=budget.merged(table.budget),
        calibrator=table.calibrator or calibrator,
    )
