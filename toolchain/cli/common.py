"""Options that several commands share, and how they become a project."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.device import PRECISIONS
from profiles.errors import ConfigError

if TYPE_CHECKING:
    from toolchain.project.models import Project

_MODEL_SUFFIXES = (".onnx", ".tflite", ".pt2")


def add_model_options(parser: argparse.ArgumentParser, *, many: bool) -> None:
    """The model or project, devices, precision, data and input shapes."""
    parser.add_argument(
        "model", metavar="PROJECT.toml|MODEL", help="a project, a model file, zoo:NAME or module:callable"
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="NAME",
        help="a device profile, or an entry of the project" + (" (may be repeated)" if many else ""),
    )
    parser.add_argument("--target", metavar="NAME", help="the engine (default: the best of the device)")
    parser.add_argument("--precision", choices=PRECISIONS, help="number format")
    parser.add_argument(
        "--data", metavar="SOURCE", help="digits, parquet:DIR, folder:DIR, npz:FILE, or random (smoke tests only)"
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=1x3x320x320",
        help="fix the shape of an input (may be repeated)",
    )


def read_project(args: argparse.Namespace) -> Project:
    """The project that the command line means.

    Raises:
        ConfigError: it means none.
    """
    from toolchain.project import load_project, project_from_dict

    changes = overlay(args)
    if args.model.endswith(".toml") or Path(args.model).is_dir():
        path = Path(args.model) / "edge.toml" if Path(args.model).is_dir() else Path(args.model)
        project = load_project(path, overlay=changes)
        if project.devices or not args.device:
            return select(project, args)
        return load_project(path, overlay={**changes, "device": devices(args, args.precision)})
    if not args.device:
        raise ConfigError(
            "a model without a project needs a device",
            seen="no --device",
            next_step="add for example --device local-cpu",
        )
    data = {**changes, "model": {"source": args.model, **changes.get("model", {})}}
    precision = args.precision or ("int8" if is_quantized_file(args.model) else None)
    return project_from_dict({**data, "device": devices(args, precision)})


def is_quantized_file(model: str) -> bool:
    """Whether a model file holds int8 arithmetic already; anything else than a readable file does not."""
    path = Path(model)
    if not path.is_file():
        return False
    if path.suffix == ".tflite":
        from targets.tflite_tools import is_quantized, read_tflite

        return is_quantized(read_tflite(path))
    if path.suffix == ".onnx":
        from targets.onnx_tools import is_quantized as is_quantized_onnx
        from targets.onnx_tools import load_onnx

        return is_quantized_onnx(load_onnx(path, external=False))
    return False


def devices(args: argparse.Namespace, precision: str | None) -> list[dict[str, str]]:
    """One ``[[device]]`` per ``--device``, for a project that has none."""
    given = {"target": args.target, "precision": precision}
    return [{"profile": name, **{key: value for key, value in given.items() if value}} for name in args.device]


def overlay(args: argparse.Namespace) -> dict[str, Any]:
    """What the command line changes in a project, in the shape of the file."""
    changes: dict[str, Any] = {}
    if args.data:
        changes["data"] = {"source": absolute_source(args.data)}
    if getattr(args, "baseline", False):
        changes["baseline"] = {}
    if args.input:
        changes["model"] = {"input": [_input(text) for text in args.input]}
    return changes


def absolute_source(source: str) -> str:
    """A data source whose path, if it has one, begins at the root and not at the project's folder."""
    kind, colon, path = source.partition(":")
    return f"{kind}:{os.path.abspath(path)}" if colon and path else source


def _input(text: str) -> dict[str, Any]:
    name, equals, shape = text.rpartition("=")
    sizes = shape.lower().split("x")
    if not equals or not name or not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise ConfigError(
            "--input needs a name and a shape",
            seen=text,
            allowed="NAME=1x3x320x320",
            next_step="write for example --input x=1x3x224x224",
        )
    return {"name": name, "shape": [int(size) for size in sizes]}


def select(project: Project, args: argparse.Namespace) -> Project:
    """The project's entries that ``--device``, ``--target`` and ``--precision`` leave.

    An entry that leaves its target open takes the one of the command line.

    Raises:
        ConfigError: none is left.
    """
    from profiles.suggest import did_you_mean

    names = {name for entry in project.devices for name in (entry.name, entry.profile)}
    for wanted in args.device:
        if wanted not in names:
            raise ConfigError(
                f"wanted the device '{wanted}' of the project",
                seen="no entry of that name or profile",
                allowed=", ".join(entry.name for entry in project.devices),
                next_step=did_you_mean(wanted, names),
            )
    kept = [
        entry.model_copy(update={"target": args.target}) if args.target else entry
        for entry in project.devices
        if (not args.device or entry.name in args.device or entry.profile in args.device)
        and (not args.target or entry.target in (args.target, None))
        and (not args.precision or entry.precision == args.precision)
    ]
    if project.devices and not kept:
        raise ConfigError(
            "no [[device]] entry is left to build",
            seen=f"--device {', '.join(args.device) or 'any'}, --target {args.target or 'any'}, "
            f"--precision {args.precision or 'any'}",
            allowed="; ".join(f"{e.name}: {e.target or 'any target'}, {e.precision}" for e in project.devices),
            next_step="add a [[device]] entry, or leave out one of these options",
        )
    return project.model_copy(update={"devices": tuple(kept)})
