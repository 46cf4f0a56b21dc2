"""What a ``.pt2`` file may hold: tensors and PyTorch's operators. PyTorch's own loader also takes what runs code.

That is pickled objects, compiled libraries, functions of ``torch`` that are no operators, and expressions that are
evaluated as Python. A bundle is data, so a file with any of these is refused before it is loaded. Travels to the
device.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from profiles.errors import ModelError

_NAME = r"(?:_?[A-Za-z]\w*|__i?(?:and|or|xor|lshift|rshift)__)"
_SPACES = "aten|prims|quantized_decomposed|torchvision|higher_order"
_OPERATOR = re.compile(rf"torch\.ops\.(?:{_SPACES})\.{_NAME}(?:\.{_NAME})?|_operator\.getitem")
#: Folders of an archive, below its root, in which PyTorch looks for what it runs or unpickles.
_CODE = ("data/aotinductor/", "data/executorch/", "data/mtia", "xl_model_weights/")
_OBJECTS = ("custom_obj_", "opaque_obj_")


def check_trust(path: Path) -> None:
    """Refuse a file that could run code when it is loaded.

    Raises:
        ModelError: it holds more than tensors and operators; or it is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = next(_strangers(archive), "")
    except (OSError, ValueError, zipfile.BadZipFile, RecursionError, KeyError) as error:
        raise ModelError(
            f"wanted a program of torch.export in {path.name}",
            seen=str(error) or type(error).__name__,
            next_step="build or copy the bundle again",
        ) from error
    if found:
        raise ModelError(
            f"wanted nothing but tensors and PyTorch's operators in {path.name}",
            seen=found,
            next_step="export the model again, without objects of your own and with fixed shapes",
        )


def _strangers(archive: zipfile.ZipFile) -> Iterator[str]:
    """Sentences on what must not be there."""
    names = archive.namelist()
    if len(set(names)) != len(names):
        yield "two entries of one name"
    for info in archive.infolist():
        inner = info.filename.partition("/")[2]
        folder, _, name = inner.rpartition("/")
        if inner.startswith(_CODE):
            yield f"compiled code: {inner}"
        elif folder == "data/constants" and name.startswith(_OBJECTS):
            yield f"a pickled object: {inner}"
        elif folder == "data/sample_inputs" and info.file_size:
            yield f"pickled example inputs: {inner}"
        elif name.endswith(".json"):
            yield from _in_json(json.loads(archive.read(info)))


def _in_json(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _in_json(item)
    elif isinstance(value, dict):
        target = value.get("target")
        if isinstance(target, str) and "inputs" in value and not _OPERATOR.fullmatch(target):
            yield f"a function that is no operator: {target[:80]}"
        if value.get("use_pickle"):
            yield f"a pickled tensor: {str(value.get('path_name'))[:80]}"
        if "expr_str" in value:
            yield f"a shape that is computed: {str(value['expr_str'])[:80]}"
        for item in value.values():
            yield from _in_json(item)
