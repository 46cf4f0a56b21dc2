import math

import pytest

from profiles.errors import ConfigError
from toolchain.frontend import DataSpec, InputSpec, ModelSpec, TrainSpec


def test_input_spec_names_its_axes():
    spec = InputSpec((1, 3, 24, 32), "NCHW")
    assert (spec.channels, spec.height_width, spec.sample_shape, spec.is_image) == (3, (24, 32), (3, 24, 32), True)
    last = InputSpec((1, 24, 32, 3), "NHWC")
    assert (last.channels, last.height_width) == (3, (24, 32))
    assert InputSpec((1, 640), "NC").channels == 640
    assert InputSpec((1, 5, 7), "").channels is None


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"shape": (1,)}, "batch axis"),
        ({"shape": (1, 3, 0, 32)}, "at least 1"),
        ({"shape": (1, 3, 32), "layout": "NCHW"}, "4 dimensions"),
        ({"shape": (1, 3, 32, 32), "layout": "NCWH"}, "did you mean 'NCHW'?"),
        ({"shape": (1, 3, 32, 32), "std": (1.0, 0.0, 1.0)}, "std"),
        ({"shape": (1, 3, 32, 32), "mean": (0.5, 0.5)}, "one per channel"),
        ({"shape": (1, 3, 32, 32), "mean": (math.nan,)}, "finite"),
        ({"shape": (1, 3, 32, 32), "scale": 0.0}, "scale"),
        ({"shape": (1, 3, 32, 32), "scale": -1.0}, "scale"),
    ],
)
def test_bad_input_specs_are_refused(arguments, word):
    with pytest.raises(ConfigError, match=r"(?s).*") as caught:
        InputSpec(**arguments)
    assert word in str(caught.value), f"the message should mention {word!r}: {caught.value}"


@pytest.mark.parametrize(
    "arguments",
    [
        {"epochs": 0},
        {"batch": 1},
        {"lr": 0.0},
        {"lr": math.inf},
        {"momentum": 1.0},
        {"weight_decay": -1.0},
        {"label_smoothing": 1.0},
        {"threads": -1},
        {"precision": "fp8"},
    ],
)
def test_bad_train_specs_are_refused(arguments):
    with pytest.raises(ConfigError):
        TrainSpec(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"calibration": 0},
        {"test_fraction": 1.0},
        {"max_train": 0},
        {"samples": 0},
        {"classes": ("a", "b"), "num_classes": 3},
    ],
)
def test_bad_data_specs_are_refused(arguments):
    with pytest.raises(ConfigError):
        DataSpec("digits", **arguments)


def test_a_model_has_at_least_one_class():
    with pytest.raises(ConfigError):
        ModelSpec("zoo:resnet8", classes=0)
