"""``python -m toolchain.frontend.train``: train a model, write its weights, print what came out as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from profiles.errors import ConfigError, EdgewrightError
from toolchain.cli.exit_codes import exit_code
from toolchain.frontend.data import load_data
from toolchain.frontend.source import default_input, default_task, load_module
from toolchain.frontend.specs import LAYOUTS, PRECISIONS, DataSpec, InputSpec, ModelSpec, Progress, TrainSpec
from toolchain.frontend.train import evaluate, reconstruction_error, train
from toolchain.frontend.weights import save_weights
from toolchain.frontend.zoo import CLASSIFICATION


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; errors are printed, not raised. Returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        print(json.dumps(_run(arguments), indent=1))
    except EdgewrightError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return exit_code(error)
    return 0


def _run(arguments: argparse.Namespace) -> dict[str, object]:
    """Load, train, evaluate, save."""
    model_input = _input(arguments)
    data = load_data(DataSpec(arguments.data, max_train=arguments.max_train), model_input)
    classes, task = len(data.classes) or None, default_task(arguments.model)
    model = load_module(ModelSpec(arguments.model, classes=classes, input=model_input, seed=arguments.seed))
    names = ("epochs", "batch", "lr", "weight_decay", "label_smoothing", "augment", "precision", "threads", "seed")
    spec = TrainSpec(**{name: getattr(arguments, name) for name in names})
    start = time.monotonic()
    result = train(model, data, spec, task=task, checkpoint=arguments.checkpoint, on_progress=_show())
    seconds = time.monotonic() - start
    score = evaluate if task == CLASSIFICATION else reconstruction_error
    value = score(model, data.test, threads=arguments.threads, on_progress=_show())
    save_weights(model, arguments.out)
    return {
        "weights": str(arguments.out),
        "accuracy" if task == CLASSIFICATION else "mean_squared_error": value,
        "test_samples": len(data.test),
        "train_samples": len(data.train),
        "final_loss": result.losses[-1],
        "precision": result.precision,
        "seconds": round(seconds, 1),
    }


def _input(arguments: argparse.Namespace) -> InputSpec:
    found = default_input(arguments.model)
    if arguments.input is not None:
        found = InputSpec(arguments.input, arguments.layout, mean=arguments.mean, std=arguments.std)
    if found is None:
        raise ConfigError("--input is needed: this model does not say what it takes", next_step="--input 1x3x224x224")
    return InputSpec(found.shape, found.layout, mean=arguments.mean, std=arguments.std)


def _show() -> Progress:
    """Progress on standard error: a line that is overwritten on a terminal, every tenth part elsewhere."""
    shown = [-1]

    def show(done: int, total: int, text: str) -> None:
        parts = 200 if sys.stderr.isatty() else 10
        if done * parts // total != shown[0] or done == total:
            shown[0] = done * parts // total
            end = "\n" if done == total or not sys.stderr.isatty() else "\r"
            print(f"{100 * done // total:3d} %  {text:<50}", end=end, file=sys.stderr, flush=True)

    return show


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("x"))


def _parser() -> argparse.ArgumentParser:
    defaults = TrainSpec()
    parser = argparse.ArgumentParser(prog="python -m toolchain.frontend.train", description=__doc__)
    parser.add_argument("--model", required=True, help="zoo:NAME, zoo:pytorchcv/NAME or module:callable")
    parser.add_argument("--data", required=True, help="digits, parquet:DIR, folder:DIR or npz:FILE")
    parser.add_argument("--out", required=True, type=Path, help="weights to write: .safetensors or .pt")
    parser.add_argument("--input", type=_shape, help="such as 1x3x32x32; by default what a zoo model takes")
    parser.add_argument("--layout", default="NCHW", choices=[name for name in LAYOUTS if name])
    parser.add_argument("--mean", type=_numbers, default=(), help="per channel, of values scaled to 0..1")
    parser.add_argument("--std", type=_numbers, default=())
    parser.add_argument("--max-train", type=int, help="use at most so many training samples")
    parser.add_argument("--checkpoint", type=Path, help="written after every epoch, taken up when it exists")
    parser.add_argument("--augment", action="store_true", help="shift and mirror images")
    parser.add_argument("--precision", default=defaults.precision, choices=PRECISIONS)
    for name in ("epochs", "batch", "threads", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name), help="default %(default)s")
    for name in ("lr", "weight-decay", "label-smoothing"):
        value = getattr(defaults, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=float, default=value, help="default %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
