"""What importing loads: nothing heavy before it is needed."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "pydantic", "numpy", "onnx", "onnxruntime", "openvino", "nncf", "ai_edge_litert", "rich", "jinja2"}


def loaded_by(code):
    """Names of heavy packages that are loaded after ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.split())
    assert "toolchain" in modules or "targets" in modules, "the code must have imported something of ours"
    return modules & HEAVY


def test_the_package_loads_nothing_heavy():
    assert loaded_by("import toolchain; toolchain.build; toolchain.profile") == set()


def test_the_command_line_loads_nothing_heavy():
    assert loaded_by("import toolchain.cli.main; import toolchain.cli.parser") == set()


@pytest.mark.parametrize("name", ["toolchain.pipeline", "toolchain.support", "toolchain.dry_run", "toolchain.doctor"])
def test_the_pipeline_loads_no_engine_and_no_torch(name):
    assert loaded_by(f"import {name}") <= {"numpy", "pydantic"}


def test_workers_load_no_engine_before_they_are_asked():
    for name in ("targets.worker", "targets.reference_worker"):
        assert loaded_by(f"import {name}") <= {"numpy"}
    assert loaded_by("import toolchain.steps.bundle_worker") <= {"numpy", "pydantic"}


def test_a_build_from_files_loads_no_torch_and_no_engine_in_this_process(tiny):
    """Engines run in processes of their own; torch is for torch models."""
    code = (
        "import toolchain\n"
        "from toolchain.project import project_from_dict\n"
        "project = project_from_dict({'model': {'source': 'tiny.onnx'}, "
        "'device': [{'profile': 'local-cpu', 'target': 'onnxruntime'}]})\n"
        "toolchain.build(project, out='out', profile=False)"
    )
    assert not loaded_by(code) & {"torch", "openvino", "nncf", "ai_edge_litert"}
