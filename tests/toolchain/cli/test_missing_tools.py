"""Where only the core is installed: what needs more says so, with the command that installs it."""

import importlib.metadata
import json
import re
from pathlib import Path

import pytest

import toolchain

ROOT = Path(toolchain.__file__).parents[1]
#: What pyproject.toml calls the core, and what that needs itself.
CORE = {"numpy", "pydantic", "rich", "jinja2", "filelock"}


def with_needs(names):
    """Normalised names of distributions and of everything that they need without extras."""
    found, left = set(), list(names)
    while left:
        name = normal(left.pop())
        if name in found:
            continue
        found.add(name)
        for need in importlib.metadata.requires(name) or ():
            if ";" not in need:
                left.append(re.match(r"[A-Za-z0-9._-]+", need).group())
    return found


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="session")
def core_python(python_with, tmp_path_factory):
    """An interpreter with the core's packages, and Edgewright from this checkout."""
    files = set()
    for name in with_needs(CORE):
        distribution = importlib.metadata.distribution(name)
        files |= {path.parts[0] for path in distribution.files or () if path.parts[0] not in ("..", "__pycache__")}
    return python_with(tmp_path_factory.mktemp("core"), lambda entry: entry in files)


@pytest.fixture
def bare(program, core_python):
    """The command line where nothing but the core is installed."""

    def run(*words, **env):
        return program(*words, entry=(core_python, "-m", "toolchain"), env={"PYTHONPATH": str(ROOT), **env})

    return run


def test_the_core_is_what_pyproject_says():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {re.match(r"[a-z0-9-]+", need).group() for need in project["dependencies"]} == CORE


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("tiny.onnx", "--target", "onnxruntime"), "onnxruntime"),
        (("net.tflite", "--target", "litert"), "litert"),
        (("zoo:resnet8", "--target", "onnxruntime"), "frontend"),
        (("zoo:resnet8", "--target", "null", "--data", "digits"), "frontend"),
    ],
)
def test_a_build_names_the_package_and_the_command(bare, tiny, tflite, words, extra):
    (tiny.parent / "net.tflite").write_bytes(tflite["float_model"]())
    refusal = bare("build", *words, "--device", "local-cpu", "--out", "out").refused(5)
    assert f"pip install 'edgewright[{extra}]'" in refusal.next
    assert not (tiny.parent / "out").exists()


def test_support_needs_the_package_that_reads_the_file(bare, tiny):
    refusal = bare("support", tiny.name, "--device", "local-cpu").refused(5)
    assert "edgewright[onnxruntime]" in refusal.next


def test_profiling_a_bundle_without_its_engine(bare, cli, tiny):
    cli("build", tiny.name, "--device", "local-cpu", "--target", "onnxruntime", "--no-profile").fine()
    before = sorted(path.name for path in (tiny.parent / "build" / "local-cpu").iterdir())
    refusal = bare("profile", "build/local-cpu").refused(5)
    assert "'onnxruntime'" in refusal.wanted and "pip install 'edgewright[onnxruntime]'" in refusal.next
    assert sorted(path.name for path in (tiny.parent / "build" / "local-cpu").iterdir()) == before


def test_a_bundle_of_the_null_target_needs_nothing(bare, cli, tiny):
    cli("build", tiny.name, "--device", "local-cpu", "--target", "null", "--no-profile").fine()
    bare("profile", "build/local-cpu", "--runs", "3").fine()
    bare("compare", "build/local-cpu").fine()
    bare("report", "build").fine()


@pytest.mark.parametrize("words", [("--help",), ("devices",), ("targets",), ("doctor",), ("cache",), ("init", "new")])
def test_commands_that_need_nothing_more(bare, here, words):
    bare(*words).fine()


def test_targets_says_what_is_installed(bare, here):
    rows = json.loads(bare("targets", "--json").fine().out)
    assert {row["name"]: row["installed"] for row in rows}["null"] is True
    assert not any(row["installed"] for row in rows if row["name"] != "null")


def test_doctor_names_everything_that_is_missing_and_how_to_install_it(bare, here):
    findings = {row["name"]: row for row in json.loads(bare("doctor", "--json").fine().out)}
    for name in ("torch", "onnxruntime", "openvino", "ai-edge-litert", "pyarrow", "nncf"):
        assert not findings[name]["found"] and findings[name]["command"].startswith("pip install")
    table = bare("doctor").fine().out
    assert "missing" in table and "pip install 'edgewright[openvino]'" in table
    assert bare("doctor", "--strict", PATH="/nowhere").status == 5


def test_every_command_of_the_doctor_is_an_extra_that_exists():
    import tomllib

    from toolchain.doctor import NEEDS

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for need in NEEDS:
        for extra in re.findall(r"edgewright\[([\w-]+)\]", need.command):
            listed = [normal(re.match(r"[A-Za-z0-9._-]+", name).group()) for name in extras[extra]]
            programs = {"benchmark-app": "openvino", "litert-benchmark": "ai-edge-litert"}
            assert programs.get(normal(need.name), normal(need.name)) in listed, (
                f"{need.command} installs no {need.name}"
            )
