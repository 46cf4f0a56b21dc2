"""From the labels of a source, text or numbers, to class numbers and names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from profiles.errors import DataError
from profiles.runner import Array
from profiles.suggest import did_you_mean
from toolchain.frontend.specs import DataSpec


def encode_labels(
    raw: Sequence[Any], spec: DataSpec, name: Callable[[int], str], names: tuple[str, ...] = ()
) -> tuple[Array, tuple[str, ...]]:
    """Class numbers (int64) and class names.

    Text is numbered in the order of ``spec.classes``, else alphabetically. Numbers are used as they
    are: at least 0, and below the number of classes where the spec or the source fixes it.

    Args:
        raw: one label per row, all text or all whole numbers.
        spec: may name or count the classes.
        name: of a row, for errors.
        names: class names that the source itself states.

    Raises:
        DataError: a missing label, a mixture of text and numbers, an unknown or out-of-range label.
    """
    for row, label in enumerate(raw):
        if isinstance(label, bool) or not isinstance(label, (str, int, np.integer)):
            raise DataError(
                "labels are text or whole numbers", seen=f"{label!r} at {name(row)}", next_step="correct the label"
            )
    kinds = {isinstance(label, str) for label in raw}
    if len(kinds) > 1:
        raise DataError(
            "labels are all text or all whole numbers",
            seen="both kinds in one data set",
            next_step="write all of them in one way",
        )
    if kinds == {True}:
        return _encode_text(raw, spec, name)
    return _encode_numbers(np.asarray(raw, np.int64), spec, name, spec.classes or names)


def _encode_text(raw: Sequence[str], spec: DataSpec, name: Callable[[int], str]) -> tuple[Array, tuple[str, ...]]:
    known = spec.classes or tuple(sorted(set(raw)))
    number = {label: index for index, label in enumerate(known)}
    for row, label in enumerate(raw):
        if label not in number:
            raise DataError(
                "unknown class",
                seen=f"{label!r} at {name(row)}",
                allowed=", ".join(known),
                next_step=did_you_mean(label, known) or "correct the label, or add the class to labels under [model]",
            )
    _check_count(len(known), spec)
    return np.array([number[label] for label in raw], np.int64), known


def _encode_numbers(
    labels: Array, spec: DataSpec, name: Callable[[int], str], names: tuple[str, ...]
) -> tuple[Array, tuple[str, ...]]:
    count = spec.class_count or len(names) or int(labels.max(initial=0)) + 1
    outside = np.flatnonzero((labels < 0) | (labels >= count))
    if len(outside):
        row = int(outside[0])
        raise DataError(
            "a label is out of range",
            seen=f"{int(labels[row])} at {name(row)} ({len(outside)} such labels)",
            allowed=f"0 to {count - 1}",
            next_step="correct the labels, or set classes under [model]",
        )
    return labels, names or tuple(str(number) for number in range(count))


def _check_count(count: int, spec: DataSpec) -> None:
    if spec.num_classes is not None and spec.num_classes != count:
        raise DataError(
            "the data has another number of classes",
            seen=str(count),
            allowed=str(spec.num_classes),
            next_step="change classes under [model], or the data",
        )
