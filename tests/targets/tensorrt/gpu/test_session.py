"""An engine with its buffers, in this process, on the fake driver and the fake TensorRT-RTX."""

import dataclasses

import numpy as np
import pytest

from profiles.errors import ToolCrashError, UnsupportedError, VerificationError
from targets.base import TensorSpec
from targets.golden import load_golden
from targets.tensorrt.gpu.session import Session


@pytest.fixture
def bundle(make_bundle):
    return make_bundle("tensorrt_rtx", batches=(1, 4))


@pytest.fixture
def opened(context, fake_rtx, bundle):
    """A session of the bundle, not yet entered, perhaps with other ends."""

    def made(batch=1, **ends):
        compiled = dataclasses.replace(bundle.compiled, **ends)
        return Session(context, fake_rtx, bundle.folder / f"batch{batch}.engine", compiled)

    return made


def test_an_inference_in_place_gives_what_one_with_copies_gives(opened, bundle):
    golden = load_golden(bundle.folder / "golden.npz")
    with opened() as session:
        session.buffers.write(golden.sample(0))
        session.transferred()
        assert np.array_equal(session.buffers.read()["y"], golden.outputs["y"][0])
        session.buffers.write(golden.sample(1))
        session.infer()
        session.buffers.fetch(session.stream)
        session.stream.wait()
        assert np.array_equal(session.buffers.read()["y"], golden.outputs["y"][0]), "the second sample was never sent"
        session.place()
        session.infer()
        session.buffers.fetch(session.stream)
        session.stream.wait()
        assert np.array_equal(session.buffers.read()["y"], golden.outputs["y"][1])


def test_outputs_stay_what_they_were_when_the_next_inference_runs(opened, bundle):
    golden = load_golden(bundle.folder / "golden.npz")
    with opened() as session:
        session.buffers.write(golden.sample(0))
        session.transferred()
        first = session.buffers.read()
        session.buffers.write(golden.sample(1))
        session.transferred()
    assert np.array_equal(first["y"], golden.outputs["y"][0])


def test_a_batch_is_filled_with_copies_of_the_sample(opened, bundle):
    golden = load_golden(bundle.folder / "golden.npz")
    with opened(batch=4) as session:
        session.buffers.write(golden.sample(0))
        session.transferred()
        assert session.buffers.read()["y"].shape == (4, 5)
        assert session.buffers.read()["y"] == pytest.approx(np.repeat(golden.outputs["y"][0], 4, axis=0), abs=1e-5)


def test_an_engine_of_another_model_is_told_by_its_names(opened):
    with (
        pytest.raises(VerificationError, match="wanted 'image' among") as caught,
        opened(inputs=(TensorSpec("image", (1, 4, 8, 8)),)),
    ):
        pass
    assert caught.value.seen == "x, y"


def test_a_sample_of_another_shape_is_refused(opened):
    with opened() as session, pytest.raises(VerificationError) as caught:
        session.buffers.write({"x": np.zeros((1, 4, 9, 9), np.float32)})
    assert (caught.value.seen, caught.value.allowed) == ("(1, 4, 9, 9)", "(1, 4, 8, 8)")


def test_shapes_and_types_that_are_not_fixed_or_not_known_are_refused(opened, fake_rtx, monkeypatch):
    monkeypatch.setattr(fake_rtx.ICudaEngine, "get_tensor_shape", lambda self, name: (-1, 4, 8, 8))
    with pytest.raises(UnsupportedError, match="fixed shape"), opened():
        pass
    monkeypatch.undo()


def test_a_type_that_numpy_lacks_is_refused(opened, fake_rtx, monkeypatch):
    def refuse(trt_type):
        raise TypeError("Could not resolve TensorRT datatype to an equivalent numpy datatype")

    monkeypatch.setattr(fake_rtx, "nptype", refuse)
    with pytest.raises(UnsupportedError, match="numpy knows for 'x'"), opened():
        pass


def test_an_inference_after_the_end_is_an_error(opened):
    with opened() as session:
        assert session.ready_after > 0
    with pytest.raises(ToolCrashError, match="after the engine was released"):
        session.infer()
