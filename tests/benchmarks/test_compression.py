"""What the compression benchmarks make of their figures."""

import json
from xml.etree import ElementTree

import pytest

from benchmarks import compress_runs, kd_pruning, kd_pruning_page
from benchmarks.compress_figures import gather
from benchmarks.compress_jobs import Site
from benchmarks.compress_page import cells, missed, winner
from benchmarks.compress_picture import picture
from benchmarks.compress_rows import Row, rows
from benchmarks.compression import chosen
from toolchain.compress.catalogue import all_methods

DENSE = {"params": 1000, "macs": 10_000, "bytes": 4000, "zeros": 0.0, "notes": []}


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path, "")


def result(site, row, accuracies, **changes):
    site.result(row, 0).parent.mkdir(exist_ok=True)
    for seed, accuracy in enumerate(accuracies):
        figures = {**DENSE, **changes, "accuracy": accuracy}
        site.result(row, seed).write_text(json.dumps({"rows": [figures], "seconds": 1.0, "machine": "here"}))


def clocks(site, **times):
    site.out.joinpath("latency.json").write_text(json.dumps({"onnxruntime": times}))


def test_every_method_that_changes_a_model_has_a_row():
    named = {row.name for row in rows()}
    wanted = {f"{method.step}-{method.name}" for method in all_methods() if method.step != "start"}
    assert wanted <= named, f"without a row: {sorted(wanted - named)}"
    small = {f"resnet8-{name}" for name in wanted} - {"resnet8-prune-gates"}
    assert small <= named, f"without a row of ResNet-8: {sorted(small - named)}"
    assert len(named) == len(rows())


def test_a_rows_name_stands_for_itself_and_a_word_for_all_that_contain_it():
    every = [Row("a-kd", "recipe"), Row("b-a-kd", "recipe"), Row("c", "recipe")]
    assert [row.name for row in chosen(every, ["a-kd"])] == ["a-kd"]
    assert [row.name for row in chosen(every, ["kd", "c"])] == ["a-kd", "b-a-kd", "c"]
    assert chosen(every, None) == every


def test_drops_are_against_the_dense_model_of_the_same_seed(site):
    dense, small = Row("dense", "baseline", seeds=2), Row("small", "recipe", seeds=2)
    result(site, dense, [0.90, 0.80])
    result(site, small, [0.89, 0.82], macs=4000, params=500, bytes=2000)
    clocks(site, dense=[2.0, 4.0, 3.0], small=[1.0, 1.0, 1.0])
    (found,) = gather([small], site)
    assert found.drop == pytest.approx(-0.5)
    assert found.spread == pytest.approx(100 * 0.03 / 2**0.5)
    assert (found.macs, found.params, found.stored) == (0.4, 0.5, 0.5)
    assert found.speed["onnxruntime"] == {"median": 3.0, "low": 2.0, "high": 4.0}
    assert cells(found)[2] == "-0.50 ± 2.12"


def test_a_network_is_held_against_its_own_dense_model(site):
    for row, accuracy in ((Row("dense", "baseline"), 0.9), (Row("resnet8-dense", "baseline", model="resnet8"), 0.8)):
        result(site, row, [accuracy])
    small = Row("resnet8-small", "recipe", model="resnet8")
    result(site, small, [0.79])
    (found,) = gather([small], site)
    assert found.drop == pytest.approx(1.0), f"a drop from 80 % to 79 % is 1 point, not {found.drop}"


def test_parameters_that_are_zero_do_not_count_as_left(site):
    dense, sparse = Row("dense", "baseline"), Row("sparse", "recipe")
    result(site, dense, [0.9])
    result(site, sparse, [0.9], zeros=0.75)
    (found,) = gather([sparse], site)
    assert (found.params, found.nonzero, found.speed) == (1.0, 0.25, {})


def test_the_goal_is_judged_by_accuracy_macs_and_time(site):
    names = {"dense": 0.9, "slow": 0.9, "fast": 0.895, "wrong": 0.5, "big": 0.9}
    for name, accuracy in names.items():
        result(site, Row(name, "recipe"), [accuracy], macs=9000 if name in ("dense", "big") else 3500)
    clocks(site, dense=[2.0], slow=[1.8], fast=[1.0], wrong=[0.5], big=[0.1])
    found = {each.row.name: each for each in gather([Row(name, "recipe") for name in names], site)}
    assert winner([found["slow"], found["wrong"]]).row.name == "slow"
    assert winner(list(found.values())).row.name == "fast"
    assert missed(found["fast"]) == []
    assert missed(found["slow"]) == ["slow is 1.11 times as fast, goal 1.7"]
    assert missed(found["wrong"]) == ["wrong loses 40.00 points, allowed 1.0"]
    assert missed(winner([found["big"]])) == ["no recipe has 2.5 times fewer MACs"]


def test_the_picture_names_what_no_other_row_beats(site):
    for name, accuracy in {"dense": 0.9, "front": 0.89, "beaten": 0.8, "same-speed": 0.9}.items():
        result(site, Row(name, "recipe"), [accuracy])
    clocks(site, dense=[2.0], front=[1.0], beaten=[1.1], **{"same-speed": [1.99]})
    found = gather([Row(name, "recipe") for name in ("front", "beaten", "same-speed")], site)
    drawn = ElementTree.fromstring(picture(found, "onnxruntime", "somewhere <here>"))
    texts = [element.text for element in drawn.iter() if element.tag.endswith("text")]
    assert "front" in texts
    assert "somewhere <here>" in texts
    assert not {"beaten", "same-speed"} & set(texts)
    assert len([e for e in drawn.iter() if e.tag.endswith("circle") and len(e)]) == 3


def test_students_are_pruned_in_pairs_of_weights_and_channels():
    made = kd_pruning.rows()
    students = [row for row in made if not row.after]
    assert len(students) == 2 * len(kd_pruning.STUDENTS)
    pruned = {row.name for row in made if row.after}
    assert len(pruned) == 2 * len(students) * len(kd_pruning.KEPT)
    assert {row.after for row in made if row.after} == {row.name for row in students}


def test_the_answer_of_the_study_follows_from_the_figures(site):
    every = [row for row in kd_pruning.rows() if row.model == "resnet20"]
    for row in every:
        kind = row.name.split("-")[3] if row.after else ""
        left = int(row.name.split("-")[4]) / 100 if row.after else 1.0
        accuracy = {"": 0.9, "weight": 0.88, "channel": 0.85}[kind]
        changes = {"zeros": 1 - left} if kind == "weight" else {"params": int(1000 * left)}
        result(site, row, [accuracy], **changes)
    clocks(site, **{row.name: [1.0 if row.name.split("-")[3:4] == ["channel"] else 2.0] for row in every})
    found = kd_pruning_page.points(every, site)
    assert len(found) == 8
    assert {round(point.ratio, 3) for point in found if point.kind == "weight"} == {1.956, 4.889}
    with_teacher, without, timed = kd_pruning_page.verdicts(found)
    assert with_teacher.startswith("With a teacher, weight pruning keeps more accuracy")
    assert "in 2 of 2 pairs, by +3.0 points" in without
    assert "turns the answer round: channel pruning is faster in 4 of 4 pairs" in timed


def test_runs_are_kept_and_come_back(site, tmp_path, monkeypatch):
    monkeypatch.setattr(compress_runs, "RESULTS", tmp_path)
    dense = Row("dense", "baseline", seeds=2)
    result(site, dense, [0.9, 0.8])
    clocks(site, dense=[1.0])
    compress_runs.keep("some", site)
    other = Site(tmp_path / "other", "")
    assert compress_runs.restore("some", other) == 2
    assert gather([dense], other) == gather([dense], site)
    other.result(dense, 1).write_text("mine")
    assert compress_runs.restore("some", other) == 0
    assert other.result(dense, 1).read_text() == "mine", "what a machine did itself stays"
