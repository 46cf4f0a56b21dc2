"""The catalogue is complete, true to the code, and cheap to read."""

import inspect
import re
import subprocess
import sys
from typing import get_args

import pytest

from profiles.errors import ConfigError
from toolchain.compress.catalogue import FAMILIES, all_methods, family_methods, find_method, names
from toolchain.compress.passes import implementation
from toolchain.project.recipe import STEPS, LowRank, Sparsify

METHODS = all_methods()
EACH = pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.step}-{method.name}")

#: What was asked for: structured and unstructured pruning, low rank, distillation, lightweight networks.
ASKED = {
    "prune": "l1 l2 fpgm taylor slimming hessian lamp group_norm thinet energy_aware netadapt oto feature_rank gates",
    "sparsify": "magnitude movement snip obs l_obs surgery rigl lottery nm",
    "lowrank": "svd separable tucker2 cp bn_lowrank sparse_lowrank",
    "distill": "kd dkd logit_std sequential fitnets attention nst ab vid fsp rkd sp cc irg crd svd_ss low_resolution "
    "multi_teacher",
    "start": "squeezenet squeezenext mobilenet_v1 mobilenet_v2 mobilenet_v3 shufflenet_v1 shufflenet_v2 ghostnet "
    "mnasnet fbnet efficientnet igcv3 condensenet micronet condconv",
}
NEEDS = {"data", "labels", "training", "teacher", "latency"}
TASKS = {"any", "classification", "regression", "detection", "reconstruction"}


@pytest.mark.parametrize("step", ASKED)
def test_everything_that_was_asked_for_is_there(step):
    missing = set(ASKED[step].split()) - set(names(step))
    assert not missing, f"the step '{step}' lacks {sorted(missing)}"


def test_the_variants_of_methods_are_there():
    schedules = get_args(Sparsify.model_fields["schedule"].annotation)
    assert set(schedules) == {"oneshot", "iterative", "cubic"}
    assert {Sparsify(method="nm", pattern=pattern).pattern for pattern in ("2:4", "4:8")} == {"2:4", "4:8"}
    assert LowRank(method="tucker2", rank="vbmf").rank == "vbmf"
    assert LowRank(method="tucker2", energy=0.9).energy == 0.9
    assert LowRank(method="tucker2", macs=0.5).goal().kind == "macs"


def test_names_are_unique_within_a_step():
    for step in ASKED:
        assert sorted(names(step)) == sorted(set(names(step)))


def test_every_family_has_methods_of_a_known_step():
    assert [method for family in FAMILIES for method in family_methods(family)] == list(METHODS)
    for family in FAMILIES:
        assert family_methods(family), f"the family {family} is empty"
    assert {method.step for method in METHODS} == {"start", *STEPS} - {"finetune"}


@EACH
def test_the_words(method):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", method.name)
    assert re.search(r"\b(19|20)\d\d\b", method.paper), f"{method.name}: no year in {method.paper!r}"
    assert method.title and method.family and method.limits.endswith("."), method
    assert method.saves or method.step == "distill", f"{method.name} must say what it saves"
    assert all(saving.what and saving.where for saving in method.saves)
    assert set(method.needs) <= NEEDS and set(method.tasks) <= TASKS and method.tasks


@EACH
def test_there_is_code(method):
    if method.library == "pytorchcv":
        pytest.importorskip("pytorchcv", reason="SKIPPED: needs pytorchcv")
    found = implementation(method)
    assert callable(found), f"{method.implementation} is no function"
    assert inspect.getdoc(found), f"{method.implementation} has no docstring"


def test_it_is_read_without_torch_and_in_less_than_a_second():
    code = "import sys, time; from toolchain.compress.catalogue import all_methods; all_methods(); "
    code += "assert not {'torch', 'pydantic', 'tensorly'} & set(sys.modules); print(time.process_time())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) < 1


def test_an_unknown_method_gets_the_nearest_name():
    with pytest.raises(ConfigError) as caught:
        find_method("prune", "goup_norm")
    assert caught.value.next_step == "did you mean 'group_norm'?"
    with pytest.raises(ConfigError):
        find_method("sparsify", "group_norm")
