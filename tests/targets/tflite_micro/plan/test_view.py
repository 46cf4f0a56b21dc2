"""``memory.json`` and the picture say what the plan says."""

import json
from xml.etree import ElementTree

import planned_networks as networks
import pytest
from hypothesis import given, settings
from planned_graphs import problems

from targets.tflite_micro.plan.fuse import fuse
from targets.tflite_micro.plan.picture import memory_svg
from targets.tflite_micro.plan.planner import plan
from targets.tflite_micro.plan.problem import Buffer, Problem, Step
from targets.tflite_micro.plan.tables import memory_dict

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def resnet():
    net = networks.resnet8()
    return fuse(net.calls, net.buffers())


def test_memory_json_of_a_residual_network(resnet):
    found = json.loads(json.dumps(memory_dict(resnet.problem, resnet.plan, {0: "image"}, resnet.grouped)))
    assert found["arena"] == found["lower_bound"] == 23_616 and found["proved_smallest"]
    assert found["lower_bound_holds_for"] == "every order of the steps"
    steps = {step["name"]: step for step in found["steps"]}
    assert steps["conv2a to add2"]["fused"] == {"calls": [1, 2, 3], "without_memory": [2, 3], "rows": 96}
    assert steps["conv2a to add2"]["needed"] == steps["conv2a to add2"]["taken"] == 16_384 + 7_040
    assert steps["conv2a to add2"]["saved_by_overlap"] == 16_384
    assert found["steps"][found["peak_step"]]["needed"] == found["lower_bound"]
    image = next(buffer for buffer in found["buffers"] if buffer["name"] == "image")
    assert (image["kind"], image["size"], image["first"], image["last"]) == ("input", 3072, -1, 0)
    assert {b["tensor"] for b in found["buffers"]} == {None, *resnet.plan.offsets}


@settings(max_examples=40, deadline=None)
@given(problems())
def test_figures_fit_together(problem):
    found = plan(problem)
    table = memory_dict(problem, found)
    assert all(b["offset"] + b["size"] <= table["arena"] for b in table["buffers"])
    assert all(step["taken"] <= table["arena"] for step in table["steps"])
    picture = ElementTree.fromstring(memory_svg(problem, found))
    _, _, width, height = (float(value) for value in picture.attrib["viewBox"].split())
    for block in picture.iter(f"{SVG}rect"):
        x, y, w, h = (float(block.attrib.get(name, 0)) for name in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= width + 0.1 and y + h <= height + 0.1


def test_the_picture_has_words_for_every_rectangle(resnet):
    hostile = 'a<b & "c" \x00\ud800'
    picture = memory_svg(resnet.problem, resnet.plan, {0: hostile}, resnet.grouped, "ResNet-8")
    tree = ElementTree.fromstring(picture.encode())
    titles = [title.text for title in tree.iter(f"{SVG}title")]
    assert titles[0] == "ResNet-8: 23,616 B"
    place = f"{resnet.plan.offsets[0]:,}"
    assert f'a<b & "c" \ufffd\ufffd: input, 3,072 B at {place}, before the first step to step 0 (conv1)' in titles
    assert "rows of conv2a to add2: rows of fused calls, 7,040 B at 16,384, step 1 (conv2a to add2)" in titles
    assert "16,384 B: tensor 4 is written over tensor 1 as it is read" in titles
    assert "prefers-color-scheme: dark" in picture


@pytest.mark.parametrize("steps", [0, 1, 4, 40, 200])
def test_pictures_of_any_length_have_readable_labels(steps):
    buffers = tuple(Buffer(key, 100 + key, key == 0, key == steps) for key in range(steps + 1))
    problem = Problem(buffers, tuple(Step(f"layer {i}", (i,), (i + 1,)) for i in range(steps)))
    found = plan(problem)
    tree = ElementTree.fromstring(memory_svg(problem, found))
    labels = [text for text in tree.iter(f"{SVG}text") if "soft" in text.attrib.get("class", "")]
    assert 4 <= len(labels) <= 60
    assert len(list(tree.iter(f"{SVG}rect"))) >= steps + 1


def test_nothing_to_plan():
    found = plan(Problem((), ()))
    assert (found.arena, found.lower_bound, found.optimal) == (0, 0, True)
    ElementTree.fromstring(memory_svg(Problem((), ()), found))
