"""The arithmetic of optimal brain surgery on one layer's least-squares problem.

A layer with inputs X (columns, samples) and weights W (rows, columns) changes its output by ||(W' - W) X||² when W
becomes W'. Rows are independent, each with the same Hessian H = 2 X Xᵀ (columns, columns), in squared units of the
input. Removing weight q of a row costs at best (Hassibi & Stork 1993, NeurIPS 5)

    L_q = w_q² / (2 [H⁻¹]_qq)   with the update   δw = - w_q / [H⁻¹]_qq · H⁻¹[:, q]

Everything is float64 and batched over rows; the loops never wait for an accelerator. Groups (of a grouped convolution)
have a Hessian each; tensors of rows come with one Hessian per row, or one for all.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

#: Values of the rows' inverse Hessians that are worked on at once, on the CPU (its caches) and elsewhere.
AT_ONCE = {"cpu": 2**19, "other": 2**26}
#: Of H's mean diagonal, added to its diagonal: inputs that never vary would make it singular.
DAMPING = 1e-4


def damped(hessian: torch.Tensor, share: float = DAMPING) -> torch.Tensor:
    """H + λ I for each group.

    λ is ``share`` of the mean diagonal, so that the weights minimise ||(W' - W) X||² + λ/2 ||W' - W||². Where all
    inputs are zero λ is 1: then the largest weights stay.

    Args:
        hessian: (groups, columns, columns).
        share: 0 for an H that is not singular.
    """
    mean = hessian.diagonal(dim1=1, dim2=2).mean(1)
    amount = torch.where(mean > 0, share * mean, 1.0)
    return hessian + torch.diag_embed(amount[:, None].expand(-1, hessian.shape[-1]))


def inverse(hessian: torch.Tensor) -> torch.Tensor:
    """H⁻¹ of positive definite matrices (groups, columns, columns)."""
    return torch.cholesky_inverse(torch.linalg.cholesky(hessian))


def losses_at_once(weights: torch.Tensor, inverses: torch.Tensor) -> torch.Tensor:
    """L_q of every weight, each as if it went alone: the order of L-OBS (Dong, Chen & Pan 2017, arXiv:1705.07565).

    Args:
        weights: (rows, columns).
        inverses: (rows or 1, columns, columns).
    """
    return weights.square() / (2 * inverses.diagonal(dim1=1, dim2=2))


def removal_order(weights: torch.Tensor, inverses: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Remove all weights of each row one by one, always the one that costs least then.

    After a removal the others are updated, and H⁻¹ becomes that of the problem without the weight:
    H⁻¹ - H⁻¹[:, q] H⁻¹[q, :] / [H⁻¹]_qq (Frantar & Alistarh 2022, arXiv:2208.11580, lemma 1).

    Args:
        weights: (rows, columns).
        inverses: (rows or 1, columns, columns).

    Returns:
        order: (rows, columns), which column went first, second, …
        losses: (rows, columns), what each of these removals added to the row's error.
    """
    parts = [_order(weights[rows], _of_rows(inverses, rows)) for rows in chunks(weights)]
    order, losses = (torch.cat(found) for found in zip(*parts, strict=True))
    return order, losses


def _order(weights: torch.Tensor, inverses: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    rows, columns = weights.shape
    w, h = weights.clone(), inverses.expand(rows, -1, -1).clone()
    gone = torch.zeros_like(w, dtype=torch.bool)
    order = torch.empty((rows, columns), dtype=torch.int64, device=w.device)
    losses = torch.empty_like(w)
    for step in range(columns):
        costs = losses_at_once(w, h).masked_fill_(gone, torch.inf)
        loss, q = costs.min(1, keepdim=True)
        order[:, step : step + 1], losses[:, step : step + 1] = q, loss
        column = h.gather(2, q[:, None].expand(-1, columns, 1))
        pivot = column.gather(1, q[:, None])
        w -= (w.gather(1, q) / pivot[:, 0]) * column[..., 0]
        h.baddbmm_(column, (column / pivot).mT, alpha=-1)
        gone.scatter_(1, q, True)
        w.masked_fill_(gone, 0.0)
    return order, losses


def refitted(weights: torch.Tensor, keep: torch.Tensor, hessians: torch.Tensor) -> torch.Tensor:
    """The rows of least error among those that are zero where ``keep`` is False.

    With Q the columns that go and S those that stay: w_S + H_SS⁻¹ H_SQ w_Q, the solution of the constrained
    least-squares problem, where the exact greedy removal of Q ends too. Zeroing Q alone is never better.

    Args:
        weights, keep: (rows, columns).
        hessians: (rows or 1, columns, columns), positive definite.
    """
    parts = [_refit(weights[rows], keep[rows], _of_rows(hessians, rows)) for rows in chunks(weights)]
    return torch.cat(parts)


def _refit(weights: torch.Tensor, keep: torch.Tensor, hessians: torch.Tensor) -> torch.Tensor:
    stay = keep.to(weights.dtype)
    inside = hessians * (stay[:, :, None] * stay[:, None, :]) + torch.diag_embed(1 - stay)
    pull = (hessians @ (weights * (1 - stay))[..., None]) * stay[..., None]
    change = torch.cholesky_solve(pull, torch.linalg.cholesky(inside))[..., 0]
    return (weights + change) * stay


def chunks(weights: torch.Tensor) -> Iterator[slice]:
    """Rows whose Hessians fit into memory together."""
    rows, columns = weights.shape
    size = max(1, AT_ONCE["cpu" if weights.device.type == "cpu" else "other"] // columns**2)
    return (slice(first, first + size) for first in range(0, rows, size))


def _of_rows(matrices: torch.Tensor, rows: slice) -> torch.Tensor:
    return matrices if len(matrices) == 1 else matrices[rows]
