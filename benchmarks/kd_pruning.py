"""Students with and without a teacher, then weight or channel pruning: which pruning suits distillation?

The design of Malihi & Heidemann 2024, on CIFAR-10: a student learns from a teacher, its weights or its channels are
pruned at several sparsities, and accuracy stands against the parameters that are left. Here the same students without
a teacher stand beside them, and so does the measured latency.

``python -m benchmarks kd_pruning`` does everything; the parts are those of ``benchmarks.compression``.
"""

from __future__ import annotations

import sys
import time

from benchmarks.common import cifar_folder
from benchmarks.compress_jobs import Site, failures, run_all
from benchmarks.compress_rows import TEACHER, Row
from benchmarks.compress_runs import keep, restore
from benchmarks.compression import OUT, arguments, chosen
from toolchain.compress import Distill, Finetune, Prune, Sparsify
from toolchain.project.recipe import StepOptions

CLAIM = "Weight pruning keeps more accuracy than channel pruning at equal parameters, with and without a teacher."
STUDENTS = ("resnet20", "densenet40", "efficientnet_cifar", "mobilenetv2_cifar")
#: Shares of the weights, or of the parameters, that are left.
KEPT = (0.5, 0.2)
EPOCHS = 10
#: Epochs after pruning; the three whose epochs take minutes on two cores get half of ResNet-20's.
RECOVERY = {"resnet20": 4, "densenet40": 2, "efficientnet_cifar": 2, "mobilenetv2_cifar": 2}
_LR, _CAREFUL = 0.2, 0.05


def rows() -> list[Row]:
    """Students first, then what is pruned of them."""
    students = [_student(model, taught=taught) for model in STUDENTS for taught in (True, False)]
    return students + [row for student in students for kept in KEPT for row in _pruned(student, kept)]


def _student(model: str, *, taught: bool) -> Row:
    step: StepOptions = Finetune(epochs=EPOCHS, lr=_LR)
    if taught:
        step = Distill(loss="kd", teacher=f"zoo:{TEACHER}", epochs=EPOCHS, lr=_LR)
    return Row(f"kdp-{model}-{'kd' if taught else 'plain'}", "student", (step,), model=model, fresh=True)


def _pruned(student: Row, kept: float) -> list[Row]:
    epochs = RECOVERY[student.model]
    channels = Prune(method="l1", scope="layer", params=kept, epochs=epochs, lr=_CAREFUL)
    weights = Sparsify(method="magnitude", sparsity=1 - kept, epochs=epochs, lr=_CAREFUL)
    pairs: tuple[tuple[str, StepOptions], ...] = (("channel", channels), ("weight", weights))
    return [
        Row(f"{student.name}-{kind}-{round(100 * kept)}", kind, (step,), model=student.model, after=student.name)
        for kind, step in pairs
    ]


def run(rounds: int) -> list[str]:
    """Train what is missing, measure, write; the question is open, so no goal can be missed."""
    from benchmarks.compress_latency import measure_all
    from benchmarks.kd_pruning_page import write_page

    out = OUT.parent / "kd_pruning"
    failures(run_all(rows(), Site(out, f"parquet:{cifar_folder()}"), jobs=2))
    measure_all(rows(), Site(out, ""), rounds)
    keep("kd_pruning", Site(out, ""))
    write_page(rows(), Site(out, ""))
    return []


def main() -> int:
    """One part."""
    args = arguments(__doc__, "kd_pruning")
    out = OUT.parent / "kd_pruning" if args.out == OUT else args.out
    some = chosen(rows(), args.only)
    if args.part == "list":
        print("\n".join(row.name for row in some))
    elif args.part == "train":
        site = Site(out, args.data or f"parquet:{cifar_folder()}", args.device, args.share, args.half)
        deadline = None if args.seconds is None else time.monotonic() + args.seconds
        failures(failed := run_all(some, site, jobs=args.jobs, deadline=deadline))
        return bool(failed)
    elif args.part == "latency":
        from benchmarks.compress_latency import measure_all

        measure_all(some, Site(out, ""), args.rounds)
    elif args.part == "restore":
        restore("kd_pruning", Site(out, ""))
    else:
        from benchmarks.kd_pruning_page import write_page

        keep("kd_pruning", Site(out, ""))
        write_page(rows(), Site(out, ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
