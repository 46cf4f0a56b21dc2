"""The lightweight networks of the catalogue: what they cost on each engine, and how far MACs foretell it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import Table, middle, say, span, write
from benchmarks.compress_latency import ENGINES, clock, write_file
from profiles.errors import EdgewrightError
from toolchain.compress.catalogue import all_methods
from toolchain.compress.catalogue.networks import Network
from toolchain.frontend.zoo import ZOO

CLAIM = (
    "MACs alone do not say which lightweight network is fast: time against that of MobileNetV2 at 224 x 224, float32, "
    "with random weights (latency does not depend on them; nothing is said about accuracy)."
)
#: What the others are held against.
BASE = "mobilenet_v2"


def run(rounds: int) -> list[str]:
    """Export, time in turn, write; there is no goal to miss."""
    networks = [method for method in all_methods() if isinstance(method, Network)]
    with tempfile.TemporaryDirectory(prefix="edgewright-networks-") as folder:
        files = {network.name: _exported(network, Path(folder)) for network in networks}
        times = {
            engine: clock(
                engine, {n.name: _given(n, files[n.name][form]) for n in networks if form in files[n.name]}, rounds
            )
            for engine, form in ENGINES.items()
        }
    found = {network.name: _figures(network, times) for network in networks}
    engines = [f"{engine}, of {BASE}" for engine in ENGINES]
    _write(["network", "input", "parameters", "MACs", *engines, "time per MAC, of the same"], networks, found)
    return []


def _exported(network: Network, folder: Path) -> dict[str, Path]:
    """Format to file; a format that refuses the network is left out, with the reason on standard error."""
    made: dict[str, Path] = {}
    for form in dict.fromkeys(ENGINES.values()):
        say(f"export {network.name} to {form}")
        module = built(network)
        path = folder / f"{network.name}.{form}"
        try:
            write_file(module, network.input_shape, path)
        except EdgewrightError as error:
            say(f"{network.name}: {error}")
        else:
            made[form] = path
    return made


def built(network: Network) -> Any:
    """The module that the catalogue's parameters and MACs are counted for, with random weights."""
    from toolchain.frontend.source import load_module
    from toolchain.frontend.specs import InputSpec, ModelSpec

    return load_module(
        ModelSpec(network.source, classes=classes(network), input=InputSpec(network.input_shape), seed=0)
    )


def classes(network: Network) -> int:
    """1000 for images of 224 x 224; 10 for networks of the zoo that are made for small ones."""
    return 10 if network.source.removeprefix("zoo:") in ZOO else 1000


def _given(network: Network, path: Path) -> tuple[str, tuple[int, ...], int]:
    return str(path), network.input_shape, classes(network)


def _figures(network: Network, times: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Ratios to the base by engine, from the same rounds."""
    ratios = {
        engine: middle([mine / base for mine, base in zip(found[network.name], found[BASE], strict=True)])
        for engine, found in times.items()
        if network.name in found
    }
    return {"params": network.params, "macs": network.macs, "input": list(network.input_shape), "time": ratios}


def _write(columns: list[str], networks: list[Network], found: dict[str, dict[str, Any]]) -> None:
    """The page, fewest MACs first."""
    rows = [_row(network, found) for network in sorted(networks, key=lambda network: network.macs)]
    notes = [
        "Parameters and MACs as `edgewright methods` gives them; time: median (lowest-highest of the rounds).",
        "Time per MAC: of ONNX Runtime; above 1 a network has fewer MACs than its time would let one think.",
        "–: that network cannot be exported to this engine's format; the command says why.",
    ]
    write("networks", "Lightweight networks", CLAIM, Table(columns, rows, notes), found)


def _row(network: Network, found: dict[str, dict[str, Any]]) -> list[str]:
    mine, base = found[network.name], found[BASE]
    times = [span(mine["time"][engine]) if engine in mine["time"] else "–" for engine in ENGINES]
    first = mine["time"].get("onnxruntime")
    each = f"{first['median'] / (mine['macs'] / base['macs']):.2f}" if first else "–"
    size = "x".join(str(axis) for axis in network.input_shape[2:])
    return [f"`{network.name}`", size, f"{mine['params'] / 1e6:.2f} M", f"{mine['macs'] / 1e6:.0f} M", *times, each]
