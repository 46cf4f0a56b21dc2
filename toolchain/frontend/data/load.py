"""From a data spec to three checked parts."""

from __future__ import annotations

import hashlib

import numpy as np

from profiles.errors import DataError
from profiles.runner import Array
from toolchain.frontend.data.dataset import DataSet, Normalisation, Splits
from toolchain.frontend.data.labels import encode_labels
from toolchain.frontend.data.sources import Raw, parse_source, reader
from toolchain.frontend.data.split import choose, content_keys, ordered, split_test
from toolchain.frontend.specs import DataSpec, InputSpec


def load_data(spec: DataSpec, input_spec: InputSpec) -> Splits:
    """Read, check and split a data set.

    Which sample goes where follows from its content, its label and ``spec.seed``, not from the order
    of rows or files. Test samples are the source's own test part, else ``spec.test_fraction`` of
    each class. Training samples whose content is also tested are left out (a note says how many).
    Calibration samples come from the training part, the classes as even as possible.

    Images are decoded when first used (:meth:`DataSet.prefetch` does it at once).

    Args:
        spec: the source and how to split it.
        input_spec: shape, layout and normalisation that batches are made for.

    Raises:
        ConfigError: an unknown source, or an input that the source cannot fill.
        DataError: missing, empty, of one class, of the wrong shape, not finite, labels out of range.
        MissingToolError: the package that reads this source is not installed.
    """
    kind, path = parse_source(spec)
    try:
        raw = reader(kind)(path, spec, input_spec)
        keys = content_keys(map(raw.content, range(len(raw.store))), spec.seed)
    except OSError as error:
        raise DataError(
            "the data cannot be read",
            seen=f"{error.filename or path}: {error.strerror}",
            next_step="check the path and who may read it",
        ) from error
    if not keys:
        raise DataError("the data set is empty", seen=spec.source, next_step="add samples, or give other data")
    labels, names = (None, ()) if raw.labels is None else encode_labels(raw.labels, spec, raw.store.name, raw.names)
    train, test, notes = _parts(raw, keys, labels, spec)
    _check_parts(train, test, labels, spec)
    calibration = choose(_distinct(train, keys), labels, spec.calibration)
    if len(calibration) < spec.calibration:
        notes.append(f"only {len(calibration)} of the {spec.calibration} calibration samples asked for exist")
    normalisation = Normalisation.of(input_spec, raw.store.dtype)

    def part(rows: Array) -> DataSet:
        return DataSet(raw.store, rows, None if labels is None else labels[rows], input_spec, normalisation)

    return Splits(
        train=part(train),
        calibration=part(calibration),
        test=part(test),
        classes=names,
        source=spec.source,
        digest=_digest(keys, labels, (train, calibration, test)),
        mirrored=raw.mirrored,
        notes=(*raw.notes, *notes),
    )


def _parts(raw: Raw, keys: list[bytes], labels: Array | None, spec: DataSpec) -> tuple[Array, Array, list[str]]:
    """Rows to train with, rows to test with, and notes."""
    is_test = split_test(keys, labels, spec.test_fraction) if raw.test is None else raw.test
    tested = {keys[row] for row in np.flatnonzero(is_test)}
    candidates = np.flatnonzero(~is_test).tolist()
    kept = [row for row in candidates if keys[row] not in tested]
    left_out = len(candidates) - len(kept)
    notes = [f"{left_out} training samples were left out because they are also tested"] if left_out else []
    train = choose(ordered(keys, labels, kept), labels, spec.max_train or len(kept))
    test = ordered(keys, labels, np.flatnonzero(is_test).tolist())
    return train, choose(test, labels, spec.max_test or len(test)), notes


def _check_parts(train: Array, test: Array, labels: Array | None, spec: DataSpec) -> None:
    if not len(train) or not len(test):
        raise DataError(
            "both the training and the test part need samples",
            seen=f"{len(train)} to train, {len(test)} to test in {spec.source}",
            next_step="add samples, or change test_fraction",
        )
    if labels is not None and len(np.unique(labels[train])) < 2:
        raise DataError(
            "a classifier needs at least two classes",
            seen=f"only one class among {len(train)} training samples of {spec.source}",
            next_step='add samples of other classes, or set task = "none" under [model]',
        )


def _distinct(rows: Array, keys: list[bytes]) -> Array:
    """The first row of each content."""
    first: dict[bytes, int] = {}
    for row in rows:
        first.setdefault(keys[row], row)
    return np.array(list(first.values()), np.int64)


def _digest(keys: list[bytes], labels: Array | None, parts: tuple[Array, ...]) -> str:
    digest = hashlib.sha256()
    for rows in parts:
        digest.update(len(rows).to_bytes(8, "little"))
        for row in rows:
            digest.update(keys[row])
        if labels is not None:
            digest.update(labels[rows].astype("<i8").tobytes())
    return digest.hexdigest()
