from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.device import PRECISIONS
from profiles.errors import ConfigError
from targets.base import Scheme
from toolchain.project import project_from_dict

MODEL = '[model]\nsource = "zoo:resnet8"\n'


def project(*devices, **sections):
    return project_from_dict({"model": {"source": "zoo:resnet8"}, "device": list(devices), **sections})


def refuse(*devices, **sections):
    with pytest.raises(ConfigError) as caught:
        project(*devices, **sections)
    return caught.value


def names(*devices):
    return [entry.name for entry in project(*devices).devices]


def test_a_lone_entry_is_called_like_its_profile():
    assert names({"profile": "local-cpu"}, {"profile": "raspberry-pi-5", "precision": "int8"}) == [
        "local-cpu",
        "raspberry-pi-5",
    ]


def test_entries_that_share_a_profile_get_target_and_precision():
    devices = [
        {"profile": "local-cpu", "target": "openvino", "precision": ["fp32", "int8"]},
        {"profile": "local-cpu", "precision": "int8"},
        {"profile": "raspberry-pi-5", "target": "litert"},
    ]
    assert names(*devices) == [
        "local-cpu-openvino-fp32",
        "local-cpu-openvino-int8",
        "local-cpu-int8",
        "raspberry-pi-5",
    ]


def test_given_names_are_kept_and_get_the_precision_where_there_are_several():
    assert names({"profile": "local-cpu", "name": "quick"}, {"profile": "local-cpu"}) == ["quick", "local-cpu"]
    assert names({"profile": "local-cpu", "name": "quick", "precision": ["fp32", "int8"]}) == [
        "quick-fp32",
        "quick-int8",
    ]


@pytest.mark.parametrize(
    "devices",
    [
        [{"profile": "local-cpu"}, {"profile": "local-cpu"}],
        [{"profile": "local-cpu", "name": "a"}, {"profile": "raspberry-pi-5", "name": "a"}],
        [{"profile": "local-cpu"}, {"profile": "raspberry-pi-5", "name": "local-cpu"}],
        [{"profile": "local-cpu"}, {"profile": "local-cpu", "overrides": {"threads": 2}}],
    ],
)
def test_two_entries_with_one_name_are_refused(devices):
    error = refuse(*devices)
    assert error.wanted.startswith("command line: device[1] makes a second bundle with the name")
    assert error.next_step == 'give one of them a name of its own: name = "..."'


def test_a_precision_listed_twice_is_refused():
    assert "second bundle" in refuse({"profile": "local-cpu", "precision": ["int8", "int8"]}).wanted


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"profile": st.sampled_from(["local-cpu", "raspberry-pi-5"])},
            optional={
                "target": st.sampled_from(["openvino", "litert"]),
                "precision": st.lists(st.sampled_from(PRECISIONS), min_size=1, unique=True),
                "name": st.sampled_from(["a", "b", "local-cpu"]),
            },
        ),
        max_size=4,
    )
)
def test_names_are_unique_and_safe_or_the_project_is_refused(devices):
    try:
        found = names(*devices)
    except ConfigError as error:
        assert "second bundle" in error.wanted
        return
    assert len(set(found)) == len(found) == sum(len(d.get("precision", ["fp32"])) for d in devices)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) for name in found)


@pytest.mark.parametrize("name", ["summary.json", "report.html"])
def test_a_bundle_does_not_take_the_name_of_a_report(name):
    assert "another file" in refuse({"profile": "local-cpu", "name": name}).wanted


def test_an_unknown_profile_names_the_nearest(refusal):
    error = refusal(MODEL + '[[device]]\nprofile = "local-cpu"\n\n[[device]]\nprofile = "rasberry-pi-5"\n')
    assert error.wanted == "edge.toml, line 7: device[1].profile names no device profile"
    assert error.next_step == "did you mean 'raspberry-pi-5'?"
    assert "local-cpu" in error.allowed


def test_an_unknown_target_names_the_nearest():
    error = refuse({"profile": "local-cpu", "target": "openvin"})
    assert error.wanted == "command line: device[0].target names no target of this release"
    assert error.next_step == "did you mean 'openvino'?"


def test_an_unknown_precision_names_the_nearest(refusal):
    error = refusal(MODEL + '[[device]]\nprofile = "local-cpu"\nprecision = [\n"fp32",\n"in8"]\n')
    assert error.wanted == "edge.toml, line 7: device[0].precision[1] has an unknown value"
    assert (error.allowed, error.next_step) == ("fp32, bf16, fp16, fp8, int8, int4", "did you mean 'int8'?")
    error = refusal(MODEL + '[[device]]\nprofile = "local-cpu"\nprecision = "in8"\n')
    assert error.wanted == "edge.toml, line 5: device[0].precision has an unknown value", "no position in a string"


def test_precisions_are_those_of_device_profiles():
    import typing

    from toolchain.project.device_section import Precision

    assert typing.get_args(Precision) == PRECISIONS


def test_single_brackets_get_a_hint(refusal):
    error = refusal(MODEL + '[device]\nprofile = "local-cpu"\n')
    assert error.wanted == "edge.toml, line 3: device is one table"
    assert error.next_step == "write [[device]], with two brackets"


def test_a_device_budget_replaces_single_limits(load):
    entries = load(
        MODEL
        + '[budget]\nlatency = "5 ms"\nsize = "1 MiB"\n'
        + '[[device]]\nprofile = "local-cpu"\nbudget = { latency = "1 ms", ram = "1 kB" }\n'
        + '[[device]]\nprofile = "raspberry-pi-5"\n'
    ).devices
    assert [(e.budget.latency, e.budget.size, e.budget.ram) for e in entries] == [
        (0.001, 2**20, 1000),
        (0.005, 2**20, None),
    ]


def test_a_device_calibrator_replaces_that_of_the_project():
    loaded = project(
        {"profile": "local-cpu", "precision": "int8", "calibrator": "mse"},
        {"profile": "raspberry-pi-5"},
        quantize={"calibrator": "percentile", "percentile": 99.5, "per_channel": False},
    )
    assert loaded.scheme(loaded.devices[0]) == Scheme("int8", "mse", 99.5, False)
    assert loaded.scheme(loaded.devices[1]) == Scheme("fp32", "percentile", 99.5, False)


@pytest.mark.parametrize(
    "via", ["ssh://pi@10.0.0.2:2222", "ssh://host", "ssh://u@host.local", "ssh://[fe80::1]:22", "ssh://h:65535"]
)
def test_addresses_of_devices(via):
    assert project({"profile": "raspberry-pi-5", "via": via}).devices[0].via == via


@pytest.mark.parametrize(
    "via",
    ["pi@host", "http://host", "ssh://", "ssh://-oProxyCommand=x", "ssh://u:secret@h", "ssh://h:0", "ssh://h:65536",
     "ssh://h/path", "ssh://-u@h", "ssh://h\n", "ssh://h x", "ssh://h:２２"],
)  # fmt: skip
def test_what_is_no_address_is_refused(via):
    assert refuse({"profile": "raspberry-pi-5", "via": via}).wanted.endswith("via is not an address of a device")


def test_threads_and_overrides_reach_the_entry_and_its_device(load):
    text = MODEL + '[[device]]\nprofile = "raspberry-pi-5"\n[device.overrides]\nthreads = 2\ncpu.clock = "1.5 GHz"\n'
    (entry,) = load(text).devices
    assert (entry.threads, entry.overrides) == (2, {"cpu.clock": "1.5 GHz"})
    device = entry.device()
    assert (device.cpu.clock, device.sources["cpu.clock"]) == (1.5e9, "override in the project file")


@pytest.mark.parametrize(
    ("lines", "line", "sentence"),
    [
        ('cpu.clokc = "1 GHz"', 6, "cpu.clokc is not a key of the profile"),
        ('# comment\n"cpu.clokc" = "1 GHz"', 7, '"cpu.clokc" is not a key of the profile'),
        ("cpu.clock = 5", 6, "cpu.clock needs a number and a unit"),
        ('threads = 1\ncpu.cores = "4"', 7, "cpu.cores has a value of the wrong type"),
        ("threads = 0", 6, "threads is out of range"),
        ("threads = true", 6, "threads is out of range"),
        ("cpu.clock = 2020-01-01", 6, "cpu.clock has a value of the wrong type"),
        ('cpu.clock = "1 GHz"\n"cpu.clock" = "2 GHz"', 7, '"cpu.clock" is set twice'),
    ],
)
def test_overrides_that_do_not_fit_name_their_line(refusal, lines, line, sentence):
    error = refusal(MODEL + '[[device]]\nprofile = "raspberry-pi-5"\n[device.overrides]\n' + lines + "\n")
    assert error.wanted.startswith(f"edge.toml, line {line}: device[0].overrides.{sentence}"), error.wanted
