"""A build plan in the words of TensorRT's builder configuration.

What differs between TensorRT-RTX, TensorRT 10 and TensorRT 11 is decided by asking the module what it has:

* compute capabilities: TensorRT-RTX compiles for those of the plan, TensorRT for the GPU that it runs on;
* timing caches and DLA: TensorRT alone (in TensorRT-RTX timing caches do nothing).
"""

from __future__ import annotations

from typing import Any

from profiles.errors import UnsupportedError
from targets.tensorrt.plan import BuildPlan


def make_config(module: Any, builder: Any, plan: BuildPlan, wanted: str) -> tuple[Any, tuple[str, ...]]:
    """The configuration, and sentences on what the plan asks for and this version does not have.

    Raises:
        UnsupportedError: a compute capability or DLA core that there is not; ``wanted`` is the error's first line.
    """
    config = builder.create_builder_config()
    config.profiling_verbosity = module.ProfilingVerbosity.DETAILED
    config.builder_optimization_level = plan.optimization_level
    if plan.workspace is not None:
        config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, plan.workspace)
    lacking = [
        *_set_flag(module, config, "TF32", plan.tf32),
        *_set_flag(module, config, "SPARSE_WEIGHTS", plan.sparse_weights),
    ]
    if plan.ahead_of_time:
        _set_capabilities(module, config, plan, wanted)
    if plan.dla_core is not None:
        _use_dla(module, builder, config, plan.dla_core, wanted)
    return config, tuple(lacking)


def _set_flag(module: Any, config: Any, name: str, on: bool) -> list[str]:
    flag = getattr(module.BuilderFlag, name, None)
    if flag is None:
        return [f"this version has no builder flag {name}"] if on else []
    (config.set_flag if on else config.clear_flag)(flag)
    return []


def _set_capabilities(module: Any, config: Any, plan: BuildPlan, wanted: str) -> None:
    config.num_compute_capabilities = len(plan.compute_capabilities)
    for index, capability in enumerate(plan.compute_capabilities):
        member = getattr(module.ComputeCapability, f"SM{capability.replace('.', '')}", None)
        if member is None:
            raise UnsupportedError(
                wanted,
                seen=f"compute capability {capability}",
                allowed=f"{', '.join(listed_capabilities(module))} with version {module.__version__}",
                next_step='set library = "tensorrt" in the device section: the engine is then built on the device',
            )
        config.set_compute_capability(member, index)


def listed_capabilities(module: Any) -> list[str]:
    """The compute capabilities that a TensorRT-RTX can compile for, such as ``8.6``."""
    numbers = [name[2:] for name in module.ComputeCapability.__members__ if name.startswith("SM")]
    return [f"{number[:-1]}.{number[-1]}" for number in sorted(filter(str.isdigit, numbers), key=int)]


def _use_dla(module: Any, builder: Any, config: Any, core: int, wanted: str) -> None:
    """Put layers on a deep learning accelerator, and on the GPU what it cannot take."""
    cores = int(getattr(builder, "num_DLA_cores", 0))
    if core >= cores:
        raise UnsupportedError(
            wanted,
            seen=f"DLA core {core}",
            allowed=f"cores 0 to {cores - 1}" if cores else "none: this device, or this version, has no DLA",
            next_step="set dla_core = -1 in the device section to use the GPU",
        )
    config.default_device_type = module.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(module.BuilderFlag.GPU_FALLBACK)


def set_timing_cache(config: Any, content: bytes) -> Any:
    """The timing cache that the build reads and extends: ``content``, or a fresh one where that is of no use."""
    for candidate in dict.fromkeys((content, b"")):
        cache = config.create_timing_cache(candidate)
        if cache is not None and config.set_timing_cache(cache, False):
            return cache
    return None
