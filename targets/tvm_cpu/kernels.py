"""TVM's kernels as one object file. Runs in the compiler's own process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: In front of the names of kernels, so that they meet no other symbol; TVM adds its own mark before it.
PREFIX = "ewk_"
_MARK = "__tvm_ffi_"


def symbol(kernel: str) -> str:
    """The name of a kernel in the object file."""
    return f"{_MARK}{PREFIX}{kernel}"


def write_object(functions: Mapping[str, Any], target: Any, out: Path) -> None:
    """Compile kernels with LLVM. The same kernels give the same bytes.

    Checks of arguments are left out: the plan is made from the same shapes as the kernels.

    Args:
        functions: TIR by name; schedules are applied already.
        target: TVM's target.
        out: the object file.
    """
    import tvm

    named = {name: function.with_attr("global_symbol", PREFIX + name) for name, function in sorted(functions.items())}
    module = tvm.IRModule({tvm.ir.GlobalVar(name): function for name, function in named.items()})
    with tvm.transform.PassContext(config={"tirx.disable_assert": True}):
        tvm.tirx.build(module, target=target).write_to_file(str(out), "o")
