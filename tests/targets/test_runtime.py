"""The runtime zipapp: complete, deterministic, and free of what must not travel."""

import ast
import json
import subprocess
import zipfile

import pytest

from profiles.errors import ConfigError
from targets.artifact import sha256
from targets.registry import load_target, missing_packages, target_names
from targets.runtime import MIN_PYTHON, runtime_modules, runtime_zipapp

IMPORT_ALL = """
import importlib, json, pathlib, sys
root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root))
places = {}
for path in sorted(root.rglob("*.py")):
    parts = path.relative_to(root).with_suffix("").parts
    if parts == ("__main__",):
        continue
    module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    places[module.__name__] = module.__file__
print(json.dumps(places))
"""


def run(python, *arguments, **kwargs):
    return subprocess.run([python, *map(str, arguments)], capture_output=True, text=True, check=False, **kwargs)


def test_equal_sources_give_equal_bytes(tmp_path):
    one, two = (runtime_zipapp("null", tmp_path / name) for name in ("one.pyz", "two.pyz"))
    assert sha256(one) == sha256(two), "building the runtime twice must give the same bytes"


def test_the_null_runtime_needs_nothing_but_numpy(numpy_python, tmp_path):
    check_imports("null", numpy_python, tmp_path)


@pytest.mark.parametrize("target", [name for name in target_names() if name != "null"])
def test_every_runtime_needs_nothing_but_its_engine(target, engine_python, tmp_path):
    missing = missing_packages(load_target(target))
    if missing:
        pytest.skip(f"needs {', '.join(missing)}; run: pip install 'edgewright[{target}]'")
    check_imports(target, engine_python, tmp_path)


def check_imports(target, python, tmp_path):
    """Import every module of the runtime where this repository cannot be seen."""
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(runtime_zipapp(target, tmp_path / "runtime.pyz")) as archive:
        archive.extractall(unpacked)
    done = run(python, "-I", "-c", IMPORT_ALL, unpacked, cwd=tmp_path)
    assert done.returncode == 0, f"the runtime for {target} must be complete: {done.stderr}"
    places = json.loads(done.stdout)
    assert f"targets.{target}.runner" in places
    assert "targets.worker" in places
    strays = {name: place for name, place in places.items() if not place.startswith(str(unpacked))}
    assert not strays, "every module must come from the runtime itself"


@pytest.mark.parametrize("target", target_names())
def test_only_what_the_worker_needs_travels(target, repository):
    modules = runtime_modules(target)
    profiles = set((repository / "profiles").rglob("*.py"))
    assert profiles <= set(modules.values()), "all modules of profiles travel, also those imported by name"
    folders = {name.split(".")[1] for name in modules if name.startswith("targets.") and name.count(".") > 1}
    assert folders == {target}, "no other backend travels"
    assert f"targets.{target}.target" not in modules, "the compiler's side stays here"
    assert not [name for name in modules if name.startswith("toolchain")]


@pytest.mark.parametrize("target", target_names())
def test_the_sources_are_of_the_promised_python(target):
    for path in runtime_modules(target).values():
        ast.parse(path.read_bytes(), str(path), feature_version=MIN_PYTHON)


def test_runs_as_a_program(numpy_python, bundle, tmp_path):
    runtime = runtime_zipapp("null", tmp_path / "elsewhere" / "runtime.pyz")
    request = json.dumps({"action": "verify", "bundle": str(bundle), "watch": False})
    done = run(numpy_python, "-I", runtime, request, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"event": "result", "golden_error": 0.0}


@pytest.mark.parametrize("name", ["nothing", "", "../null", "null.runner", "NULL"])
def test_a_target_without_runner_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match="no runner"):
        runtime_zipapp(name, tmp_path / "runtime.pyz")
    assert not list(tmp_path.iterdir()), "nothing may be written"
