"""The arrays of the compiler's tests."""

from tests.targets.tvm_fpga.compiler.conftest import small_array, usual_array

__all__ = ["small_array", "usual_array"]
