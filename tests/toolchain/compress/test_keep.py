"""Compressed models on disk, also of classes that no import finds."""

import sys

import pytest

from toolchain.compress import keep
from toolchain.compress.rows import Row

torch = pytest.importorskip("torch", reason="compression works on torch modules")


def make():
    """A network of a class inside of a function, with a function of its own, as users write them."""

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)
            self.activation = lambda x: x.clamp(min=0)

        def forward(self, x):
            return self.activation(self.linear(x))

    return torch.nn.Sequential(Block(), Block(), torch.nn.Linear(4, 2)).eval()


def test_classes_and_functions_are_those_of_the_start():
    start, other = make(), make()
    model = keep.decode_module(keep.encode_module(start, start), start)
    assert type(model[0]) is type(start[0]) and model[1].activation is start[1].activation
    x = torch.randn(3, 4)
    assert torch.equal(model(x), start(x))
    elsewhere = keep.decode_module(keep.encode_module(start, start), other)
    assert type(elsewhere[0]) is type(other[0]), "a process that built the model anew has other classes"
    assert torch.equal(elsewhere(x), start(x))


def test_changed_layers_and_shared_weights_survive():
    start = make()
    start[2] = torch.nn.Sequential(torch.nn.Linear(4, 1, bias=False), torch.nn.Linear(1, 2))
    start[1].linear.weight = start[0].linear.weight
    model = keep.decode_module(keep.encode_module(start, make_like(start)), make_like(start))
    assert model[1].linear.weight is model[0].linear.weight
    assert model[2][0].out_features == 1 and not model.training


def make_like(start):
    fresh = make()
    for mine, theirs in zip(fresh[:2], start[:2], strict=True):
        mine.__class__ = type(theirs)
        mine.activation = theirs.activation
    return fresh


def test_what_cannot_be_written_says_why():
    start = make()
    with pytest.raises(keep.NotKeptError, match="local"):
        keep.encode_module(start, torch.nn.Identity())
    linear = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    with pytest.raises(keep.NotKeptError, match="parametrized"):
        keep.encode_module(linear, linear)


def test_modules_of_the_users_are_found_beside_the_project(tmp_path):
    (tmp_path / "students_of_mine.py").write_text(
        "import torch\nclass Student(torch.nn.Linear):\n    pass\n", encoding="utf-8"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        student = __import__("students_of_mine").Student(2, 2)
    finally:
        sys.path.remove(str(tmp_path))
    row = Row("distill", "kd", 6, 4, 24, 0.0, 0.5, facts={"a": [1]})
    (tmp_path / "stage").mkdir()
    keep.save_stage(tmp_path / "stage", student, row, make())
    del sys.modules["students_of_mine"]
    before = list(sys.path)
    found = keep.load_model(tmp_path / "stage", make, tmp_path)
    assert type(found).__name__ == "Student" and torch.equal(found.weight, student.weight)
    assert keep.load_row(tmp_path / "stage") == row and sys.path == before
