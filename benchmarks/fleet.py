"""A fleet of simulated devices: nobody is lost, a bad release stays with the canaries, and what a check-in costs."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import fleet_postgres, fleet_run
from benchmarks.common import say
from benchmarks.fleet_page import write_page

CLAIM = (
    "10,000 devices, 2 % of them faulty, with 1 % of all messages lost, through a rollout of 5 waves: no device is "
    "lost, and a bad release that follows reaches at most the canary wave. A check-in costs the server at most twice "
    "as much processor time with 10,000 devices as with 100."
)
SIZES = (100, 1000, 10_000)
#: How much a check-in may cost with the most devices, relative to the fewest.
GROWTH = 2.0
#: Of the bundle: bytes of weights, and the share of them that further training changed.
WEIGHTS, CHANGED = 1_000_000, 0.1


def run(rounds: int) -> list[str]:
    """Tell the whole story for each size on each database; ``rounds`` is not used: chance has a seed. Missed goals."""
    data = measured(SIZES)
    missed = missed_goals(data)
    write_page(CLAIM, data, missed)
    return missed


def measured(sizes: tuple[int, ...]) -> dict[str, Any]:
    """All figures: by database, then by size. A database that is not installed is left out, with the reason."""
    found: dict[str, Any] = {"sizes": list(sizes), "databases": {}, "missing": {}}
    with tempfile.TemporaryDirectory(prefix="edgewright-fleet-") as folder:
        mould = founded(Path(folder) / "mould")
        for name, opened in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
            if name == "PostgreSQL" and (reason := fleet_postgres.missing()):
                found["missing"][name] = f"{reason} is not installed"
                continue
            with opened(Path(folder)) as (new_url, processor):
                rows = [_one(name, size, _copy(mould, name, size), new_url(), processor) for size in sizes]
            found["databases"][name] = rows
    return found


def _copy(mould: Path, name: str, size: int) -> Any:
    """A repository of its own."""
    from toolchain.fleet.home import open_home
    from toolchain.fleet.trust.repository import Repository

    home = mould.with_name(f"{name}-{size}")
    shutil.copytree(mould, home)
    return Repository(open_home(home))


def _one(name: str, size: int, repository: Any, url: str, processor: Any) -> dict[str, Any]:
    row = fleet_run.one(url, size, repository, processor)
    say(f"{name}, {size:,} devices: {row['checkin_us']:.0f} µs per check-in, {row['wall']:.0f} s in all")
    return row


@contextlib.contextmanager
def _sqlite(folder: Path) -> Iterator[tuple[Callable[[], str], Any]]:
    numbers = iter(range(100))
    yield lambda: f"sqlite:///{folder / f'{next(numbers)}.db'}", None


@contextlib.contextmanager
def _postgres(folder: Path) -> Iterator[tuple[Callable[[], str], Any]]:
    server = fleet_postgres.Postgres()
    try:
        yield server.new, server.processor_time
    finally:
        server.stop()


def founded(home: Path) -> Path:
    """A fleet with three releases of one bundle; each has other weights, a tenth of which changed."""
    from toolchain.fleet.home import create_home
    from toolchain.fleet.publish import publish
    from toolchain.fleet.trust.repository import Repository

    def passphrase(name: str) -> str:
        return "a benchmark keeps no secrets"

    repository = Repository(create_home(home, passphrase=passphrase), passphrase)
    weights = np.random.default_rng(7).integers(-127, 128, WEIGHTS, dtype=np.int8)
    for version in (1, 2, 3):
        first = (version - 1) * round(CHANGED * WEIGHTS)
        weights[first : first + round(CHANGED * WEIGHTS)] += 1
        publish(repository.home, repository, [_bundle(home.parent / f"bundle-{version}", weights)], product="eyes")
    return home


def _bundle(folder: Path, weights: np.ndarray) -> Path:
    from targets.artifact import Artifact, write_manifest
    from targets.base import Compiled, TensorSpec
    from targets.golden import Golden, save_golden

    folder.mkdir()
    (folder / "weights.bin").write_bytes(weights.tobytes())
    arrays = {"x": np.zeros((1, 4), np.float32)}
    save_golden(folder / "golden.npz", Golden(arrays, {"y": arrays["x"]}, {"y": arrays["x"]}))
    compiled = Compiled(("weights.bin",), (TensorSpec("x", (1, 4)),), (TensorSpec("y", (1, 4)),))
    device = {"name": "raspberry-pi-5", "title": "Raspberry Pi 5", "reach": "ssh", "cpu": {"arch": "aarch64"}}
    write_manifest(Artifact(folder, device, "null", "int8", compiled, tools={}))
    return folder


def missed_goals(data: dict[str, Any]) -> list[str]:
    """Sentences about what did not turn out as claimed."""
    found = [f"{name} was not measured: {reason}" for name, reason in data["missing"].items()]
    for name, rows in data["databases"].items():
        for row in rows:
            found += [f"{name}, {row['devices']:,} devices: {sentence}" for sentence in _missed(row)]
        growth = rows[-1]["checkin_us"] / rows[0]["checkin_us"]
        if growth > GROWTH:
            found.append(f"{name}: a check-in costs {growth:.2f} times as much with the most devices, goal {GROWTH:g}")
    return found


def _missed(row: dict[str, Any]) -> list[str]:
    good, bad = row["good"], row["bad"]
    wrong = {
        f"{good['lost']} sound devices do not run the good release": good["lost"],
        f"{good['faulty'] - good['faulty_kept']} faulty devices do not run what they ran before": (
            good["faulty"] - good["faulty_kept"]
        ),
        f"the server is wrong about {good['disagree']} devices": good["disagree"],
        f"the bad release reached {bad['beyond']} devices beyond the canary wave": bad["beyond"],
        f"{bad['committed']} devices committed the bad release": bad["committed"],
        f"{bad['lost']} devices do not run what they ran before the bad release": bad["lost"],
        f"the bad release was not stopped: it is {bad['state']}": bad["state"] != "aborted",
        "the bad release reached nobody, so nothing is shown": not bad["reached"],
        f"{row['refused']} reports of devices were refused": row["refused"],
    }
    return [sentence for sentence, count in wrong.items() if count]
