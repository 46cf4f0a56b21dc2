"""How far a group's input must lie behind its output, so that no row is overwritten before it is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.plan.strips import IN_PLACE, Source, Stage


@dataclasses.dataclass(frozen=True)
class _Reader:
    """A source in memory. For every row of the root: the row that is read next; and how many are read in the end."""

    source: Source
    following: Array
    total: int


def distances(
    stages: Sequence[Stage], sizes: Mapping[int, int], overlaps: Mapping[int, Mapping[int, int]]
) -> dict[int, int]:
    """Smallest safe ``address(input) - address(output)`` in bytes for every tensor in memory that the stages read.

    When row ``r`` of the output is written, every byte of it must lie below the first byte that is still to be read:
    ``address(output) + (r + 1) * row_bytes <= address(input) + unread(r)``. A root that reads a row while it
    writes one (an addition) keeps the distance that its whole call asks for, between these two rows.

    Args:
        stages: of a group.
        sizes: bytes of the tensors in memory.
        overlaps: of the calls, by index of the call.
    """
    root = stages[-1]
    rows = np.arange(root.rows)
    found = {key: -size for key, size in sizes.items()}
    for reader in _readers(stages, len(stages) - 1, rows):
        key, row_bytes = reader.source.tensor, reader.source.row_bytes
        unread = (rows + 1) * root.row_bytes - reader.following * row_bytes
        unread = unread[reader.following < reader.total]
        found[key] = max([found[key], *unread.tolist()])
    for stage in _writers(stages):
        early = any(source.stage >= 0 and source.at == IN_PLACE for source in stage.sources)
        for source in stage.sources:
            if source.stage < 0 and stage.mode != "ring":
                behind = rows * (stage.stride * source.row_bytes - root.row_bytes)
                room = overlaps[stage.call].get(source.tensor, root.row_bytes)
                room = root.row_bytes if early else room
                found[source.tensor] = max(found[source.tensor], int(np.max(room - behind)))
    return found


def _writers(stages: Sequence[Stage]) -> Iterator[Stage]:
    """The root, and below it the stages that write into the row of the output, too."""
    stage = stages[-1]
    while True:
        yield stage
        below = [source.stage for source in stage.sources if source.stage >= 0 and source.at == IN_PLACE]
        if not below:
            return
        stage = stages[below[0]]


def _readers(stages: Sequence[Stage], index: int, rows: Array) -> Iterator[_Reader]:
    """Sources in memory below a stage of which ``rows`` are the last rows computed (-1: none yet)."""
    stage = stages[index]
    if stage.mode == "ring":
        loaded = np.where(rows < 0, 0, np.clip(rows * stage.stride + stage.reach, 0, stage.in_rows))
        last, following, total = loaded - 1, loaded, int(loaded[-1])
    else:
        last, following = np.where(rows < 0, -1, rows * stage.stride), (rows + 1) * stage.stride
        total = int(last[-1]) + 1
    for source in stage.sources:
        if source.stage >= 0:
            yield from _readers(stages, source.stage, last)
        else:
            yield _Reader(source, following, total)
