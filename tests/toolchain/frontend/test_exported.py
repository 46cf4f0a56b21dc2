import pytest
import torch
from torch import nn

from profiles.errors import ConfigError, ModelError
from toolchain.frontend import ModelSpec
from toolchain.frontend.exported import fixed_batch
from toolchain.frontend.source import load_module


def save(model: nn.Module, path, shape=(2, 3), dynamic=False):
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    torch.export.save(torch.export.export(model, (torch.randn(shape),), dynamic_shapes=shapes), path)


def test_an_exported_program_computes_what_its_module_did(tmp_path):
    model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.5)).eval(), torch.randn(2, 3)
    save(model, tmp_path / "m.pt2")
    loaded = load_module(ModelSpec("m.pt2", root=tmp_path))
    torch.testing.assert_close(loaded(x), model(x))


@pytest.mark.parametrize(("dynamic", "expected"), [(False, 2), (True, None)])
def test_fixed_batch(tmp_path, dynamic, expected):
    save(nn.Linear(3, 4).eval(), tmp_path / "m.pt2", dynamic=dynamic)
    assert fixed_batch(load_module(ModelSpec("m.pt2", root=tmp_path))) == expected
    assert fixed_batch(nn.Linear(3, 4)) is None, "a plain module takes any batch"


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm1d(3)], ids=["dropout", "batch norm"])
def test_programs_exported_in_training_mode_are_refused(tmp_path, layer):
    save(nn.Sequential(nn.Linear(3, 3), layer).train(), tmp_path / "m.pt2")
    with pytest.raises(ModelError) as caught:
        load_module(ModelSpec("m.pt2", root=tmp_path))
    assert "model.eval()" in caught.value.next_step


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not an archive", None])
def test_corrupt_programs(tmp_path, damage):
    path = tmp_path / "m.pt2"
    save(nn.Linear(3, 4).eval(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(ModelError, match="cannot be read"):
        load_module(ModelSpec("m.pt2", root=tmp_path))


def test_missing_program(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_module(ModelSpec("m.pt2", root=tmp_path))


def test_nan_in_a_program(tmp_path):
    model = nn.Linear(3, 4).eval()
    model.weight.data[0, 0] = float("nan")
    save(model, tmp_path / "m.pt2")
    with pytest.raises(ModelError, match="'weight'"):
        load_module(ModelSpec("m.pt2", root=tmp_path))
