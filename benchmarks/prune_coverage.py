"""Structured pruning of networks from pytorchcv: ours and Torch-Pruning, 50 % of every layer, judged in float64.

``python -m benchmarks prune_coverage`` runs what has not run yet with this code and writes the page;
``python -m benchmarks.prune_coverage --only NAME`` runs one network again and prints what it found.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, Table, say, write
from benchmarks.prune_family import CRASHED, PATIENCE, REFUSED, RIGHT, WRONG

CLAIM = (
    "At least 54 of 55 families of networks are pruned and mask-equivalent, and none is silently wrong: half of the "
    "channels of every layer go by their L1 norm, and the outputs are those of the dense network with zeros instead."
)
#: Family, network, side of its images. Networks whose classifier fixes the size have their own.
FAMILIES: tuple[tuple[str, str, int], ...] = (
    ("BN-Inception", "bninception", 64),
    ("ResNet", "resnet10", 64), ("PreResNet", "preresnet10", 64), ("ResNet-A", "resneta10", 64),
    ("ResNet-D", "resnetd50b", 64), ("ResNeXt", "resnext14_16x4d", 64), ("SE-ResNet", "seresnet10", 64),
    ("SE-PreResNet", "sepreresnet10", 64), ("SE-ResNeXt", "seresnext50_32x4d", 64), ("SENet", "senet16", 64),
    ("ResNeSt-A", "resnestabc14", 64), ("IBN-ResNet", "ibn_resnet50", 64), ("IBN-DenseNet", "ibn_densenet121", 64),
    ("AirNet", "airnet50_1x64d_r16", 64), ("AirNeXt", "airnext50_32x4d_r2", 64), ("BAM-ResNet", "bam_resnet18", 64),
    ("CBAM-ResNet", "cbam_resnet18", 64), ("ResAttNet", "resattnet56", 224), ("SKNet", "sknet50", 64),
    ("SCNet", "scnet50", 224), ("RegNet", "regnety002", 64), ("DIA-ResNet", "diaresnet10", 64),
    ("PyramidNet", "pyramidnet110_a48_cifar10", 32), ("DiracNetV2", "diracnet18v2", 64),
    ("ShaResNet", "sharesnet18", 64), ("DenseNet", "densenet40_k12_bc_cifar10", 32),
    ("X-DenseNet", "xdensenet40_2_k24_bc_cifar10", 32), ("CondenseNet", "condensenet74_c4_g4", 64),
    ("SparseNet", "sparsenet121", 64), ("PeleeNet", "peleenet", 64), ("WRN", "wrn16_10_cifar10", 32),
    ("DRN", "drnc26", 64), ("DPN", "dpn68", 224), ("DarkNet", "darknet_tiny", 64), ("DarkNet-53", "darknet53", 64),
    ("ChannelNet", "channelnet", 224), ("RevNet", "revnet38", 64), ("i-RevNet", "irevnet301", 64),
    ("BagNet", "bagnet9", 64), ("DLA", "dla46xc", 64), ("MSDNet", "msdnet22", 224), ("FishNet", "fishnet99", 64),
    ("ESPNetv2", "espnetv2_wd2", 64), ("DiCENet", "dicenet_wd5", 224), ("HRNet", "hrnet_w18_small_v1", 64),
    ("VoVNet", "vovnet27s", 64), ("SelecSLS", "selecsls42", 64), ("HarDNet", "hardnet39ds", 64),
    ("SqueezeNet", "squeezenet_v1_1", 64), ("SqueezeNext", "sqnxt23_w1", 64), ("ShuffleNet", "shufflenet_g3_wd4", 64),
    ("ShuffleNetV2", "shufflenetv2_wd2", 64), ("MENet", "menet108_8x1_g3", 64), ("MobileNet", "mobilenet_wd4", 64),
    ("FD-MobileNet", "fdmobilenet_wd4", 64), ("MobileNetV2", "mobilenetv2_wd4", 64),
    ("MobileNetV3", "mobilenetv3_small_w7d20", 64), ("IGCV3", "igcv3_wd4", 64), ("GhostNet", "ghostnet", 64),
    ("MnasNet", "mnasnet_small", 64), ("DARTS", "darts", 64), ("ProxylessNAS", "proxylessnas_cpu", 64),
    ("FBNet", "fbnet_cb", 64), ("Xception", "xception", 299), ("InceptionV3", "inceptionv3", 128),
    ("SPNASNet", "spnasnet", 64), ("EfficientNet", "efficientnet_b0", 64), ("MixNet", "mixnet_s", 64),
    ("NASNet", "nasnet_4a1056", 224), ("NIN", "nin_cifar10", 32), ("RiR", "rir_cifar10", 32),
    ("FractalNet", "fractalnet_cifar10", 32), ("Shake-Shake", "shakeshakeresnet20_2x16d_cifar10", 32),
    ("Oct-ResNet", "octresnet10_ad2", 64), ("iSQRT-COV-ResNet", "isqrtcovresnet18", 64), ("TResNet", "tresnet_m", 64),
    ("ERFNet", "erfnet_cityscapes", 64), ("ENet", "enet_cityscapes", 64), ("LEDNet", "lednet_cityscapes", 64),
    ("AlexNet", "alexnet", 224), ("ZFNet", "zfnet", 224), ("VGG", "vgg11", 224),
)  # fmt: skip
_ROWS = ROOT / "build" / "prune_coverage"
#: Seconds that a network needs beside its two pruners.
_MORE = 600
_GOAL = 54 / 55


def run(rounds: int) -> list[str]:
    """Prune every network, write the page; returns missed goals. ``rounds`` is not used."""
    found = {family: row(name, size) for family, name, size in FAMILIES}
    _write(found)
    return _missed(found)


def row(name: str, size: int, *, again: bool = False, patience: int = PATIENCE) -> dict[str, dict[str, Any]]:
    """What both pruners did to one network, in a process of its own; kept until the code changes."""
    path = _ROWS / f"{name}-{_code()}.json"
    if path.is_file() and not again:
        return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
    say(f"{name}, {size}x{size}")
    found = _in_process(name, size, patience)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), encoding="utf-8")
    return found


def _in_process(name: str, size: int, patience: int) -> dict[str, dict[str, Any]]:
    code = (
        "import json, sys, torch\n"
        "torch.set_num_threads(1)\n"
        "from benchmarks import prune_family\n"
        "prune_family.PATIENCE = int(sys.argv[3])\n"
        "print('\\n' + json.dumps(prune_family.judged(sys.argv[1], int(sys.argv[2]))))\n"
    )
    argv = [sys.executable, "-c", code, name, str(size), str(patience)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=2 * patience + _MORE, cwd=ROOT, check=False)
    except subprocess.TimeoutExpired:
        return _both(f"no answer within {2 * patience + _MORE} s")
    if done.returncode:
        return _both((done.stderr.strip().splitlines() or ["no message"])[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


def _both(reason: str) -> dict[str, dict[str, Any]]:
    outcome = {"verdict": CRASHED, "reason": reason, "kept": 1.0, "groups": 0, "left_out": 0}
    return {"ours": outcome, "peer": dict(outcome)}


def _code() -> str:
    """Of everything that a row depends on."""
    digest = hashlib.sha256()
    folder = ROOT / "toolchain" / "compress" / "structured"
    own = [p for p in sorted(folder.glob("*.py")) if p.stem.startswith(("groups", "handlers", "equivalence"))]
    for path in [*own, Path(__file__).with_name("prune_family.py")]:
        digest.update(path.read_bytes())
    for name in ("torch", "torch-pruning", "pytorchcv"):
        digest.update(version(name).encode())
    return digest.hexdigest()[:12]


def _counts(found: dict[str, dict[str, dict[str, Any]]], who: str) -> collections.Counter[str]:
    return collections.Counter(result[who]["verdict"] for result in found.values())


def _missed(found: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    counts = _counts(found, "ours")
    missed = []
    if counts[RIGHT] < _GOAL * len(found):
        missed.append(f"{counts[RIGHT]} of {len(found)} families are pruned and mask-equivalent")
    if counts[WRONG]:
        missed.append(f"{counts[WRONG]} families are silently wrong")
    return missed


def _shown(result: dict[str, Any]) -> str:
    if result["verdict"] == RIGHT:
        return f"{RIGHT}, {100 * result['kept']:.0f} %"
    reason = " ".join(str(result["reason"]).split()).replace("|", "/")
    return f"**{result['verdict']}**: {reason[:100]}"


def _write(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    names = {family: name for family, name, _ in FAMILIES}
    rows = [[family, f"`{names[family]}`", _shown(r["ours"]), _shown(r["peer"])] for family, r in found.items()]
    counts = {who: _counts(found, who) for who in ("ours", "peer")}
    total = {
        who: ", ".join(f"{word} {count[word]}" for word in (RIGHT, REFUSED, CRASHED, WRONG)) + f" of {len(found)}"
        for who, count in counts.items()
    }
    notes = [
        f"Ours: {total['ours']}.",
        f"Torch-Pruning {version('torch-pruning')}: {total['peer']}.",
        "Right: the parameters are fewer (the share kept is shown), and in float64, on random weights and two inputs, "
        "the outputs equal those of the dense network in which every weight that is gone is zero.",
        "Torch-Pruning as its README does it (group magnitude, the classifier ignored), but with in-place activations "
        "switched off, which helps it.",
        "AlexNet and ZFNet have local response normalization over channels: a channel that goes gives its neighbours "
        "other neighbours, so pruning them is not masking them, if only by a little. We leave those layers whole.",
        f"No answer within {PATIENCE} s, on a machine that had other work, counts as crashed.",
        "Layers whose channels cannot go one by one without changing what the rest computes stay whole, each with its "
        "reason: those under a mean or maximum over channels (CBAM), those that chains of shuffles and grouped "
        "convolutions couple into one unit (ShuffleNet), those that are laid out as another axis (DiCENet).",
        "Random weights, nothing downloaded; small members and small images of each family.",
    ]
    table = Table(["family", "network", "ours", "Torch-Pruning"], rows, notes)
    write("prune_coverage", "Structured pruning: which networks it is right for", CLAIM, table, found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prune_coverage", description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="one network (or family) again")
    parser.add_argument("--patience", type=int, default=PATIENCE, help=f"seconds per pruner (default: {PATIENCE})")
    args = parser.parse_args()
    for family, name, size in FAMILIES:
        if args.only in (None, family, name):
            print(family, json.dumps(row(name, size, again=args.only is not None, patience=args.patience), indent=1))


if __name__ == "__main__":
    main()
