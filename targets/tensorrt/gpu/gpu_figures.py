"""What the runner says of the GPU, the engine and the memory that it takes. Travels to the device."""

from __future__ import annotations

from profiles.measurement import Kind, Metric, unavailable
from targets.tensorrt.gpu.gpu import Gpu
from targets.tensorrt.gpu.session import Session
from targets.tensorrt.plan import BuildPlan

COMPILED_NOW = "compiled here, now"


def origin(*, shipped: bool, built: bool) -> str:
    """Where an engine came from, in words."""
    if shipped:
        return "compiled ahead of time"
    return COMPILED_NOW if built else "compiled here, kept"


def facts(plan: BuildPlan, gpu: Gpu, session: Session, source: str) -> dict[str, str]:
    """In words: the library, the GPU, its driver, and where the engine came from."""
    told = {
        "engine": f"{plan.library} {session.library.__version__}",
        "engine origin": source,
        "ready after": f"{session.ready_after:.2f} s, from the engine's file to the first possible inference",
        "gpu": gpu.name,
        "compute capability": gpu.compute_capability,
        "driver": gpu.driver or "the system does not tell",
        "cuda": gpu.cuda,
        "tf32": "allowed" if plan.tf32 else "off",
    }
    if source == COMPILED_NOW:
        told["peak memory"] = "includes the compiler's: measure again for that of the engine alone"
    return told


def memory(session: Session, gpu: Gpu) -> dict[str, Metric]:
    """Of the engine that is loaded; the driver hands memory out in blocks (2 MiB on most GPUs)."""
    shared = ", which the processor and other programs share" if gpu.integrated else ""
    taken = f"fall of the GPU's free memory (cuMemGetInfo{shared})"
    context = float(session.engine.device_memory_size_v2)
    says = "activations and scratch memory of one execution context, says the engine"
    return {
        "gpu_memory": _bytes(
            "gpu_memory", session.memory.peak, f"{taken} since before the engine was loaded, without CUDA's own context"
        ),
        "engine_memory": _bytes("engine_memory", session.engine_bytes, f"{taken} while the engine was loaded"),
        "context_memory": Metric(context, "B", Kind.MEASURED, says),
    }


def _bytes(name: str, count: int, how: str) -> Metric:
    if not count:
        return unavailable(name, "less than the blocks in which the driver hands out memory")
    return Metric(float(count), "B", Kind.MEASURED, how)
