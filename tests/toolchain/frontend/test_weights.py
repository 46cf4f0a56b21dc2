import os
import stat

import pytest
import torch

from profiles.errors import ConfigError, ModelError, OutputError
from toolchain.frontend.weights import load_weights, read_state, save_weights, write_atomically

FILES = pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.safetensors"])


def net(width: int = 4) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.BatchNorm1d(width), torch.nn.Linear(width, 2))


@FILES
def test_there_and_back(tmp_path, name):
    source, target = net(), net()
    save_weights(source, tmp_path / name)
    load_weights(target, tmp_path / name)
    for key, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[key]), f"{key} changed on the way"


def test_the_same_weights_give_the_same_bytes(tmp_path):
    model = net()
    save_weights(model, tmp_path / "a.safetensors")
    save_weights(model, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("wrap", [lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
def test_wrapped_and_prefixed_state_dicts(tmp_path, wrap):
    source, target = net(), net()
    torch.save(wrap({f"module.{k}": v for k, v in source.state_dict().items()}), tmp_path / "w.pt")
    load_weights(target, tmp_path / "w.pt")
    assert torch.equal(source[0].weight, target[0].weight)


def test_old_files_without_the_step_counter(tmp_path):
    state = {k: v for k, v in net().state_dict().items() if "num_batches" not in k}
    torch.save(state, tmp_path / "w.pt")
    load_weights(net(), tmp_path / "w.pt")


def test_other_shapes_and_names_are_listed(tmp_path):
    state = net(5).state_dict()
    state["extra"] = torch.zeros(1)
    del state["2.bias"]
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ModelError) as caught:
        load_weights(net(4), tmp_path / "w.pt")
    for words in ("missing: 2.bias", "unexpected: extra", "0.weight is (5, 3), the model has (4, 3)", "and 4 more"):
        assert words in caught.value.seen, f"expected {words!r} in: {caught.value.seen}"


def test_a_refused_file_leaves_the_model_as_it_was(tmp_path):
    model = net()
    before = model[0].weight.clone()
    state = net().state_dict()
    state["2.bias"][0] = float("inf")
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"1 of 2 values of '2\.bias' are NaN or infinite"):
        load_weights(model, tmp_path / "w.pt")
    assert torch.equal(model[0].weight, before)


@FILES
@pytest.mark.parametrize("damage", [b"", b"not a weights file at all", None])
def test_corrupt_files(tmp_path, name, damage):
    path = tmp_path / name
    save_weights(net(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(ModelError, match="cannot be read"):
        load_weights(net(), path)


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/never-made-by-a-weights-file",)


def test_code_in_a_weights_file_is_not_run(tmp_path):
    torch.save({"w": Evil()}, tmp_path / "w.pt")
    with pytest.raises(ModelError):
        read_state(tmp_path / "w.pt")
    assert not os.path.exists("/tmp/never-made-by-a-weights-file")


@pytest.mark.parametrize("content", [torch.zeros(3), {}, {"a": 1}, {1: torch.zeros(1)}, [torch.zeros(1)]])
def test_files_without_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="no state dict"):
        read_state(tmp_path / "w.pt")


def test_missing_file_and_unknown_suffix(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        read_state(tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=r"\.safetensors"):
        read_state(tmp_path / "w.h5")
    with pytest.raises(ConfigError, match=r"\.safetensors"):
        save_weights(net(), tmp_path / "w.h5")


def test_writing_where_one_cannot(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        save_weights(net(), tmp_path / "file" / "w.pt")


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "w.bin"
    write_atomically(path, b"old")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["w.bin"]
    assert path.read_bytes() == b"old"
