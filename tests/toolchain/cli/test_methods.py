"""``edgewright methods``: the catalogue of compression methods."""

import json

import pytest

from toolchain.compress.catalogue import FAMILIES, all_methods, family_methods, names
from toolchain.project.recipe import STEPS


def listed(cli, *words):
    return [row["name"] for row in json.loads(cli("methods", "--json", *words).fine().out)]


def test_every_method_is_listed(cli):
    text = cli("methods").fine().out
    lines = text.splitlines()
    for method in all_methods():
        assert any(line.startswith(f" {method.name} ") for line in lines), method.name
        assert f"{method.family} (step: {method.step})" in text
    rows = json.loads(cli("methods", "--json").fine().out)
    assert [row["name"] for row in rows] == [method.name for method in all_methods()]
    keys = {
        "name",
        "step",
        "family",
        "title",
        "paper",
        "implementation",
        "saves",
        "library",
        "needs",
        "tasks",
        "limits",
    }
    assert all(set(row) >= keys and row["library"] for row in rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_family(cli, family):
    assert listed(cli, "--family", family) == [method.name for method in family_methods(family)]


def test_one_step(cli):
    assert listed(cli, "--step", "lowrank") == names("lowrank")
    assert set(listed(cli, "--step", "start")) == set(names("start"))


def test_one_method_in_full(cli):
    text = cli("methods", "cp").fine().out
    (method,) = (method for method in all_methods() if method.name == "cp")
    for words in (method.paper, method.limits, method.implementation, "TensorLy", "every target", "MACs"):
        assert words in text
    assert 'lowrank = { method = "cp" }' in text


@pytest.mark.parametrize("step", [step for step in STEPS if step != "finetune"])
def test_what_is_shown_to_write_is_accepted(cli, step):
    import tomllib

    from toolchain.cli.commands.methods import written
    from toolchain.compress.catalogue import find_method

    for name in names(step):
        options = tomllib.loads(f"step = {written(find_method(step, name))}")["step"][step]
        STEPS[step].model_validate(options)


def test_networks_are_shown_with_their_sizes(cli):
    text = cli("methods", "--step", "start").fine().out
    line = next(line for line in text.splitlines() if line.startswith(" squeezenet "))
    assert "1.24 M" in line and "349.2 M" in line and "zoo:pytorchcv/squeezenet_v1_1" in line


def test_shortened_places_keep_what_matters(cli):
    text = cli("methods", "--step", "sparsify").fine().out
    assert "latency: no target" in text and "2:4 only" in text


def test_unknown_names_get_the_nearest_one(cli):
    assert cli("methods", "dkdd").refused(2).next == "did you mean 'dkd'?"
    assert cli("methods", "--step", "prun").refused(2).next == "did you mean 'prune'?"
    assert cli("methods", "dkd", "--step", "prune").refused(2).seen == "'dkd'"
    assert cli("methods", "--step", "prune", "--family", "low_rank").refused(2)
