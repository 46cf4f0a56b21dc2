"""The model zoo: one registry, readable without torch.

``ZOO`` lists the built-in networks; their definitions are imported when they are built. Names under
``pytorchcv/`` are looked up in that package (``toolchain/frontend/zoo/pytorchcv.py``).
"""

from __future__ import annotations

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean
from toolchain.frontend.zoo import cifar, mlperf_tiny
from toolchain.frontend.zoo.entry import CLASSIFICATION, RECONSTRUCTION, TASKS, ZooEntry

__all__ = ["CLASSIFICATION", "RECONSTRUCTION", "TASKS", "ZOO", "ZooEntry", "zoo_entry"]

#: Every built-in network by name.
ZOO: dict[str, ZooEntry] = {entry.name: entry for entry in (*mlperf_tiny.ENTRIES, *cifar.ENTRIES)}


def zoo_entry(name: str) -> ZooEntry:
    """The entry of ``zoo:NAME``.

    Raises:
        ConfigError: there is no such network; the nearest name is given.
    """
    if name in ZOO:
        return ZOO[name]
    raise ConfigError(
        "no such network in the zoo",
        seen=f"zoo:{name}",
        allowed=", ".join(f"zoo:{known}" for known in ZOO) + ", zoo:pytorchcv/NAME",
        next_step=did_you_mean(name, ZOO),
    )
