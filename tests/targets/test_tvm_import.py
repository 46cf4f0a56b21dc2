"""TVM comes without PyTorch, and PyTorch can still come after it."""

import subprocess
import sys

import pytest

from profiles.errors import MissingToolError
from targets.registry import installed_version
from targets.tvm_import import tvm_package

CHILD = """
import sys
from targets.tvm_import import tvm_package
{before}
tvm = tvm_package("this test", "tvm-fpga")
assert tvm.__name__ == "tvm" and sys.modules["tvm"] is tvm
assert ("torch" in sys.modules) is {there}, sorted(name for name in sys.modules if "torch" in name)
from tvm import relax
from tvm.relax.frontend.onnx import onnx_frontend
import torch
print(int(torch.nn.Linear(2, 3)(torch.zeros(1, 2)).numel()), relax.const(1).ty)
"""


@pytest.mark.parametrize(("before", "there"), [("", False), ("import torch", True)])
def test_pytorch_is_imported_only_by_those_who_want_it(before, there):
    if installed_version("apache-tvm") is None or installed_version("torch") is None:
        pytest.skip("needs apache-tvm and torch")
    child = CHILD.format(before=before, there=there)
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 ")


def test_without_it_the_package_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "tvm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tvm", None)
    with pytest.raises(MissingToolError, match="this needs the package apache-tvm") as caught:
        tvm_package("this", "tvm-cpu")
    assert "edgewright[tvm-cpu]" in str(caught.value)
    assert "torch" not in sys.modules or sys.modules["torch"] is not None
