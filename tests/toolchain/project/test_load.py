from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.errors import ConfigError
from toolchain.project import load_project, project_from_dict

MODEL = '[model]\nsource = "zoo:resnet8"\n'
MINIMAL = {"model": {"source": "zoo:resnet8"}}


def test_the_smallest_project_has_defaults_and_no_devices(load, tmp_path):
    project = load(MODEL)
    assert (project.path, project.folder) == (tmp_path / "edge.toml", tmp_path)
    assert (project.model.name, project.data, project.train, project.devices) == ("resnet8", None, None, ())
    assert project.compress.steps == ()
    assert project.quantize.calibrator == "minmax"


def test_paths_are_relative_to_the_project_file_wherever_it_is_loaded_from(load, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    project = load(
        '[model]\nsource = "net:make"\nweights = "w/net.pt"\n[data]\nsource = "parquet:../sets/cifar"\n',
    )
    assert project.model.weights == tmp_path / "w" / "net.pt"
    assert project.data is not None
    assert project.data.source.path == tmp_path.parent / "sets" / "cifar"


def test_a_relative_path_to_the_project_file_gives_absolute_paths(load, tmp_path, monkeypatch):
    load('[model]\nsource = "net.onnx"\n')
    monkeypatch.chdir(tmp_path)
    project = load_project("edge.toml")
    assert (project.path, project.model.source.path) == (tmp_path / "edge.toml", tmp_path / "net.onnx")


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "edge.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MODEL.replace("\n", "\r\n").encode() + b"wieghts = 1\r\n")
    with pytest.raises(ConfigError, match=r"line 3: model\.wieghts"):
        load_project(path)


def test_an_unknown_key_names_its_line_the_known_keys_and_the_nearest(refusal):
    error = refusal(MODEL + '\n[quantize]\n# a comment\ncalibratr = "minmax"\n')
    assert error.wanted == "edge.toml, line 6: quantize.calibratr is not a known key"
    assert error.allowed == "calibrator, percentile, per_channel"
    assert error.next_step == "did you mean 'calibrator'?"


def test_an_unknown_section_is_reported_before_the_section_that_is_missing(refusal):
    error = refusal('[modle]\nsource = "zoo:resnet8"\n')
    assert error.wanted == "edge.toml, line 1: modle is not a known key"
    assert error.next_step == (
        "did you mean 'model'?; 1 more problem after this one: the project needs the section [model]"
    )


def test_the_first_problem_in_the_file_comes_first_and_the_others_are_counted(refusal):
    error = refusal('[train]\nepochs = "5"\nlr = 0.0\n[data]\nsource = "digit"\n' + MODEL + "name = 3\n")
    assert error.wanted == "edge.toml, line 2: train.epochs has a value of the wrong type"
    assert error.next_step.startswith("3 more problems after this one: train.lr is out of range (line 3), data.source")


@pytest.mark.parametrize(
    ("text", "where", "seen", "allowed"),
    [
        ('[train]\nepochs = "5"', "line 4: train.epochs", '"5" (a string)', "an integer"),
        ("[train]\nepochs = 5.0", "line 4: train.epochs", "5.0 (a number)", "an integer"),
        ("[train]\nepochs = true", "line 4: train.epochs", "true (a boolean)", "an integer"),
        ("[train]\naugment = 1", "line 4: train.augment", "1 (an integer)", "true or false"),
        ("[train]\nlr = nan", "line 4: train.lr", "NaN (a number)", "a finite number"),
        ("[train]\nlr = 2020-01-01", "line 4: train.lr", '"2020-01-01" (a date)', "a number"),
        ("[train]\nepochs = 0", "line 4: train.epochs", "0 (an integer)", "at least 1"),
        ("[train]\nmomentum = 1.5", "line 4: train.momentum", "1.5 (a number)", "less than 1"),
        ("[quantize]\npercentile = 50", "line 4: quantize.percentile", "50 (an integer)", "more than 50"),
        ("labels = [\n1]", "line 4: model.labels[0]", "1 (an integer)", "a string"),
        ("weights = 7", "line 3: model.weights", "7 (an integer)", "a string"),
        ("input = { shape = [] }", "line 3: model.input.shape", "[] (a list)", "at least 1 entry"),
        ("input = { shape = 3 }", "line 3: model.input.shape", "3 (an integer)", "a list"),
        ('input = { shape = [1,\n"3"] }', "line 4: model.input.shape[1]", '"3" (a string)', "an integer"),
        ("input = [{},\n5]", "line 4: model.input[1]", "5 (an integer)", "a table"),
        ("arguments = [1]", "line 3: model.arguments", "[1] (a list)", "a table"),
        ('name = ["a"]', "line 3: model.name", '["a"] (a list)', "a string"),
    ],
)
def test_a_wrong_value_names_key_line_what_was_seen_and_what_is_allowed(refusal, text, where, seen, allowed):
    error = refusal(MODEL + text + "\n")
    assert error.wanted.startswith(f"edge.toml, {where} "), error.wanted
    assert (error.seen, error.allowed) == (seen, allowed)


def test_an_unknown_word_names_the_nearest_one(refusal):
    error = refusal(MODEL + '[quantize]\ncalibrator = "percentil"\n')
    assert error.wanted == "edge.toml, line 4: quantize.calibrator has an unknown value"
    assert error.allowed == "minmax, percentile, entropy, mse"
    assert error.next_step == "did you mean 'percentile'?"


def test_a_missing_key_is_reported_at_its_table_with_what_belongs_there(refusal):
    error = refusal(MODEL + "[data]\ncalibration = 5\n")
    assert error.wanted == "edge.toml, line 3: data needs the key 'source'"
    assert error.allowed.startswith("Where samples come from: digits, parquet:DIR")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (MODEL + "[data\n", 3, "Expected ']'"),
        (MODEL + "[data]\nsource = digits\n", 4, "Invalid value"),
        (MODEL + 'source = "zoo:dscnn"\n', 3, "Cannot overwrite a value"),
        (MODEL + "input = { shape = [1, 2\n# never closed\n", 4, "Unclosed array"),
        (MODEL + "[budget]\nlatency = 5 ms\n", 4, "Expected newline"),
    ],
)
def test_a_syntax_error_names_the_line(refusal, text, line, message):
    error = refusal(text)
    assert error.wanted.startswith(f"edge.toml, line {line}: not valid TOML: {message}"), error.wanted


@pytest.mark.parametrize("depth", [100, 440, 480, 5000])
@pytest.mark.parametrize("closed", [True, False])
def test_deep_nesting_is_an_error_and_not_a_crash(refusal, depth, closed):
    error = refusal(f"{MODEL}deep = {'[' * depth}{']' * depth * closed}\n")
    assert "edge.toml" in error.wanted


def test_an_integer_with_too_many_digits_is_an_error(refusal):
    assert "not valid TOML" in refusal(f"{MODEL}deep = {'9' * 5000}\n").wanted


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="no such file") as caught:
        load_project(tmp_path / "edge.toml")
    assert caught.value.next_step == "write a starter with: edgewright init"


def test_a_folder_with_a_project_in_it_is_told_the_file(load, tmp_path):
    load(MODEL)
    with pytest.raises(ConfigError, match="a folder") as caught:
        load_project(tmp_path)
    assert caught.value.next_step == f"name the file: {tmp_path / 'edge.toml'}"


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "edge.toml")
    with pytest.raises(ConfigError, match="not a regular file"):
        load_project(tmp_path / "edge.toml")


def test_a_file_that_cannot_be_read_is_an_error(load, tmp_path, monkeypatch):
    load(MODEL)

    def denied(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(ConfigError, match="Permission denied"):
        load_project(tmp_path / "edge.toml")


def test_text_that_is_not_utf8_names_the_line_and_the_byte(tmp_path):
    (tmp_path / "edge.toml").write_bytes(MODEL.encode() + b'name = "caf\xe9"\n')
    with pytest.raises(ConfigError, match="line 3: the project file is not UTF-8") as caught:
        load_project(tmp_path / "edge.toml")
    assert caught.value.seen == "byte 0xe9"


def test_an_overlay_merges_tables_and_replaces_lists(load):
    text = MODEL + '[data]\nsource = "digits"\ncalibration = 7\n[[device]]\nprofile = "raspberry-pi-5"\n'
    project = load(text, overlay={"data": {"source": "random"}, "device": [{"profile": "local-cpu"}]})
    assert project.data is not None
    assert (project.data.source.kind, project.data.calibration) == ("random", 7)
    assert [entry.name for entry in project.devices] == ["local-cpu"]


def test_a_problem_in_the_overlay_is_not_blamed_on_a_line(refusal):
    text = MODEL + '[[device]]\nprofile = "local-cpu"\n[data]\nsource = "digits"\n'
    assert refusal(text, overlay={"device": [{"profile": "x"}]}).wanted.startswith("command line: device[0].profile ")
    assert refusal(text, overlay={"data": {"source": "x"}}).wanted.startswith("command line: data.source ")
    assert refusal(text + "tets = 1\n", overlay={"data": {"source": "digits"}}).wanted.startswith("edge.toml, line 7: ")


def test_a_project_without_a_file(tmp_path):
    project = project_from_dict(
        {"model": {"source": "net.tflite"}, "device": [{"profile": "local-cpu", "precision": "int8"}]}, folder=tmp_path
    )
    assert (project.path, project.folder) == (None, tmp_path)
    assert project.model.source.path == tmp_path / "net.tflite"
    assert [(entry.name, entry.precision) for entry in project.devices] == [("local-cpu", "int8")]


def test_a_project_without_a_file_starts_at_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert project_from_dict({"model": {"source": "net.onnx"}}).model.source.path == tmp_path / "net.onnx"


def test_problems_of_a_project_without_a_file_name_the_key_path():
    with pytest.raises(ConfigError) as caught:
        project_from_dict({**MINIMAL, "budget": {"latency": "fast"}})
    assert caught.value.wanted == "command line: budget.latency needs a number and a unit"


def test_a_project_is_frozen(load):
    with pytest.raises(ValueError, match="frozen"):
        load(MODEL).model.name = "other"


def test_importing_the_toolchain_loads_no_pydantic():
    check = "import sys, toolchain, toolchain.project; print([m for m in ('pydantic', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", "importing toolchain must stay quick, and pydantic takes a tenth of a second"


def test_an_unknown_public_name_is_an_attribute_error():
    import toolchain.project

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = toolchain.project.nothing


toml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
    | st.sampled_from(["zoo:resnet8", "digits", "local-cpu", "int8", "5 ms", "1 MiB", "x.onnx", "m:f", "ssh://h"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["source", "shape", "name", "profile", "precision", "threads", "cpu"]), inner),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_data_gives_a_project_or_a_config_error(data):
    from toolchain.project.models import ProjectFile
    from toolchain.project.problems import known_keys

    document = {}
    for section in data.draw(st.lists(st.sampled_from(list(ProjectFile.model_fields)), unique=True)):
        keys = st.sampled_from([*known_keys(ProjectFile, (section,)), "unknown"])
        table = st.dictionaries(keys, toml_values, max_size=3)
        document[section] = data.draw(st.lists(table, max_size=2) if section == "device" else table | toml_values)
    try:
        project_from_dict({**MINIMAL, **document})
    except ConfigError as error:
        assert error.wanted.startswith("command line: ")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2300), insert=st.text(alphabet='[]{}"=\n.#,x1\\\x00é', max_size=4))
def test_a_damaged_file_gives_a_project_or_a_config_error(tmp_path, cut, insert):
    from toolchain.project import starter_text

    text = starter_text()
    (tmp_path / "edge.toml").write_text(text[:cut] + insert + text[cut + 1 :], encoding="utf-8")
    try:
        load_project(tmp_path / "edge.toml")
    except ConfigError as error:
        assert "edge.toml" in error.wanted
