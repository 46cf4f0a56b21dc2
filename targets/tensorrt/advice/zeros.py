"""What TensorRT does with weights that are zero: sparse tensor cores skip those of the 2:4 pattern, no others."""

from __future__ import annotations

from targets.sparsity import DENSE, Sparsity
from targets.tensorrt.plan import BuildPlan

#: The first compute capability with sparse tensor cores (Mishra et al. 2021, section 3).
FIRST = (8, 0)
#: Precisions that they have; fp32 is computed without TF32 here, and int4 is for weights alone.
PRECISIONS = ("fp16", "fp8", "int8")


def zeros(found: Sparsity, plan: BuildPlan) -> str:
    """A clause for :func:`targets.sparsity.notes`.

    Args:
        found: in the model.
        plan: of the build; says the GPUs, the precision, and whether sparse kernels may be chosen.
    """
    layers = len(found.patterns.get("2:4", ()))
    if not layers:
        return f"{DENSE}: sparse tensor cores skip zeros in the 2:4 pattern only"
    if why := _why_not(plan):
        return f"{DENSE}: {why}"
    count = f"{layers} layer{'s' if layers > 1 else ''}"
    return f"sparse tensor cores may skip those of {count} in the 2:4 pattern, where TensorRT finds that faster"


def _why_not(plan: BuildPlan) -> str:
    old = [one for one in plan.compute_capabilities if tuple(int(part) for part in one.split(".")) < FIRST]
    if old:
        return f"compute capability {', '.join(old)} has no sparse tensor cores, 8.0 and later have"
    if plan.precision not in PRECISIONS:
        return f"there are no sparse kernels in {plan.precision}, only in {', '.join(PRECISIONS)}"
    if plan.dla_core is not None:
        return "sparse tensor cores are the GPU's, and this is built for the DLA"
    if not plan.sparse_weights:
        return (
            "set parameters.sparse_weights = true under overrides, and sparse tensor cores may skip those in 2:4 layers"
        )
    return ""
