import numpy as np
import pytest

from profiles.errors import DataError
from toolchain.frontend import DataSpec
from toolchain.frontend.data.labels import encode_labels


def name(row):
    return f"row {row}"


def encode(raw, names=(), **spec):
    labels, classes = encode_labels(raw, DataSpec("digits", **spec), name, names)
    assert labels.dtype == np.int64
    return labels.tolist(), classes


def test_text_is_numbered_alphabetically_or_as_given():
    assert encode(["dog", "cat", "dog"]) == ([1, 0, 1], ("cat", "dog"))
    assert encode(["dog", "cat"], classes=("dog", "bird", "cat")) == ([0, 2], ("dog", "bird", "cat"))


def test_numbers_stay_and_names_come_from_the_spec_the_source_or_the_count():
    assert encode([2, 0]) == ([2, 0], ("0", "1", "2"))
    assert encode([np.int32(2), 0], num_classes=4) == ([2, 0], ("0", "1", "2", "3"))
    assert encode([1, 0], names=("cat", "dog")) == ([1, 0], ("cat", "dog"))
    assert encode([1, 0], names=("cat", "dog"), classes=("chat", "chien")) == ([1, 0], ("chat", "chien"))


@pytest.mark.parametrize(
    ("raw", "spec", "words"),
    [
        ([0, 1, 2], {"num_classes": 2}, "2 at row 2 (1 such labels)"),
        ([0, -1], {}, "-1 at row 1"),
        ([0, None], {}, "None at row 1"),
        ([0, 1.5], {}, "1.5 at row 1"),
        ([0, True], {}, "True at row 1"),
        ([0, "cat"], {}, "both kinds"),
        (["cat", "dgo"], {"classes": ("cat", "dog")}, "did you mean 'dog'?"),
        (["cat", "dog"], {"num_classes": 3}, "another number of classes"),
    ],
)
def test_bad_labels(raw, spec, words):
    with pytest.raises(DataError) as caught:
        encode(raw, **spec)
    assert words in str(caught.value), str(caught.value)
