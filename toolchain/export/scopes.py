"""Which torch layer a TFLite tensor came from.

``litert_torch`` names a tensor after the modules that were running, each as ``package.Class_attribute``
joined by ``/``, with ``;;`` between the parts of fused operators and ``;N`` to tell equal names apart.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from targets.tflite_tools import TfliteFile, TfliteTensor

if TYPE_CHECKING:
    import torch

_REPEAT = re.compile(r"@\d+$")


def layer_names(module: torch.nn.Module, file: TfliteFile) -> tuple[dict[str, str], dict[str, str]]:
    """Short names for the tensors of a converted file, and the layers behind them.

    Operator outputs come first, so that constants get the numbers. Names that would be longer, and
    those whose layer cannot be told, stay.

    Args:
        module: what was converted.
        file: the result, as the converter named its tensors.

    Returns:
        old name to new name, and new name to the qualified name of the layer (empty for the model's
        own ``forward``).
    """
    scopes = _Scopes(module)
    renamed: dict[str, str] = {}
    for io in (*file.inputs, *file.outputs):
        renamed.setdefault(io.tensor.name, io.name)
    layers: dict[str, str] = {}
    for tensor in _outputs_first(file):
        layer = scopes.find(tensor.name)
        if tensor.name in renamed or layer is None:
            continue
        name = _free(layer or type(module).__name__, {*renamed.values(), *layers})
        if len(name.encode()) <= len(tensor.name.encode()):
            renamed[tensor.name] = name
            layers[name] = layer
    return renamed, layers


def _outputs_first(file: TfliteFile) -> list[TfliteTensor]:
    main = {t.index: t for t in file.tensors if t.subgraph == 0}
    made = [main[index] for op in file.operators if op.subgraph == 0 for index in op.outputs]
    indices = {t.index for t in made}
    return made + [t for t in main.values() if t.index not in indices]


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name};{number}"
    return free


class _Scopes:
    """Finds layers by the way in which the converter spells them."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.components: dict[str, tuple[str, ...]] = {}
        spelled = {"": ""}
        for name, layer in module.named_modules():
            if name:
                kind = type(layer)
                spelled[name] = f"{kind.__module__}.{kind.__qualname__}_{name.rpartition('.')[2]}"
                parts = name.split(".")
                self.components[name] = tuple(spelled[".".join(parts[: i + 1])] for i in range(len(parts)))

    def find(self, tensor: str) -> str | None:
        """The layer of a tensor name; the last part of a fused name is the operator itself."""
        part = re.sub(r";\d*$", "", tensor).split(";;")[-1].rstrip(";")
        running = [_REPEAT.sub("", scope) for scope in part.split("/")]
        if not running[0].endswith(".ChannelLast"):
            return None
        if len(running) <= 2:
            return ""
        fits = [name for name, parts in self.components.items() if _ends(parts, running[2:])]
        return fits[0] if len(fits) == 1 else None


def _ends(parts: tuple[str, ...], running: list[str]) -> bool:
    """Whether the modules that ran are the layer's ancestors, in order, and at last the layer itself."""
    ancestors = iter(parts)
    return parts[-1] == running[-1] and all(scope in ancestors for scope in running)
