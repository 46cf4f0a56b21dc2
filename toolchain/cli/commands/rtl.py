"""``edgewright rtl``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from toolchain.cli.output import legend, print_json, print_line, print_table, show_named

if TYPE_CHECKING:
    import contextlib

    from profiles.device import Device
    from profiles.measurement import Metric
    from targets.base import Hardware
    from toolchain.progress import Progress, Step


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("action", choices=("synth",), help="synth: synthesis, placement and routing, or their script")
    parser.add_argument("--device", required=True, metavar="NAME", help="a device profile, or an entry of the project")
    parser.add_argument("--project", type=Path, metavar="FILE", help="take the device from there, overrides included")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="copy sources, scripts, logs and the device's configuration there"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Make the circuit of a device, or say what an earlier call found out."""
    from targets.registry import hardware_target
    from toolchain.progress import Progress

    device = _device(args)
    target = hardware_target(device)
    with Progress(quiet=args.quiet) as progress, progress.step(f"circuit for {device.name}", numbered=False) as step:
        with _Stages(progress) as stages:
            made = target.synthesize(device, args.out, stages.tell)
        step.cached = made.cached
    if args.json:
        print_json({"device": device.name, "target": target.name, **made.as_dict()})
    else:
        _print(device, made)
    return 0


def _device(args: argparse.Namespace) -> Device:
    """The profile, with the project's overrides where there is one.

    Raises:
        ConfigError: there is none of that name.
    """
    from profiles.device import load_device
    from profiles.errors import ConfigError
    from profiles.suggest import did_you_mean
    from toolchain.project import load_project

    if args.project is None:
        return load_device(args.device)
    entries = load_project(args.project).devices
    for entry in entries:
        if args.device in (entry.name, entry.profile):
            return entry.device()
    names = [entry.name for entry in entries]
    raise ConfigError(
        f"wanted the device '{args.device}' of {args.project}",
        seen="no entry of that name or profile",
        allowed=", ".join(names) or "none",
        next_step=did_you_mean(args.device, names) or "add a [[device]] entry",
    )


class _Stages:
    """One step of progress for each tool, with what it does now."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tool = ""
        self._open: contextlib.AbstractContextManager[Step] | None = None
        self._step: Step | None = None

    def __enter__(self) -> _Stages:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._open.__exit__(kind, error, trace)

    def tell(self, tool: str, stage: str) -> None:
        """What a tool does; another tool than before begins a new step."""
        if tool != self._tool:
            self.__exit__(None, None, None)
            self._tool, self._open = tool, self._progress.step(tool)
            self._step = self._open.__enter__()
        assert self._step is not None
        self._step.update(0, detail=stage)


def _print(device: Device, made: Hardware) -> None:
    found = "; found in the cache" if made.cached else ""
    print_line(f"{device.name} ({made.facts.get('part', device.title)}): {made.status}{found}")
    if made.metrics:
        _print_metrics(made.metrics)
    print_line(f"files: {made.folder}")


def _print_metrics(metrics: Mapping[str, Metric]) -> None:
    from toolchain.cli.profile_tables import MEANINGS

    rows = [[name, MEANINGS.get(name, ""), show_named(name, metric), metric.method] for name, metric in metrics.items()]
    print_table(["metric", "what it is", "value", "how"], rows, right=["value"])
    print_line(legend(metric.kind for metric in metrics.values()))
