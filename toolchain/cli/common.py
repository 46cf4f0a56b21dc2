"""Options that several commands share, and how they become a project."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16", "int8"), help="number format")
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
        path = Path(args.model)
        return select(load_project(path / "edge.toml" if path.is_dir() else path, overlay=changes), args)
    if not args.device:
        raise ConfigError(
            "a model without a project needs a device",
            seen="no --device",
            next_step="add for example --device local-cpu",
        )
    data = {"model": {"source": args.model}, **changes}
    data["model"] = {"source": args.model, **changes.get("model", {})}
    precision = args.precision or ("int8" if is_quantized_file(args.model) else "fp32")
    data["device"] = [{"profile": name, "precision": precision, **target_of(args)} for name in args.device]
    return project_from_dict(data)


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


def target_of(args: argparse.Namespace) -> dict[str, str]:
    """``{"target": ...}`` where one was named."""
    return {"target": args.target} if args.target else {}


def overlay(args: argparse.Namespace) -> dict[str, Any]:
    """What the command line changes in a project, in the shape of the file."""
    changes: dict[str, Any] = {}
    if args.data:
        changes["data"] = {"source": absolute_source(args.data)}
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
    if not equals or not name or not all(size.isdigit() and int(size) > 0 for size in sizes):
        raise ConfigError("--input needs a name and a shape", seen=text, allowed="NAME=1x3x320x320")
    return {"name": name, "shape": [int(size) for size in sizes]}


def select(project: Project, args: argparse.Namespace) -> Project:
    """The project's entries that ``--device``, ``--target`` and ``--precision`` leave.

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
        entry
        for entry in project.devices
        if (not args.device or entry.name in args.device or entry.profile in args.device)
        and (not args.target or entry.target == args.target)
        and (not args.precision or entry.precision == args.precision)
    ]
    if not kept:
        raise ConfigError(
            "no [[device]] entry is left to build",
            seen=f"{len(project.devices)} in the project",
            next_step="add a [[device]] entry, or loosen --device, --target and --precision",
        )
    return project.model_copy(update={"devices": tuple(kept)})
