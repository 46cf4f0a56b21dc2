"""``python -m toolchain.frontend.train`` from its arguments to its files."""

import json

from toolchain.frontend import ModelSpec
from toolchain.frontend.source import load_module
from toolchain.frontend.train.__main__ import main

DIGITS = ["--model", "zoo:mobilenet_v1_025", "--data", "digits", "--input", "1x1x8x8"]
QUICK = ["--epochs", "1", "--max-train", "100", "--batch", "50", "--precision", "fp32"]


def test_train_evaluate_save(tmp_path, capsys):
    out = tmp_path / "w.safetensors"
    assert main([*DIGITS, *QUICK, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["train_samples"] == 100
    assert 0 <= report["accuracy"] <= 1
    assert "epoch 1/1" in printed.err
    from toolchain.frontend import InputSpec

    load_module(ModelSpec("zoo:mobilenet_v1_025", weights=out, classes=10, input=InputSpec((1, 1, 8, 8))))


def test_the_same_command_gives_the_same_file(tmp_path, capsys):
    files = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
    for file in files:
        assert main([*DIGITS, *QUICK, "--out", str(file)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_errors_are_printed_without_a_traceback(tmp_path, capsys):
    code = main(["--model", "zoo:resnet9", "--data", "digits", "--out", str(tmp_path / "w.pt")])
    assert code == 2
    assert "did you mean 'resnet8'?" in capsys.readouterr().err
    assert main(["--model", "net:make", "--data", "digits", "--out", str(tmp_path / "w.pt")]) == 2
    assert "--input is needed" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
