"""Device profiles and their build plans."""

import dataclasses

import pytest

from profiles.device import load_device
from profiles.errors import ConfigError, EdgewrightError, UnsupportedError
from targets.tensorrt.device import AHEAD_OF_TIME, plan_for


def device(**parameters):
    return dataclasses.replace(load_device("local-cpu"), name="gpu", parameters=parameters)


def test_the_list_of_gpus_is_that_of_the_installed_library():
    module = pytest.importorskip("tensorrt_rtx")
    from targets.tensorrt.compiler.build_config import listed_capabilities

    assert list(AHEAD_OF_TIME) == listed_capabilities(module)


@pytest.mark.parametrize("capability", AHEAD_OF_TIME)
def test_listed_gpus_are_compiled_for_ahead_of_time(capability):
    plan = plan_for(device(compute_capability=capability), "fp32")
    assert plan.ahead_of_time
    assert plan.compute_capabilities == (capability,)


@pytest.mark.parametrize("capability", ["8.7", "9.0", "10.0", "11.0"])
def test_other_gpus_compile_for_themselves(capability):
    assert plan_for(device(compute_capability=capability), "int8").library == "tensorrt"


@pytest.mark.parametrize("capability", ["8.7", "9.0", "10.0", "11.0"])
def test_other_gpus_cannot_be_asked_for_ahead_of_time(capability):
    with pytest.raises(UnsupportedError, match=capability) as caught:
        plan_for(device(compute_capability="8.6", engines_for=["8.6", capability]), "fp32")
    assert "8.0, 8.6, 8.9, 12.0" in caught.value.allowed
    assert 'library = "tensorrt"' in caught.value.next_step


def test_everything_that_a_profile_says_is_in_the_plan():
    plan = plan_for(
        device(
            compute_capability="8.7", library="tensorrt", batches=[8, 1, 8], optimization_level=5, sparse_weights=True,
            dla_core=1, dla_cores=2, workspace="256 MiB",
        ),
        "int8",
    )  # fmt: skip
    assert (plan.batches, plan.optimization_level, plan.sparse_weights) == ((8, 1), 5, True)
    assert (plan.dla_core, plan.workspace, plan.precision) == (1, 256 << 20, "int8")
    assert (plan.tf32, plan.least_version) == (False, "10.3"), "fp32 means fp32"


def test_several_gpus_are_sorted_and_named_once():
    plan = plan_for(device(compute_capability="8.6", engines_for=["12.0", "8.6", "8.9", "8.6"]), "fp32")
    assert plan.compute_capabilities == ("8.6", "8.9", "12.0")


def test_no_engine_is_built_for_an_empty_workspace_or_a_core_of_minus_one():
    plan = plan_for(device(compute_capability="8.6", workspace="", dla_core=-1), "fp32")
    assert (plan.workspace, plan.dla_core) == (None, None)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, ["compute_capability", "none", '"8.6"']),
        ({"compute_capability": 8.6}, ["compute_capability", "8.6"]),
        ({"compute_capability": "sm_86"}, ["'sm_86'"]),
        ({"compute_capability": "8.6", "engines_for": []}, ["engines_for"]),
        ({"compute_capability": "8.6", "engines_for": ["8.6", 9]}, ["engines_for"]),
        ({"compute_capability": "8.6", "library": "tensorflow"}, ["library", "tensorrt_rtx, tensorrt"]),
        ({"compute_capability": "8.6", "batches": []}, ["batches", "[1, 8]"]),
        ({"compute_capability": "8.6", "batches": [0]}, ["batches"]),
        ({"compute_capability": "8.6", "batches": "1"}, ["batches"]),
        ({"compute_capability": "8.6", "optimization_level": 6}, ["optimization_level", "0 to 5"]),
        ({"compute_capability": "8.6", "optimization_level": True}, ["optimization_level", "True"]),
        ({"compute_capability": "8.6", "sparse_weights": 1}, ["sparse_weights", "true or false"]),
        ({"compute_capability": "8.6", "workspace": "lots"}, ["workspace", "lots"]),
        ({"compute_capability": "8.6", "workspace": 64}, ["workspace", "64"]),
        ({"compute_capability": "8.6", "dla_core": 0, "dla_cores": 2}, ["TensorRT-RTX has no DLA"]),
        ({"compute_capability": "8.7", "dla_core": 2, "dla_cores": 2}, ["2 DLA cores", "0 to 1"]),
        ({"compute_capability": "8.7", "dla_core": 0}, ["0 DLA cores", "-1 (the GPU)"]),
        ({"compute_capability": "8.7", "engines_for": ["8.7", "11.0"]}, ["one compute capability"]),
    ],
)
def test_what_cannot_be_used_is_an_error_that_names_the_parameter(parameters, words):
    with pytest.raises(ConfigError) as caught:
        plan_for(device(**parameters), "fp32")
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"


@pytest.mark.parametrize(("capability", "good"), [("8.0", False), ("8.6", False), ("8.9", True), ("12.0", True)])
def test_fp8_needs_hardware_for_it(capability, good):
    if good:
        assert plan_for(device(compute_capability=capability), "fp8").precision == "fp8"
    else:
        with pytest.raises(UnsupportedError, match=r"8\.9 and later"):
            plan_for(device(compute_capability=capability), "fp8")


def test_one_gpu_of_several_without_fp8_is_named():
    with pytest.raises(UnsupportedError, match=r"compute capability 8\.6") as caught:
        plan_for(device(compute_capability="8.6", engines_for=["8.6", "8.9"]), "fp8")
    assert "8.9," not in caught.value.seen


@pytest.mark.parametrize("name", ["jetson-agx-orin", "jetson-orin-nano"])
def test_profiles_of_jetsons_have_plans(name):
    plan = plan_for(load_device(name), "int8")
    assert (plan.library, plan.compute_capabilities) == ("tensorrt", ("8.7",))


def test_errors_are_our_own():
    with pytest.raises(EdgewrightError):
        plan_for(load_device("cortex-m4-an386"), "fp32")


def test_engines_for_other_gpus_only_are_a_mistake():
    with pytest.raises(ConfigError) as caught:
        plan_for(device(compute_capability="7.5", engines_for=["8.6"]), "fp32")
    assert "8.6" in caught.value.seen and "7.5" in caught.value.seen


def test_an_unknown_placement_is_refused_in_every_precision():
    with pytest.raises(ConfigError) as caught:
        plan_for(device(compute_capability="8.6", placement="best"), "fp16")
    assert "default, search" in caught.value.allowed
