"""Makes one bundle in a process of its own: ``python -m toolchain.steps.bundle_worker REQUEST``.

Quantizers and compilers are native code that may crash on a model; then this process ends, and the build
gets an error. The request names the order (``job``, a pickle that :func:`build_apart` wrote) and the
empty folder to fill (``out``).
"""

from __future__ import annotations

import functools
import json
import pickle
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from targets import execute
from targets.files import write_bytes
from targets.processes import Leash
from targets.worker import main as worker_main
from toolchain.steps.bundle import BundleJob, build_bundle


def build_apart(job: BundleJob, out: Path, leash: Leash) -> None:
    """:func:`toolchain.steps.bundle.build_bundle` in a child process, which ends when the leash is cut.

    Raises:
        EdgewrightError: as the child reports it.
        ToolCrashError: it died without a word.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        order = Path(scratch) / "job.pickle"
        write_bytes(order, pickle.dumps(job))
        request = {"action": "build", "job": str(order), "out": str(out), "scratch": scratch}
        argv = execute.python_argv("toolchain.steps.bundle_worker", json.dumps(request))
        what = f"making the {job.scheme.precision} bundle with {job.target}"
        execute.converse(argv, explain=functools.partial(execute.crash, what), leash=leash)


def do_build(request: Mapping[str, Any], say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Carry out the order."""
    job: BundleJob = pickle.loads(Path(request["job"]).read_bytes())
    build_bundle(job, Path(request["out"]))
    return {}


if __name__ == "__main__":
    sys.exit(worker_main(actions={"build": do_build}))
