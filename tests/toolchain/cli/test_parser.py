"""Wrong usage: refused with the nearest known word, and exit status 2."""

import pytest

from profiles.errors import ConfigError
from toolchain.cli.parser import COMMANDS, parse


@pytest.mark.parametrize(
    ("typed", "meant"), [("buidl", "build"), ("profil", "profile"), ("Devices", "devices"), ("suport", "support")]
)
def test_an_unknown_command_names_the_nearest_one(cli, typed, meant):
    refusal = cli(typed, "tiny.onnx").refused(2)
    assert refusal.next == f"did you mean '{meant}'?"
    assert refusal.allowed == ", ".join(COMMANDS)


def test_a_command_that_is_near_to_none_points_at_the_help(cli):
    assert cli("xyzzy").refused(2).next == "run: edgewright --help"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("build", "x.onnx", "--devcie", "local-cpu"), "--device"),
        (("build", "x.onnx", "--jbos=2"), "--jobs"),
        (("profile", "build/x", "--run", "5"), "--runs"),
        (("build", "x.onnx", "--dev", "local-cpu"), "--device"),
        (("devices", "--jsn"), "--json"),
        (("--verson",), "--version"),
    ],
)
def test_an_unknown_option_names_the_nearest_one(cli, words, meant):
    """Abbreviations are unknown too: an option that comes later could give them another meaning."""
    refusal = cli(*words).refused(2)
    assert refusal.next == f"did you mean '{meant}'?"
    assert meant in refusal.allowed


def test_an_option_that_is_near_to_none(cli):
    assert cli("build", "x.onnx", "--xyzzy").refused(2).next == "run: edgewright build --help"


@pytest.mark.parametrize(
    ("words", "seen", "meant"),
    [
        (("build", "x.onnx", "--precision", "int9"), "'int9'", "did you mean 'int8'?"),
        (("build", "x.onnx", "--precision", "FP16"), "'FP16'", "did you mean 'fp16'?"),
        (("cache", "shwo"), "'shwo'", "did you mean 'show'?"),
        (("cache", "burn"), "'burn'", "run: edgewright cache --help"),
    ],
)
def test_a_value_that_is_not_among_the_choices(cli, words, seen, meant):
    refusal = cli(*words).refused(2)
    assert (refusal.seen, refusal.next) == (seen, meant)
    assert refusal.allowed


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "two", "", "²"])
@pytest.mark.parametrize("words", [("build", "x.onnx", "--jobs"), ("profile", "b", "--runs"), ("diff", "b", "--top")])
def test_counts_begin_at_one(words, value):
    with pytest.raises(ConfigError, match="not a whole number of 1 or more"):
        parse([*words, value])


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "soon"])
def test_seconds_are_a_number(value):
    with pytest.raises(ConfigError, match="not a number of seconds"):
        parse(["profile", "b", "--seconds", value])


def test_what_is_missing_is_named():
    for words, missing in (
        (["build"], "PROJECT.toml|MODEL"),
        (["compare"], "BUNDLE"),
        (["build", "x", "--out"], "--out"),
    ):
        with pytest.raises(ConfigError, match=missing.replace("|", r"\|")) as caught:
            parse(words)
        assert caught.value.next_step == f"run: edgewright {words[0]} --help"


def test_too_many_words(cli):
    refusal = cli("devices", "local-cpu").refused(2)
    assert refusal.seen == "local-cpu" and refusal.next == "run: edgewright devices --help"


def test_no_command_at_all(cli):
    assert cli().refused(2).allowed == ", ".join(COMMANDS)


def test_words_after_the_command_may_be_names_of_commands():
    assert parse(["profile", "build"]).bundle.name == "build"
    assert parse(["build", "report"]).model == "report"


@pytest.mark.parametrize("words", [["--debug", "devices"], ["devices", "--debug"]])
def test_debug_is_known_everywhere(words):
    assert parse(words).command == "devices"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(cli, name):
    done = cli(name, "--help").fine()
    assert done.out.startswith(f"usage: edgewright {name}")
    assert not done.err


def test_the_help_lists_commands_and_exit_codes(cli):
    from toolchain.cli.exit_codes import MEANINGS

    text = cli("--help").fine().out
    for name, meaning in COMMANDS.items():
        assert f"\n    {name}" in text and meaning.split(",")[0][:40] in " ".join(text.split())
    for status, meaning in MEANINGS.items():
        assert f"  {status:<4} {meaning}" in text


def test_the_version(cli):
    from toolchain import __version__

    assert cli("--version").fine().out == f"edgewright {__version__}\n"


# what the words after a model mean for the project


def project(*words, text=""):
    """The project that ``build`` would work on."""
    from pathlib import Path

    from toolchain.cli.common import read_project

    if text:
        Path("edge.toml").write_text(text)
    return read_project(parse(["build", *words]))


@pytest.mark.parametrize(
    ("words", "seen", "nearest"),
    [
        (("--device", "local-cpuu"), "'local-cpuu'", "local-cpu"),
        (("--device", "raspberry_pi_5"), "'raspberry_pi_5'", "raspberry-pi-5"),
        (("--device", "local-cpu", "--target", "onxruntime"), "'onxruntime'", "onnxruntime"),
    ],
)
def test_an_unknown_device_or_target_names_the_nearest_one(cli, tiny, words, seen, nearest):
    refusal = cli("build", tiny.name, *words).refused(2)
    assert refusal.seen == seen and nearest in refusal.allowed
    assert refusal.next == f"did you mean '{nearest}'?"


def test_a_bare_model_needs_a_device(cli, tiny):
    assert "--device local-cpu" in cli("build", tiny.name).refused(2).next


TWO = """
[model]
source = "tiny.onnx"
[[device]]
profile = "local-cpu"
name = "first"
target = "onnxruntime"
[[device]]
profile = "raspberry-pi-5"
precision = ["fp32", "int8"]
"""


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), ["first", "raspberry-pi-5-fp32", "raspberry-pi-5-int8"]),
        (("--device", "first"), ["first"]),
        (("--device", "local-cpu"), ["first"]),
        (("--device", "raspberry-pi-5"), ["raspberry-pi-5-fp32", "raspberry-pi-5-int8"]),
        (("--precision", "int8"), ["raspberry-pi-5-int8"]),
        (("--target", "onnxruntime"), ["first", "raspberry-pi-5-fp32", "raspberry-pi-5-int8"]),
        (("--target", "litert"), ["raspberry-pi-5-fp32", "raspberry-pi-5-int8"]),
        (("--device", "first", "--device", "raspberry-pi-5", "--precision", "fp32"), ["first", "raspberry-pi-5-fp32"]),
    ],
)
def test_options_choose_among_the_entries_of_a_project(tiny, words, names):
    assert [entry.name for entry in project("edge.toml", *words, text=TWO).devices] == names


def test_an_entry_without_a_target_takes_the_one_of_the_command_line(tiny):
    chosen = project("edge.toml", "--target", "litert", text=TWO)
    assert {entry.target for entry in chosen.devices} == {"litert"}
    chosen = project("edge.toml", "--target", "onnxruntime", text=TWO)
    assert {entry.target for entry in chosen.devices} == {"onnxruntime"}


def test_a_device_that_the_project_does_not_have(cli, tiny):
    (tiny.parent / "edge.toml").write_text(TWO)
    refusal = cli("build", "edge.toml", "--device", "fist").refused(2)
    assert refusal.allowed == "first, raspberry-pi-5-fp32, raspberry-pi-5-int8"
    assert refusal.next == "did you mean 'first'?"
    refusal = cli("build", "edge.toml", "--device", "intel-nuc").refused(2)
    assert "raspberry-pi-5" in refusal.allowed


def test_options_that_leave_no_entry(cli, tiny):
    (tiny.parent / "edge.toml").write_text(TWO)
    refusal = cli("build", "edge.toml", "--device", "first", "--precision", "int8").refused(2)
    assert refusal.seen == "--device first, --target any, --precision int8"
    assert "first: onnxruntime, fp32" in refusal.allowed


def test_an_empty_list_of_devices_says_what_to_do(cli, tiny):
    (tiny.parent / "edge.toml").write_text('[model]\nsource = "tiny.onnx"\n')
    for command in (("build",), ("build", "--dry-run"), ("support",)):
        refusal = cli(*command, "edge.toml").refused(2)
        assert "[[device]]" in refusal.next and "--device local-cpu" in refusal.next


def test_a_device_of_the_command_line_fills_an_empty_list(tiny):
    made = project("edge.toml", "--device", "local-cpu", "--target", "null", text='[model]\nsource = "tiny.onnx"\n')
    assert [(entry.name, entry.target, entry.precision) for entry in made.devices] == [("local-cpu", "null", "fp32")]


def test_a_folder_means_the_project_in_it(tiny):
    assert project(".", text=TWO).path == tiny.parent / "edge.toml"


def test_a_quantized_file_is_built_as_int8(here, tflite):
    (here / "net.tflite").write_bytes(tflite["quantized_model"]())
    assert project("net.tflite", "--device", "local-cpu").devices[0].precision == "int8"


def test_paths_of_the_command_line_begin_at_the_working_folder(tiny, samples):
    (tiny.parent / "sub").mkdir()
    (tiny.parent / "sub" / "edge.toml").write_text(TWO.replace("tiny.onnx", "../tiny.onnx"))
    made = project("sub/edge.toml", "--data", "npz:samples.npz")
    assert made.data.source.path == samples and made.model.source.path == tiny
