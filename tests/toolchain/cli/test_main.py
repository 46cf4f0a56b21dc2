"""The frame around all commands: what is loaded, where output goes, how errors become exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from profiles import errors
from toolchain.cli.exit_codes import _CODES, MEANINGS, exit_code

PROGRAM = Path(sys.executable).with_name("edgewright")
HEAVY = (
    "numpy",
    "pydantic",
    "rich",
    "jinja2",
    "torch",
    "onnx",
    "onnxruntime",
    "openvino",
    "ai_edge_litert",
    "filelock",
)


def loaded_by(code):
    """Names of the heavy packages that a program has loaded when it ends."""
    program = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(*sorted(set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = set(done.stderr.split())
    assert "toolchain" in modules, "the program must have loaded something of ours"
    return sorted(modules & set(HEAVY))


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["build", "--help"], ["profile", "--help"], ["compare", "--help"]]
)
def test_help_loads_nothing_heavy(words):
    """That is what makes it start in a fraction of a second."""
    assert loaded_by(f"from toolchain.cli.main import main; main({words!r})") == []


def test_a_wrong_command_loads_nothing_heavy():
    assert loaded_by("from toolchain.cli.main import main; main(['buidl'])") == []


def test_listing_devices_loads_no_engine():
    loaded = loaded_by("from toolchain.cli.main import main; main(['devices'])")
    assert not set(loaded) & {"torch", "onnx", "onnxruntime", "openvino", "ai_edge_litert"}


def test_every_error_has_an_exit_code_of_its_meaning():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    for kind in kinds:
        code = exit_code(kind("wanted", seen="seen"))
        assert code in MEANINGS
        assert code != 1 or kind in (errors.EdgewrightError, errors.ToolCrashError)
    assert set(_CODES) == set(kinds) - {errors.EdgewrightError}


def test_a_class_below_one_with_a_code_has_the_same_code():
    class Special(errors.DataError):
        pass

    assert exit_code(Special("wanted")) == 2


@pytest.mark.parametrize("words", [("devices",), ("devices", "--json"), ("doctor",), ("targets",), ("cache",)])
def test_a_reader_who_goes_away_is_no_error(words):
    """As in ``edgewright devices | head -1``."""
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    done = subprocess.run([PROGRAM, *words], stdout=reader.stdin, stderr=subprocess.PIPE, text=True, check=False)
    reader.stdin.close()
    assert (done.returncode, done.stderr) == (0, "")


def test_nobody_who_looks_at_the_progress_is_no_reason_to_stop(tiny):
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    words = ("build", tiny.name, "--device", "local-cpu", "--target", "null", "--no-profile")
    done = subprocess.run([PROGRAM, *words], stdout=reader.stdin, stderr=reader.stdin, check=False)
    reader.stdin.close()
    assert done.returncode == 0
    assert (tiny.parent / "build" / "report.html").is_file()


@pytest.mark.parametrize("words", [("devices",), ("devices", "--json"), ("cache",)])
def test_a_full_disk_behind_standard_output(words):
    with open("/dev/full", "w") as full:
        done = subprocess.run([PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("edgewright: cannot write to standard output\n  seen:    No space left on device\n")


@pytest.mark.parametrize("words", [("devices",), ("devices", "--json"), ("--help",)])
def test_no_standard_output_at_all(words):
    done = subprocess.run(["sh", "-c", '"$0" "$@" >&-', PROGRAM, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_standard_error_at_all(tiny):
    words = ("build", tiny.name, "--device", "local-cpu", "--target", "null", "--no-profile", "--json")
    done = subprocess.run(["sh", "-c", '"$0" "$@" 2>&-', PROGRAM, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and json.loads(done.stdout)["schema"] == 1
    done = subprocess.run(["sh", "-c", '"$0" "$@" 2>&-', PROGRAM, "buidl"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")


def test_errors_of_the_operating_system_are_put_into_words(cli, monkeypatch):
    def fail(*_):
        raise PermissionError(13, "Permission denied", "/some/where")

    monkeypatch.setattr("toolchain.cli.commands.devices.run", fail)
    refusal = cli("devices").refused(2)
    assert "/some/where" in refusal.wanted and refusal.seen == "Permission denied"


def test_the_module_is_the_command(program):
    outcome = program("--version", entry=(sys.executable, "-m", "toolchain")).fine()
    assert outcome.out.startswith("edgewright ")
