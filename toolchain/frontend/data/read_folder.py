"""Folders of images: one folder per class, optionally below ``train`` and ``test``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from profiles.errors import DataError
from toolchain.frontend.data.images import image_mode, pillow
from toolchain.frontend.data.sources import Raw
from toolchain.frontend.data.stores import ImageStore
from toolchain.frontend.specs import DataSpec, InputSpec

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
_TEST_NAMES = ("test", "val", "valid", "validation")
_SHAPE = "DIR/CLASS/*.png, or DIR/train/CLASS/*.png and DIR/test/CLASS/*.png"


def read(path: Path, data: DataSpec, spec: InputSpec) -> Raw:
    """Every image below a class folder; a folder ``test`` (or ``val``) beside ``train`` is set aside for testing."""
    image_mode(spec)
    if not path.is_dir():
        raise DataError("folder:DIR needs a folder", seen=str(path), allowed=_SHAPE, next_step="check the path")
    files, labels, test, notes = _collect(path)
    if not files:
        raise DataError(
            "the folder holds no images in class folders",
            seen=str(path),
            allowed=_SHAPE,
            next_step="put the images of each class into a folder with its name",
        )

    def name(row: int) -> str:
        return str(files[row].relative_to(path))

    store = ImageStore(len(files), lambda row: pillow().open(files[row]), name, spec)
    flags = np.array(test, bool) if any(test) else None
    return Raw(store, lambda row: files[row].read_bytes(), labels, test=flags, notes=tuple(notes))


def _collect(path: Path) -> tuple[list[Path], list[str], list[bool], list[str]]:
    files: list[Path] = []
    labels: list[str] = []
    test: list[bool] = []
    passed_over = 0
    for part, is_test in _parts(path):
        for folder in _folders(part):
            found = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
            images = [p for p in found if p.suffix.lower() in SUFFIXES]
            passed_over += len(found) - len(images)
            files += images
            labels += [folder.name] * len(images)
            test += [is_test] * len(images)
    return files, labels, test, [f"{passed_over} files that are not images were passed over"] if passed_over else []


def _parts(path: Path) -> list[tuple[Path, bool]]:
    names = {folder.name for folder in _folders(path)}
    held_out = [name for name in _TEST_NAMES if name in names]
    if "train" in names and names <= {"train", *_TEST_NAMES}:
        return [(path / "train", False), *((path / name, True) for name in held_out[:1])]
    if names and names <= set(_TEST_NAMES):
        raise DataError(
            "there is no folder 'train'",
            seen=f"{path} has {', '.join(sorted(names))}",
            allowed=_SHAPE,
            next_step="add it, or leave out the others",
        )
    return [(path, False)]


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
