"""Samples for the build: the right parts, read once, and the same on every machine."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import DataError
from targets.base import TensorSpec
from toolchain.cache import open_cache
from toolchain.progress import Progress
from toolchain.project import project_from_dict
from toolchain.steps.data import GOLDEN_SAMPLES, frontend_input, project_data, random_inputs, stack, unstack

SPEC = TensorSpec("x", (1, 1, 8, 8), layout="NCHW")


@pytest.fixture
def load(cache, samples):
    """``load(spec, **data)``: the project's data for one input."""

    def loaded(spec=SPEC, progress=None, **data):
        sections = {"model": {"source": "tiny.onnx"}, "data": {"source": "npz:samples.npz", "calibration": 8, **data}}
        return project_data(project_from_dict(sections), (spec,), cache, progress or Progress(quiet=True))

    return loaded


def rows(values):
    return {value.tobytes() for value in values.reshape(-1, 64)}


def test_calibration_and_golden_samples_come_from_different_parts(load, samples):
    data = load()
    with np.load(data.calibration) as archive, np.load(samples) as source:
        calibration, everything = archive["x"], source["x"]
    golden = data.golden()["x"]
    assert calibration.shape == (8, 1, 1, 8, 8) and golden.shape == (GOLDEN_SAMPLES, 1, 1, 8, 8)
    assert rows(calibration) <= rows(everything) and rows(golden) <= rows(everything)
    tests = np.concatenate([inputs["x"] for inputs, _ in data.tests()])
    assert rows(golden) <= rows(tests) and not rows(calibration) & rows(tests)
    assert data.facts["tests"] == len(tests) == 12 and data.facts["classes"] == 3 and data.facts["labelled"]


def test_they_are_read_once(load, monkeypatch):
    load().golden()
    monkeypatch.setattr("toolchain.steps.data.load_data", lambda *_: pytest.fail("it was read again"))
    data = load()
    assert data.golden()["x"].shape and data.calibration.is_file() and data.facts["tests"] == 12


def test_other_contents_are_read_again(load, npz, here):
    first = load().golden()["x"]
    npz(here / "samples.npz", x=np.random.default_rng(9).standard_normal((60, 1, 8, 8)).astype(np.float32))
    assert not np.array_equal(load().golden()["x"], first)


def test_reading_is_shown_and_notes_are_told(load):
    text = io.StringIO()
    load(progress=Progress(stream=text), calibration=100).facts  # noqa: B018
    assert "read samples of npz:" in text.getvalue()
    assert "note: only 48 of the 100 calibration samples asked for exist" in text.getvalue()


@pytest.mark.parametrize("batch", [1, 5, 12])
def test_a_short_last_batch_is_filled_up(load, batch):
    data = load(TensorSpec("x", (batch, 1, 8, 8), layout="NCHW"))
    batches = list(data.tests())
    assert all(inputs["x"].shape == (batch, 1, 8, 8) for inputs, _ in batches)
    assert sum(len(labels) for _, labels in batches) == 12


def test_a_batch_that_is_larger_than_the_data(load):
    with pytest.raises(DataError, match="batch size"):
        load(TensorSpec("x", (64, 1, 8, 8), layout="NCHW")).golden()


def test_a_data_set_feeds_one_input(cache, samples):
    project = project_from_dict({"model": {"source": "tiny.onnx"}, "data": {"source": "npz:samples.npz"}})
    with pytest.raises(DataError, match="one input") as caught:
        project_data(project, (SPEC, SPEC), cache, Progress(quiet=True))
    assert "[data]" in caught.value.next_step


@pytest.mark.parametrize(
    ("scale", "zero_point", "rank", "wanted"),
    [
        (1.0, -128, 4, 1.0),  # int8 image: -128 is black, 127 is 255
        (1.0, 0, 4, 1.0),  # uint8 image
        (1 / 255, 0, 4, None),  # already in 0 to 1
        (2 / 255, 127, 4, None),  # -1 to 1
        (1.0, -128, 2, None),  # not an image
        (None, None, 4, None),
    ],
)
def test_a_quantized_image_input_that_takes_raw_pixels_is_recognised(scale, zero_point, rank, wanted):
    project = project_from_dict({"model": {"source": "tiny.onnx"}})
    shape, layout = ((1, 8, 8, 3), "NHWC") if rank == 4 else ((1, 8), "NC")
    spec = TensorSpec("x", shape, layout=layout, scale=scale, zero_point=zero_point)
    assert frontend_input(project, spec).scale == wanted


def test_what_the_project_says_of_an_input_wins():
    said = {"scale": 2.0, "mean": [0.5], "std": [0.25], "layout": "NHWC", "shape": [1, 8, 8, 3]}
    project = project_from_dict({"model": {"source": "tiny.onnx", "input": said}})
    made = frontend_input(project, TensorSpec("x", (1, 8, 8, 3), layout="NCHW", scale=1.0, zero_point=-128))
    assert (made.scale, made.mean, made.std, made.layout) == (2.0, (0.5,), (0.25,), "NHWC")


def test_random_inputs_are_the_same_everywhere():
    specs = (SPEC, TensorSpec("ids", (1, 4), "int64"), TensorSpec("mask", (1, 4), "int32"))
    first, second = random_inputs(specs), random_inputs(specs)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert first["x"].dtype == np.float32 and abs(first["x"].mean()) < 0.2 and 0.8 < first["x"].std() < 1.2
    assert set(np.unique(first["ids"])) == {0, 1} and first["ids"].dtype == np.int64
    assert float(first["x"].ravel()[0]) == pytest.approx(1.22436, abs=1e-4), "numpy's stream for this seed has changed"


@given(
    st.integers(1, 5),
    st.dictionaries(st.text(min_size=1, max_size=5), st.lists(st.integers(1, 4), max_size=3), min_size=1, max_size=3),
)
def test_stacking_and_back(count, shapes):
    samples = [{name: np.full(shape, number) for name, shape in shapes.items()} for number in range(count)]
    back = unstack(stack(samples))
    assert len(back) == count
    for sample, again in zip(samples, back, strict=True):
        assert all(np.array_equal(sample[name], again[name]) for name in shapes)


def test_nothing_cannot_be_stacked():
    with pytest.raises(DataError):
        stack([])


def test_random_data_needs_no_files(here):
    project = project_from_dict({"model": {"source": "tiny.onnx"}, "data": {"source": "random"}})
    with open_cache() as cache:
        data = project_data(project, (SPEC,), cache, Progress(quiet=True))
        assert data.random and not data.facts["labelled"]
