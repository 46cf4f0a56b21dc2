"""Hostile TFLite files: thousands of mutations of two real models; each is refused in words or built, never more."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.common import ROOT, Table, say, write
from benchmarks.mutate_tflite import fields, mutants
from profiles.device import load_device
from profiles.errors import DataError, EdgewrightError, UnsupportedError
from targets.base import ExportedModel
from targets.tflite_micro.build import make_program
from targets.tflite_micro.graph.load import load_graph_bytes
from targets.tflite_micro.support import report

CLAIM = "Damaged and hostile model files give a clear error or a program: no crash, no hang, no memory without end."
MODELS = ("ic_resnet8_int8", "kws_dscnn_int8")
FOLDER = ROOT.parent / "shared" / "models" / "mlperf_tiny"
COUNT = 7000
#: Mutated models that are compiled and run.
RUN = 40
#: What one file may take.
SECONDS = 2.0
BYTES = 1 << 30


class Hung(BaseException):
    """Not an Exception, so that nothing on the way takes it for one of its own."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """``what`` is "built", the name of an error that users are meant to see, "hang", "memory" or "crash"."""

    what: str
    seconds: float
    detail: str = ""

    @property
    def good(self) -> bool:
        return self.what not in ("hang", "memory", "crash") and self.seconds < SECONDS


def models() -> list[bytes]:
    """The bytes of the two models.

    Raises:
        DataError: they are not there.
    """
    paths = [FOLDER / f"{name}.tflite" for name in MODELS]
    if not all(path.is_file() for path in paths):
        raise DataError("this benchmark needs the MLPerf Tiny models", seen=f"none in {FOLDER}")
    return [path.read_bytes() for path in paths]


def run(rounds: int) -> list[str]:
    """Try all mutations; ``rounds`` is the seed. Returns missed goals."""
    found: dict[str, list[Outcome]] = collections.defaultdict(list)
    missed = []
    given = models()
    with tempfile.TemporaryDirectory() as folder, limits():
        for number, (kind, data) in enumerate(mutants(given, COUNT, rounds)):
            outcome = trial(data, lambda data: judge(data, Path(folder) / "fuzz.tflite"))
            found[kind].append(outcome)
            if not outcome.good:
                missed.append(f"{kind} {number}: {outcome.what} after {outcome.seconds:.2f} s {outcome.detail}")
            if number % 1000 == 0:
                say(f"{number} of {COUNT}")
    names = sorted({outcome.what for outcomes in found.values() for outcome in outcomes})
    rows = [_row(kind, outcomes, names) for kind, outcomes in found.items()]
    rows.append(_row("all", [outcome for outcomes in found.values() for outcome in outcomes], names))
    dirty = sanitized(given, RUN, rounds)
    notes = [
        f"{COUNT} mutations of {' and '.join(MODELS)}, seed {rounds}. Each goes through `support`, is lowered and "
        f"placed in memory, within {SECONDS:g} s and {BYTES >> 20} MiB.",
        "A mutation that only changes weights, names or scales leaves a sound model, which is built.",
        f"{RUN} of the well-formed files that say something else and are built were also compiled and run on this "
        f"machine under AddressSanitizer and UndefinedBehaviorSanitizer: {len(dirty)} reports.",
    ]
    counts = {kind: collections.Counter(outcome.what for outcome in outcomes) for kind, outcomes in found.items()}
    table = Table(["mutation", "files", *names, "slowest"], rows, notes)
    write("fuzz_tflite", "Hostile TFLite files", CLAIM, table, {"mutations": counts, "sanitizer reports": len(dirty)})
    return missed + dirty


def judge(data: bytes, path: Path) -> None:
    """``support`` and, where it finds nothing unsupported, a program."""
    path.write_bytes(data)
    found = report("tflite_micro", ExportedModel("fuzz", (), (), tflite=path), load_device("cortex-m4-an386"), "int8")
    if not found.ok:
        raise UnsupportedError("wanted a model that can be built", seen=found.blockers()[0])
    make_program(load_graph_bytes(data, "fuzz"), "dsp")


def sanitized(given: Sequence[bytes], count: int, seed: int) -> list[str]:
    """Compile and run mutated models that are built; returns what the sanitizers say."""
    sys.path.insert(0, str(ROOT / "tests" / "targets" / "tflite_micro"))
    import harness

    draw, dirty, done = random.Random(seed), [], 0
    sound = [load_graph_bytes(model, "fuzz") for model in given]
    while done < count:
        which = done % len(given)
        data = fields(draw, given, which, [])
        try:
            graph = load_graph_bytes(data, "fuzz")
            if graph == sound[which] or not make_program(graph, "portable"):
                continue
        except EdgewrightError:
            continue
        done += 1
        try:
            harness.host(data, harness.random_samples(data, 2), "portable", sanitize=True)
        except AssertionError as error:
            dirty.append(f"sanitizer, model {done}: {str(error)[:300]}")
    return dirty


def _row(kind: str, outcomes: Sequence[Outcome], names: Sequence[str]) -> list[str]:
    seen = collections.Counter(outcome.what for outcome in outcomes)
    slowest = max(outcome.seconds for outcome in outcomes)
    return [kind, str(len(outcomes)), *(str(seen[name]) for name in names), f"{slowest * 1e3:.0f} ms"]


# --- one file --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """A limit on memory, and an alarm that raises :class:`Hung`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    previous = signal.signal(signal.SIGALRM, _hung)
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, previous)


def _hung(*_: object) -> None:
    raise Hung


def trial(data: bytes, build: Callable[[bytes], object]) -> Outcome:
    """What becomes of one file, within :func:`limits`."""
    start = time.perf_counter()
    detail = ""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        build(data)
        what = "built"
    except EdgewrightError as error:
        what, detail = type(error).__name__, error.seen
    except Hung:
        what = "hang"
    except MemoryError:
        what = "memory"
    except Exception as error:  # whatever it is, it is what this is looking for
        last = traceback.extract_tb(error.__traceback__)[-1]
        what, detail = "crash", f"{type(error).__name__}: {error} at {Path(last.filename).name}:{last.lineno}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return Outcome(what, time.perf_counter() - start, detail)
