"""Read a build folder: ``summary.json`` and, per bundle, the manifest, the profile and the layer errors."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from profiles.errors import ConfigError
from profiles.measurement import Metric
from toolchain.report.entries import Build, Entry
from toolchain.report.shapes import Layer, Manifest, Profile, Summary, SummaryEntry
from toolchain.report.trace import LARGEST, Trace

SCHEMA = 1
_LAYERS = TypeAdapter(tuple[Layer, ...])
_Shape = TypeVar("_Shape")


_LARGEST_PICTURE = 1 << 20


def load_build(build_dir: Path) -> Build:
    """Read everything that the report shows.

    Raises:
        ConfigError: no ``summary.json``, a file that is not valid JSON or of another shape or
            schema, or a bundle outside of the build folder.
    """
    summary = _read(build_dir / "summary.json", TypeAdapter(Summary))
    if summary is None:
        raise ConfigError(
            f"wanted a build folder at {build_dir}",
            seen="no summary.json there",
            next_step="run: edgewright build edge.toml",
        )
    if summary.schema_ != SCHEMA:
        raise ConfigError(
            f"{build_dir / 'summary.json'} has a schema that this version does not read",
            seen=str(summary.schema_),
            allowed=str(SCHEMA),
            next_step="build again with this version of edgewright",
        )
    entries = tuple(_entry(build_dir, number, found) for number, found in enumerate(summary.entries, 1))
    project = summary.project or _model_names(entries, build_dir)
    return Build(build_dir, project, summary.created, entries, summary.not_built, summary.compression)


def _entry(build_dir: Path, number: int, found: SummaryEntry) -> Entry:
    folder = _inside(build_dir, found.bundle)
    manifest = _read(folder / "manifest.json", TypeAdapter(Manifest))
    profile = _read(folder / "profile.json", TypeAdapter(Profile))
    errors = _read(folder / "layers.json", _LAYERS)
    parts = {"manifest.json": manifest, "profile.json": profile}
    missing = tuple(f"{found.bundle}/{name} is absent." for name, part in parts.items() if part is None)
    return Entry(
        number=number,
        device=found.device,
        target=found.target,
        precision=found.precision,
        bundle=found.bundle,
        metrics=_completed(found.metrics, profile.metrics if profile else {}),
        budget=found.budget,
        layers=profile.layers if profile and profile.layers else found.layers,
        errors=errors,
        manifest=manifest,
        profile=profile,
        missing=missing,
        memory_plan=_picture(folder / "memory.svg"),
        trace=_trace(folder / "timeline.json"),
    )


def _picture(path: Path) -> bytes:
    """A picture of moderate size; nothing where there is none."""
    try:
        return path.read_bytes() if path.stat().st_size <= _LARGEST_PICTURE else b""
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise ConfigError(f"{path} cannot be read", seen=str(error)) from error


def _trace(path: Path) -> Trace | None:
    """What happened when in one inference; nothing where there is no such file, or a huge one."""
    try:
        small = path.stat().st_size <= LARGEST
    except OSError:
        return None
    return _read(path, TypeAdapter(Trace)) if small else None


def _completed(summary: dict[str, Metric], profile: dict[str, Metric]) -> dict[str, Metric]:
    """The summary's figures, with those and the samples that only the profile has.

    A figure that was unavailable when the bundle was built, and was measured since, is the profile's.
    """
    later = {name for name, metric in profile.items() if metric.available}
    merged = {**profile, **{name: metric for name, metric in summary.items() if metric.available or name not in later}}
    for name, metric in summary.items():
        other = profile.get(name)
        if metric.available and metric.samples is None and other is not None and other.kind is metric.kind:
            merged[name] = dataclasses.replace(metric, samples=other.samples)
    return merged


def _inside(build_dir: Path, bundle: str) -> Path:
    try:
        folder = (build_dir / bundle).resolve()
    except (ValueError, OSError, RuntimeError) as error:
        raise ConfigError(f"{build_dir / 'summary.json'} names a bundle", seen=f"{bundle!r}: {error}") from error
    if not folder.is_relative_to(build_dir.resolve()):
        raise ConfigError(
            f"{build_dir / 'summary.json'} names a bundle outside of the build folder",
            seen=repr(bundle),
            allowed="a path below the build folder",
        )
    return folder


def _read(path: Path, shape: TypeAdapter[_Shape]) -> _Shape | None:
    """Parse one JSON file into its shape; None where there is no such file."""
    try:
        return shape.validate_json(path.read_bytes(), strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read", seen=str(error)) from error
    except ValidationError as error:
        problem = "is not valid JSON" if error.errors()[0]["type"] == "json_invalid" else "has an unexpected shape"
        raise ConfigError(f"{path} {problem}", seen=_first(error), next_step=_AGAIN) from error


_AGAIN = "build or profile the bundle again; the file is damaged or was edited"


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place or 'top level'}: {first['msg']}{more}"


def _model_names(entries: tuple[Entry, ...], build_dir: Path) -> str:
    """The model's name as the manifests tell it, else the folder's."""
    names = dict.fromkeys(str(e.manifest.model["name"]) for e in entries if e.manifest and e.manifest.model.get("name"))
    return ", ".join(names) or build_dir.resolve().name
