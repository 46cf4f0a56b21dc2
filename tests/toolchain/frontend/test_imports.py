"""The frontend can be imported, and its zoo listed, without torch or any other heavy package."""

import subprocess
import sys
from pathlib import Path

import toolchain.frontend

#: Definitions of networks: they subclass torch's modules, and are imported when one is built.
NETWORKS = {
    "layers",
    *(entry.builder.partition(":")[0].rpartition(".")[2] for entry in toolchain.frontend.ZOO.values()),
}
#: Losses subclass torch's modules too, and are imported when a training begins.
LOSSES = "losses"
HEAVY = ("torch", "PIL", "pyarrow", "sklearn", "pytorchcv", "safetensors")

PROGRAM = """
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
from toolchain.frontend import ZOO
assert "resnet8" in ZOO
print([name for name in {heavy!r} if name in sys.modules])
"""


def test_no_module_of_the_frontend_but_the_networks_imports_heavy_packages():
    root = Path(toolchain.frontend.__file__).parent
    late = {*(root / "zoo" / f"{name}.py" for name in NETWORKS), root / "train" / f"{LOSSES}.py"}
    files = [p for p in root.rglob("*.py") if p not in late]
    names = [".".join(p.relative_to(root.parents[1]).with_suffix("").parts) for p in files]
    names = [name.removesuffix(".__init__") for name in names]
    assert len(names) > 20, f"expected to find the modules of the frontend, found {names}"
    program = PROGRAM.format(modules=names, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]", f"importing the frontend imported {done.stdout}"
