"""The commands of ``edgewright-runtime``. All engine work is done by a child process. Travels to the device."""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import targets
from profiles.errors import ConfigError, DataError
from profiles.profiler import Profile
from profiles.sampling import Settings
from profiles.streams import tell, write
from profiles.units import format_quantity
from targets import execute
from targets.artifact import Artifact, load_artifact, write_json
from targets.base import TensorSpec
from targets.execute import Event
from targets.golden import DAMAGE
from targets.runtime_cli import PROGRAM
from targets.runtime_tables import build_text, engines_text, info_text, profile_text
from targets.stand_in import marked

_SECONDS_BETWEEN_LINES = 2.0
_DAY = 86400.0


def build(args: argparse.Namespace) -> int:
    """Compile for every batch size, then check the golden outputs."""
    artifact = load_artifact(args.bundle)
    rows = _compile(artifact, args, rebuild=args.rebuild)
    error = _verify(artifact, args)
    _answer(args, {"engines": rows, "golden_error": error}, build_text(rows, error))
    return 0


def verify(args: argparse.Namespace) -> int:
    """Check the golden outputs."""
    artifact = load_artifact(args.bundle)
    rows = _compile(artifact, args)
    error = _verify(artifact, args)
    _answer(args, {"golden_error": error}, build_text(rows, error))
    return 0


def profile(args: argparse.Namespace) -> int:
    """Check the golden outputs, measure, and print or write the profile."""
    artifact = load_artifact(args.bundle)
    settings = Settings(runs=args.runs, seconds=args.seconds)
    _compile(artifact, args)
    _verify(artifact, args)
    request = {"action": "profile", "bundle": str(artifact.folder), "settings": settings.as_dict()}
    event = ask(request, hear("measure", quiet=args.quiet))
    found = marked(artifact.device, Profile.from_dict(event["profile"]))
    if args.out:
        write_json(args.out, found.as_dict())
    _answer(args, found.as_dict(), profile_text(found))
    return 0


def run(args: argparse.Namespace) -> int:
    """Run stacked inputs, and write the outputs stacked the same way."""
    artifact = load_artifact(args.bundle)
    check_inputs(args.inputs, artifact.compiled.inputs)
    _compile(artifact, args)
    request = {"action": "run", "inputs": str(args.inputs.resolve()), "outputs": str(args.outputs.resolve())}
    ask({**request, "bundle": str(artifact.folder)}, hear("run", quiet=args.quiet))
    return 0


def info(args: argparse.Namespace) -> int:
    """What this machine has."""
    event = ask({"action": "describe"}, hear("describe", quiet=args.quiet))
    _answer(args, {key: event[key] for key in ("machine", "targets")}, info_text(event))
    return 0


def health(args: argparse.Namespace) -> int:
    """Nothing to say when all is well."""
    ask({"action": "health"}, hear("health", quiet=args.quiet))
    return 0


def engines(args: argparse.Namespace) -> int:
    """List or remove kept engines."""
    if args.action == "list":
        rows = ask({"action": "engines"})["engines"]
        _answer(args, rows, engines_text(rows))
        return 0
    event = ask({"action": "prune", "everything": args.all}, hear("prune", quiet=args.quiet))
    done = {key: event[key] for key in ("removed", "freed")}
    _answer(args, done, f"removed {len(done['removed'])} files, {format_quantity(done['freed'], 'B')}\n")
    return 0


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "build": build, "verify": verify, "profile": profile, "run": run, "info": info, "health": health,
    "engines": engines,
}  # fmt: skip


def ask(request: Mapping[str, Any], on_event: Callable[[Event], None] = lambda event: None) -> Event:
    """One request to a child process, which alone loads the engine.

    Raises:
        EdgewrightError: as the child reports it, or when it dies.
    """
    explain = functools.partial(execute.crash, f"the engine, asked to {request['action']},")
    return execute.converse(worker_argv(request), on_event, env=execute.ONE_THREAD, timeout=_DAY, explain=explain)


def worker_argv(request: Mapping[str, Any]) -> list[str]:
    """The child's command line: this very file when we run from a zipapp, else our module."""
    home = Path(next(iter(targets.__path__))).parent
    if home.is_file():
        flags = ["-I"] if sys.flags.isolated else []
        return [sys.executable, *flags, str(home.resolve()), json.dumps(request)]
    return execute.python_argv("targets.runtime_worker", json.dumps(request))


def hear(stage: str, *, quiet: bool) -> Callable[[Event], None]:
    """What prints a child's notes and progress on standard error, a line every two seconds at most."""
    last = time.monotonic()

    def on_event(event: Event) -> None:
        nonlocal last
        if event["event"] == "note":
            tell(f"{PROGRAM}: {event['text']}")
        elif event["event"] == "progress" and time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            tell(f"{PROGRAM}: {stage}: {event['done']} of {event['total']}")

    return (lambda event: None) if quiet else on_event


def check_inputs(path: Path, specs: tuple[TensorSpec, ...]) -> None:
    """Refuse inputs that do not fit before an engine is loaded.

    Raises:
        ConfigError: the file cannot be read.
        DataError: an input is missing, or of another shape or type.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            seen = {name: (archive[name].shape, archive[name].dtype.name) for name in archive.files}
    except DAMAGE as error:
        raise ConfigError("wanted a file with inputs", seen=f"{path}: {error}", allowed="an .npz file") from error
    for spec in specs:
        shape, dtype = seen.get(spec.name, ((), ""))
        if shape[1:] != spec.shape or not shape or not shape[0] or dtype != spec.dtype:
            raise DataError(
                f"wanted samples for the input '{spec.name}'",
                seen=f"{dtype} {list(shape)}" if dtype else f"only {', '.join(seen) or 'nothing'}",
                allowed=f"{spec.dtype}, shape [samples, {', '.join(map(str, spec.shape))}]",
            )


def _compile(artifact: Artifact, args: argparse.Namespace, *, rebuild: bool = False) -> list[dict[str, Any]]:
    request = {"action": "build", "bundle": str(artifact.folder), "rebuild": rebuild}
    rows: list[dict[str, Any]] = ask(request, hear("compile", quiet=args.quiet))["engines"]
    return rows


def _verify(artifact: Artifact, args: argparse.Namespace) -> float:
    request = {"action": "verify", "bundle": str(artifact.folder)}
    return float(ask(request, hear("check golden outputs", quiet=args.quiet))["golden_error"])


def _answer(args: argparse.Namespace, data: Any, text: str) -> None:
    write(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n" if args.json else text)
