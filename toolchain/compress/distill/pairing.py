"""Which layer of the student learns from which layer of the teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from profiles.errors import ConfigError, ModelError
from profiles.suggest import did_you_mean
from toolchain.compress.distill.taps import Call
from toolchain.compress.distill.term import Pair

Calls = Sequence[Call]


def candidates(calls: Calls) -> list[Call]:
    """The activations; where a model has none as modules, all layers. The model's outputs are not among them."""
    inside = [call for call in calls if not call.final]
    return [call for call in inside if call.activation] or inside


def stages(calls: Calls) -> list[Call]:
    """The last activation before each change of resolution; behind the last map, before each change of width.

    Maps of one position, as in squeeze-and-excitation, are passed over, and so are vectors between maps.
    """
    found = candidates(calls)
    last_map = max((index for index, call in enumerate(found) if call.is_map), default=-1)
    maps = [call for call in found if call.is_map]
    vectors = [call for call in found[last_map + 1 :] if call.is_vector]
    return [*_ends(maps), *_ends(vectors)]


def _ends(calls: Calls) -> list[Call]:
    sizes = [call.shape[1:] or call.shape for call in calls]
    return [call for index, call in enumerate(calls) if sizes[index] not in sizes[index + 1 : index + 2]]


def pair_layers(
    student: Calls, teacher: Calls, layers: Mapping[str, str], models: tuple[torch.nn.Module, torch.nn.Module]
) -> list[tuple[Call, Call]]:
    """Pairs in the order of the student's run.

    Args:
        student, teacher: all calls of both.
        layers: student layer to teacher layer, as the user named them; empty pairs :func:`stages`: by name where
            both have the same activations (a pruned student), else maps and vectors each counted from the end.
        models: both, for their layers' names.

    Raises:
        ConfigError: no such layer, or a map paired with a vector.
        ModelError: a layer that gives no tensor.
    """
    if layers:
        return _named(student, teacher, layers, models)
    own = {call.name: call for call in candidates(student)}
    if list(own) == [call.name for call in candidates(teacher)]:
        return [(own[call.name], call) for call in stages(teacher) if _fit(own[call.name], call)]
    pairs = []
    for vector in (False, True):
        kinds = [[call for call in stages(calls) if call.is_vector == vector] for calls in (student, teacher)]
        count = min(map(len, kinds))
        pairs += list(zip(kinds[0][len(kinds[0]) - count :], kinds[1][len(kinds[1]) - count :], strict=True))
    return [pair for pair in pairs if _fit(*pair)]


def _fit(student: Call, teacher: Call) -> bool:
    return len(student.shape) == len(teacher.shape)


def _named(
    student: Calls, teacher: Calls, layers: Mapping[str, str], models: tuple[torch.nn.Module, torch.nn.Module]
) -> list[tuple[Call, Call]]:
    places = {call.name: place for place, call in enumerate(student)}
    found = []
    for own, other in layers.items():
        pair = _find(student, own, models[0], "student"), _find(teacher, other, models[1], "teacher")
        if not _fit(*pair):
            raise ConfigError(
                f"layers: '{own}' and '{other}' have another number of axes",
                seen=f"{pair[0].shape} and {pair[1].shape} for one sample",
                next_step="pair maps with maps, and vectors with vectors",
            )
        found.append(pair)
    return sorted(found, key=lambda pair: places[pair[0].name])


def _find(calls: Calls, name: str, model: torch.nn.Module, who: str) -> Call:
    for call in calls:
        if call.name == name:
            return call
    names = [known for known, _ in model.named_modules() if known]
    if name in names:
        raise ModelError(
            f"layers: the {who}'s layer must give one tensor for each sample",
            seen=f"'{name}' gives something else, or is never called",
            next_step="name another layer",
        )
    known = [call.name for call in stages(calls)]
    raise ConfigError(
        f"layers: the {who} has no such layer",
        seen=repr(name),
        allowed=f"any of its {len(names)} layers, such as {', '.join(known[:4]) or ', '.join(names[:4])}",
        next_step=did_you_mean(name, names),
    )


def describe(pairs: Sequence[tuple[Call, Call]]) -> tuple[Pair, ...]:
    """Names and shapes only."""
    return tuple(Pair(own.name, other.name, own.shape, other.shape) for own, other in pairs)
