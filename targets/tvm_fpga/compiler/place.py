"""Where blocks of vectors lie in the activation memory: free while they are needed, and away from what is read with
them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

BANKS = 4


@dataclasses.dataclass(frozen=True)
class Need:
    """Vectors, and the layers (by number, both included) between which they are needed.

    ``beside`` are names of what is read in the same cycles and had better lie in another bank.
    """

    name: str
    vectors: int
    born: int
    dies: int
    beside: frozenset[str] = frozenset()

    def meets(self, other: Need) -> bool:
        """Whether both are needed at some time."""
        return self.born <= other.dies and other.born <= self.dies


def place(needs: Sequence[Need], depth: int) -> dict[str, int] | None:
    """A start for each, the largest first, where it shares fewest banks; nothing if they do not fit."""
    placed: dict[str, tuple[int, int]] = {}
    by_name = {need.name: need for need in needs}
    for need in sorted(needs, key=lambda each: (-each.vectors, each.born)):
        taken = [span for name, span in placed.items() if by_name[name].meets(need)]
        starts = sorted({0, *(end for _, end in taken), *(number * depth // BANKS for number in range(BANKS))})
        free = [start for start in starts if _fits(start, need.vectors, taken, depth)]
        if not free:
            return None
        others = [span for name, span in placed.items() if name in need.beside or need.name in by_name[name].beside]
        best = min(free, key=lambda start: (_shared((start, start + need.vectors), others, depth), start))
        placed[need.name] = (best, best + need.vectors)
    return {name: start for name, (start, _) in placed.items()}


def crowded(needs: Iterable[Need], layers: int) -> int:
    """The layer in which most vectors are needed."""
    total = [0] * layers
    for need in needs:
        for number in range(max(need.born, 0), min(need.dies + 1, layers)):
            total[number] += need.vectors
    return max(range(layers), key=lambda number: total[number])


def free_beside(needs: Mapping[str, Need], number: int, depth: int) -> int:
    """Vectors that a layer leaves free."""
    return depth - sum(need.vectors for need in needs.values() if need.born <= number <= need.dies)


def _fits(start: int, vectors: int, taken: Sequence[tuple[int, int]], depth: int) -> bool:
    return start + vectors <= depth and all(start + vectors <= low or start >= high for low, high in taken)


def _shared(mine: tuple[int, int], others: Sequence[tuple[int, int]], depth: int) -> int:
    """Banks that a block would share with others."""
    return sum(len(_banks(mine, depth) & _banks(other, depth)) for other in others)


def _banks(span: tuple[int, int], depth: int) -> set[int]:
    bank = depth // BANKS
    return set(range(span[0] // bank, (span[1] - 1) // bank + 1))
