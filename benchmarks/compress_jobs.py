"""Train and compress, one row and seed at a time, in several processes; what is there already is not done again."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import say
from benchmarks.compress_rows import DENSE_EPOCHS, TRAINED, Row
from profiles.machine import describe, snapshot
from toolchain.compress.context import Context
from toolchain.frontend.data import Splits, load_data
from toolchain.frontend.specs import DataSpec, InputSpec, ModelSpec, TrainSpec

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
INPUT = InputSpec((1, 3, 32, 32), mean=MEAN, std=STD)
DENSE_LR = 0.2


@dataclasses.dataclass(frozen=True)
class Site:
    """Where the work is done.

    Attributes:
        out: folder with ``dense``, ``rows`` and ``models``.
        data: source of the samples: ``parquet:DIR`` or ``npz:FILE``.
        device: torch device.
        share: of every row's epochs, for quick looks; the results say so.
        half: keep models in half precision, which is enough to measure their latency.
    """

    out: Path
    data: str
    device: str = "cpu"
    share: float = 1.0
    half: bool = False

    def epochs(self, count: int) -> int:
        """How many to do of ``count``."""
        return max(1, round(count * self.share)) if count else 0

    def dense(self, model: str, seed: int) -> Path:
        """Weights of a trained dense model."""
        return self.out / "dense" / f"{model}-{seed}.safetensors"

    def result(self, row: Row, seed: int) -> Path:
        """Figures of one run."""
        return self.out / "rows" / f"{row.name}-{seed}.json"

    def model(self, row: Row, seed: int = 0) -> Path:
        """The compressed module, pickled."""
        return self.out / "models" / f"{row.name}-{seed}.pt"


def run_all(rows: Sequence[Row], site: Site, *, jobs: int, deadline: float | None = None) -> list[str]:
    """All runs that are not there yet, in ``jobs`` processes; nothing new is begun after ``deadline``.

    Returns:
        What failed, in sentences.
    """
    every = [(row, seed) for seed in range(max(row.seeds for row in rows)) for row in rows if seed < row.seeds]
    wanted = [(row, seed) for row, seed in every if not site.result(row, seed).exists()]
    models = {(row.model, seed) for row, seed in wanted if not row.fresh and not row.after}
    models |= {(name, 0) for row, _ in wanted for name in row.teachers}
    missing = sorted(pair for pair in models if not site.dense(*pair).exists())
    failed = _pooled([(train_dense, name, seed, site) for name, seed in missing], jobs, deadline)
    for later in (False, True):
        ready = [
            (run_row, row, seed, site) for row, seed in wanted if bool(row.after) == later and _begins(row, seed, site)
        ]
        failed += _pooled(ready, jobs, deadline)
    return failed


def _begins(row: Row, seed: int, site: Site) -> bool:
    """Whether everything that a run starts from is there."""
    if not all(site.dense(name, 0).exists() for name in row.teachers):
        return False
    if row.after:
        return site.model(Row(row.after, ""), seed).exists()
    return row.fresh or site.dense(row.model, seed).exists()


def _pooled(tasks: Sequence[tuple[Any, ...]], jobs: int, deadline: float | None) -> list[str]:
    """Run tasks (function, what, seed, site) in processes; sentences about those that failed."""
    if not tasks:
        return []
    failed, waiting = [], list(tasks)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context) as pool:
        running: dict[Any, str] = {}
        while waiting or running:
            while waiting and len(running) < jobs:
                if deadline is not None and time.monotonic() > deadline:
                    say(f"out of time: {len(waiting)} runs are left for another call")
                    waiting = []
                    break
                function, what, seed, site = waiting.pop(0)
                running[pool.submit(function, what, seed, site)] = f"{getattr(what, 'name', what)}, seed {seed}"
            done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                title = running.pop(future)
                error = future.exception()
                say(f"{title}: {'failed: ' + str(error)[:300] if error else future.result()}")
                failed += [f"{title}: {error}"] if error else []
    return failed


_DATA: dict[str, Splits] = {}


def samples(site: Site) -> Splits:
    """The data, read once per process."""
    if site.data not in _DATA:
        _DATA[site.data] = load_data(DataSpec(site.data, root=Path.cwd()), INPUT)
    return _DATA[site.data]


def context_for(site: Site, seed: int) -> Context:
    """Everything around the models of one run."""
    data = samples(site)
    return Context(
        inputs=next(iter(data.test.samples())),
        data=data,
        seed=seed,
        training=TrainSpec(batch=256, augment=True, precision="auto"),
        device=site.device,
        classes=10,
        input=INPUT,
        root=Path.cwd(),
    )


def train_dense(model: str, seed: int, site: Site) -> str:
    """Train a dense model from scratch and keep its weights."""
    from toolchain.frontend.weights import save_weights

    start = time.monotonic()
    module, context = fresh(model, seed), context_for(site, seed)
    context.fit(module, f"dense {model}", epochs=site.epochs(DENSE_EPOCHS), lr=DENSE_LR)
    path = site.dense(model, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(module, path)
    return f"{100 * context.accuracy(module):.2f} % after {time.monotonic() - start:.0f} s"


def fresh(model: str, seed: int) -> Any:
    """A network with initial weights."""
    from toolchain.frontend.source import load_module

    return load_module(ModelSpec(f"zoo:{model}", classes=10, input=INPUT, seed=seed))


def run_row(row: Row, seed: int, site: Site) -> str:
    """Run one recipe; figures and model are kept."""
    import torch

    from toolchain.compress import compress

    torch.set_num_threads(1)
    start = time.monotonic()
    model = start_of(row, seed, site)
    steps = [prepared(step, site) for step in row.steps]
    made = compress(model, steps, context=context_for(site, seed))
    seconds = time.monotonic() - start
    found = {"name": row.name, "seed": seed, "seconds": seconds, "share": site.share, "device": site.device}
    found["machine"] = _machine(site.device)
    found["rows"] = [_figures(each) for each in made.rows]
    _keep(site.result(row, seed), json.dumps(found, indent=1).encode())
    if seed == 0:
        _keep_model(made.model, site.model(row), half=site.half)
    last = made.rows[-1]
    return f"{100 * (last.accuracy or 0):.2f} %, {last.macs / 1e6:.1f} MMACs, {last.params} params, {seconds:.0f} s"


def start_of(row: Row, seed: int, site: Site) -> Any:
    """The model that a run starts from."""
    import torch

    from toolchain.frontend.weights import load_weights

    if row.after:
        return torch.load(site.model(Row(row.after, ""), seed), weights_only=False).float()
    model = fresh(row.model, seed)
    if not row.fresh:
        load_weights(model, site.dense(row.model, seed))
    return model


def prepared(step: Any, site: Site) -> Any:
    """The step with its epochs scaled and its teacher's weights."""
    changes: dict[str, Any] = {"epochs": site.epochs(step.epochs)}
    if getattr(step, "sparse_epochs", 0):
        changes["sparse_epochs"] = site.epochs(step.sparse_epochs)
    teacher = getattr(step, "teacher", None)
    if isinstance(teacher, str):
        changes["weights"] = _weights(teacher, site)
    elif teacher:
        changes["teacher"] = tuple(each.model_copy(update={"weights": _weights(each.source, site)}) for each in teacher)
    return step.model_copy(update=changes)


def _machine(device: str) -> str:
    """What trains, and with which torch, in words."""
    import torch

    place = str(torch.cuda.get_device_name()) if device.startswith("cuda") else describe(snapshot())
    return f"{place}, torch {torch.__version__}"


def _weights(source: str, site: Site) -> Path | None:
    """Of a teacher; None for an assistant, which is still to learn."""
    name = source.removeprefix("zoo:")
    return site.dense(name, 0).resolve() if name in TRAINED else None


def _figures(row: Any) -> dict[str, Any]:
    names = ("step", "method", "params", "macs", "bytes", "zeros", "accuracy", "notes")
    return {name: getattr(row, name) for name in names}


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)


def _keep_model(model: Any, path: Path, *, half: bool) -> None:
    import copy
    import io

    import torch

    kept, buffer = copy.deepcopy(model).cpu(), io.BytesIO()
    torch.save(kept.half() if half else kept, buffer)
    _keep(path, buffer.getvalue())


def failures(sentences: Sequence[str]) -> None:
    """Say what failed, at the end."""
    for sentence in sentences:
        say(f"failed: {sentence[:500]}")
