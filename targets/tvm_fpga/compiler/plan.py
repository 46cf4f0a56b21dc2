"""Which tensors stay on the chip, and in how many bands of rows a layer runs whose tensors do not.

A tensor stays (is *resident*) from the layer that writes it to the last that reads it, if all that is needed at a
time fits. If it does not, the largest of the tensors at the most crowded layer is *spilled*: it lies in memory, and
every layer that touches it runs in bands of output rows, each with loads of the rows that it sees and a store of the
rows that it makes. Two buffers take turns, if there is room, so that one band is computed while the next is loaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from profiles.errors import UnsupportedError
from targets.tvm_fpga.compiler.blocks import rows_per_block
from targets.tvm_fpga.compiler.ir import Layer, Region, Tensor
from targets.tvm_fpga.compiler.layout import View, pitch, plain, run_of, runs, slice_beats
from targets.tvm_fpga.compiler.place import Need, crowded, free_beside, place
from targets.tvm_fpga.geometry import Geometry

#: Parts of what is free that bands try to take: less when the free vectors are not in one piece.
_SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)


@dataclasses.dataclass(frozen=True)
class Bands:
    """Output rows of each band, first and count, and how many buffers take turns."""

    rows: tuple[tuple[int, int], ...]
    turns: int = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """Where everything is.

    Attributes:
        starts: vector of every resident tensor, and of every :func:`buffer`.
        spilled: tensors that lie in memory.
        bands: of each layer.
        runs: of each layer: as in :func:`targets.tvm_fpga.compiler.layout.run_of`.
    """

    starts: Mapping[str, int]
    spilled: frozenset[str]
    bands: tuple[Bands, ...]
    runs: tuple[int, ...]


def buffer(layer: int, role: str, turn: int) -> str:
    """The name of one of the two buffers that a layer has for a spilled tensor: its source, out, or other."""
    return f"{role} of {layer}, {turn}"


def source_view(layer: Layer, run: int, geometry: Geometry, base: int, rows: tuple[int, int]) -> View:
    """Rows of a layer's source as they lie on the chip."""
    return runs(layer, run, base, rows) if run else plain(layer.source, geometry, base, rows)


def plan(region: Region, geometry: Geometry) -> Plan:
    """Everything on the chip if it fits, else as much as does.

    Raises:
        UnsupportedError: a single row of some layer's output needs more than there is.
    """
    planner = _Planner(region, geometry)
    while (found := planner.placed()) is None:
        planner.spill()
    return found


class _Planner:
    """Spills tensors one by one until the others, and buffers for these, fit."""

    def __init__(self, region: Region, geometry: Geometry) -> None:
        self.region, self.geometry = region, geometry
        self.runs = tuple(self._run(layer) for layer in region.layers)
        self.needs = {need.name: need for need in self._residents()}
        self.spilled: set[str] = set()

    def placed(self) -> Plan | None:
        """A place for everything, if there is one."""
        for share in _SHARES if self.spilled else _SHARES[:1]:
            bands = self._bands(share)
            if bands is None:
                continue
            starts = place([*self.needs.values(), *self._buffers(bands)], self.geometry.activations)
            if starts is not None:
                return Plan(starts, frozenset(self.spilled), bands, self.runs)
        return None

    def spill(self) -> None:
        """The largest tensor at the most crowded layer.

        Raises:
            UnsupportedError: there is none left.
        """
        able = [need for need in self.needs.values() if self._can_spill(need.name)]
        if not able:
            layer = self._hungriest()
            raise UnsupportedError(
                f"the activations of '{layer.name}' do not fit on the chip, not even row by row",
                seen=", ".join(f"{each.name} {each.shape}" for each in (*layer.sources, layer.out)),
                allowed=f"{self.geometry.activations} vectors of {self.geometry.lanes} channels",
            )
        number = crowded(able, len(self.region.layers))
        there = [need for need in able if need.born <= number <= need.dies]
        victim = max(there, key=lambda need: (need.vectors, need.dies - need.born)).name
        self.spilled.add(victim)
        del self.needs[victim]

    def _run(self, layer: Layer) -> int:
        """Only what comes in from outside, for one layer alone, can lie in memory as that layer wants it."""
        name = layer.source.name
        alone = name in {tensor.name for tensor in self.region.sources} and len(self.region.users(name)) == 1
        return run_of(layer, self.geometry) if alone else 0

    def _residents(self) -> Iterator[Need]:
        """All tensors as if they stayed."""
        layers = self.region.layers
        for name, tensor in self.region.tensors.items():
            users, writers = self.region.users(name), self.region.writers(name)
            if not users and not writers:
                continue
            vectors = tensor.height * pitch(tensor, self.geometry)
            if users and self.runs[users[0]]:
                view = runs(layers[users[0]], self.runs[users[0]])
                vectors = view.rows * view.pitch
            beside = {each.name for user in users for each in layers[user].sources if layers[user].addition}
            span = min([*writers, *users]), max([*writers, *users])
            yield Need(name, vectors, *span, frozenset(beside - {name}))

    def _touched(self, layer: Layer) -> list[tuple[str, Tensor]]:
        """Spilled tensors of a layer, with what they are to it."""
        roles = [("source", layer.source), ("out", layer.out)]
        roles += [("other", layer.addition.other)] if layer.addition else []
        return [(role, tensor) for role, tensor in roles if tensor.name in self.spilled]

    def _vectors(self, number: int, rows: int) -> dict[str, int]:
        """Of the buffer of each spilled tensor, for some rows of the output."""
        layer, found = self.region.layers[number], {}
        for role, tensor in self._touched(layer):
            if role == "source":
                span = (rows - 1) * layer.stride[0] + (layer.kernel[0] - 1) * layer.dilation[0] + 1
                view = source_view(layer, self.runs[number], self.geometry, 0, (0, min(span, tensor.height)))
                found[role] = view.rows * view.pitch
            else:
                found[role] = rows * pitch(tensor, self.geometry)
        return found

    def _bands(self, share: float) -> tuple[Bands, ...] | None:
        """Of every layer; nothing if some layer has not even room for one row."""
        found = []
        for number in range(len(self.region.layers)):
            room = int(share * free_beside(self.needs, number, self.geometry.activations))
            bands = self._bands_of(number, room)
            if bands is None:
                return None
            found.append(bands)
        return tuple(found)

    def _bands_of(self, number: int, room: int) -> Bands | None:
        """All rows at once if they fit, else as many as fit twice, or once; whole blocks if there are several."""
        layer = self.region.layers[number]
        total, block = layer.out.height, rows_per_block(layer, self.geometry, self.runs[number])
        if not self._touched(layer) or sum(self._vectors(number, total).values()) <= room:
            return Bands(((0, total),))
        for turns in (2, 1):
            tried = range(total - 1, 0, -1)
            most = next((rows for rows in tried if turns * sum(self._vectors(number, rows).values()) <= room), 0)
            most -= most % block if most > block else 0
            if most:
                return Bands(tuple((first, min(most, total - first)) for first in range(0, total, most)), turns)
        return None

    def _buffers(self, bands: Sequence[Bands]) -> Iterator[Need]:
        for number, each in enumerate(bands):
            for role, vectors in self._vectors(number, each.rows[0][1]).items():
                for turn in range(each.turns):
                    yield Need(buffer(number, role, turn), vectors, number, number)

    def _can_spill(self, name: str) -> bool:
        """Slices of a tensor are stored position by position, in whole beats."""
        writers = [self.region.layers[number] for number in self.region.writers(name)]
        return len(writers) < 2 or all(slice_beats(layer, self.geometry) for layer in writers)

    def _hungriest(self) -> Layer:
        """The layer that has the least left for its buffers."""

        def missing(number: int) -> int:
            return sum(self._vectors(number, 1).values()) - free_beside(self.needs, number, self.geometry.activations)

        return self.region.layers[max(range(len(self.region.layers)), key=missing)]
