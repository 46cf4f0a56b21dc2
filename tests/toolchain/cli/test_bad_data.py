"""Data that cannot be used: one clear error each, before anything is trained, exported or quantized."""

import numpy as np
import pytest

INT8 = ("--device", "local-cpu", "--target", "onnxruntime", "--precision", "int8", "--runs", "3")


@pytest.fixture
def refused(cli, here, tiny):
    """``refused(source)``: an int8 build of the tiny model with this data, which must fail and leave nothing."""

    def build(source, *words, status=2):
        more = ("--data", source) if source else ()
        refusal = cli("build", tiny.name, *INT8, *more, *words, "--out", "out").refused(status)
        assert not (here / "out").exists(), f"left behind: {list((here / 'out').rglob('*'))}"
        assert refusal.next, "it says what to do"
        return refusal

    return build


def test_int8_from_a_float_model_needs_data(refused):
    refusal = refused(None)
    assert "int8 from a float model needs calibration samples" in refusal.wanted
    assert "--data" in refusal.next and "random" in refusal.next


VALUES = np.random.default_rng(0).standard_normal((60, 1, 8, 8)).astype(np.float32)


def with_value(value):
    values = VALUES.copy()
    values[3, 0, 4, 4] = value
    return values


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": with_value(np.nan)}, "x[3] of data.npz holds NaN"),
        ({"x": with_value(np.inf)}, "x[3] of data.npz holds NaN or infinity"),
        ({"x": VALUES[:0]}, "npz:"),
        ({"x": VALUES, "y": np.zeros(60, int)}, "only one class"),
        ({"x": VALUES[:1], "y": np.zeros(1, int)}, "1 to train, 0 to test"),
        ({"x": VALUES[:, :, :4]}, "(1, 4, 8)"),
        ({"x": VALUES, "y": np.arange(59) % 3}, "(59,)"),
        ({"x": VALUES, "y": np.arange(60) % 4}, "4 classes"),
        ({"x": VALUES, "y": np.arange(60) % 3 - 1}, "-1"),
        ({"x": VALUES, "y": np.linspace(0, 1, 60)}, "0.0"),
        ({"x": np.array([["a"] * 64] * 60).reshape(60, 1, 8, 8)}, "dtype <U1"),
    ],
    ids=["nan", "infinity", "empty", "one class", "one sample", "shape", "labels", "classes", "label", "real", "text"],
)
def test_a_data_set_that_does_not_do(refused, here, npz, arrays, words):
    npz(here / "data.npz", **arrays)
    refusal = refused("npz:data.npz")
    assert words in refusal.seen, refusal


@pytest.mark.parametrize("content", [b"", b"noise", b"PK\x03\x04 the beginning of an archive"])
def test_a_damaged_archive(refused, here, content):
    (here / "data.npz").write_bytes(content)
    assert "data.npz" in refused("npz:data.npz").seen


@pytest.mark.parametrize("kind", ["npz", "folder", "parquet"])
def test_data_that_does_not_exist(refused, kind):
    refusal = refused(f"{kind}:nowhere")
    assert "nowhere" in refusal.seen and refusal.next == "check the path"


@pytest.mark.parametrize(
    ("source", "nearest"),
    [("foldr:img", "folder:PATH"), ("digit", "digits"), ("randm", "random"), ("npz:", "npz:PATH")],
)
def test_a_source_that_is_none(refused, source, nearest):
    assert refused(source).next == f"did you mean '{nearest}'?"


def test_images_that_cannot_be_decoded(refused, here):
    for label in "ab":
        (here / "img" / label).mkdir(parents=True)
        for number in range(4):
            (here / "img" / label / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + f"{label}{number}".encode())
    refusal = refused("folder:img")
    assert "an image cannot be decoded" in refusal.wanted and ".png" in refusal.seen


def test_a_folder_without_images(refused, here):
    (here / "img" / "a").mkdir(parents=True)
    assert "no images" in refused("folder:img").wanted


def test_a_data_set_for_a_model_with_two_inputs(cli, here, onnx_model, samples):
    onnx_model(here / "two.onnx", inputs=("left", "right"))
    refusal = cli("build", "two.onnx", *INT8, "--data", f"npz:{samples.name}", "--out", "out").refused(2)
    assert "left, right" in refusal.seen


def test_random_data_makes_accuracy_unavailable(cli, here, tiny):
    import json

    done = cli("build", tiny.name, *INT8, "--data", "random", "--no-profile", "--json").fine()
    metrics = json.loads(done.out)["entries"][0]["metrics"]
    for name in ("accuracy", "accuracy_drop"):
        assert metrics[name]["kind"] == "unavailable" and metrics[name]["value"] is None
        assert "random" in metrics[name]["reason"]
    assert metrics["sqnr"]["value"] > 10, "the quantized bundle is there all the same"


def test_fewer_calibration_samples_than_asked_for_is_said(cli, here, tiny, samples):
    done = cli("build", tiny.name, *INT8, "--data", f"npz:{samples.name}", "--no-profile").fine()
    assert "note: only 48 of the 128 calibration samples asked for exist" in done.err
