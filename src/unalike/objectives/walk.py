"""A walk over the tiles of a score matrix: what is asked of it, what it finds, and the scores it meets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from unalike.objectives import tiles
from unalike.objectives.memory import Loan
from unalike.pairing import Edges, Plan


@dataclass(eq=False)
class Task:
    """What is asked of one walk over the scores.

    Args:
        plan: who meets whom.
        columns: sums over columns too.
        symmetric: keys are the queries, the plan is symmetric, and so only tiles above the diagonal are walked.
    """

    plan: Plan
    columns: bool = False
    symmetric: bool = False

    @property
    def separate(self) -> bool:
        """Positives have a sum of their own in the tiles."""
        plan = self.plan
        return (plan.labels is not None and plan.same == "positive") or (plan.weights is not None and not plan.joint)

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("negative", "positive") if self.separate else ("negative",)


@dataclass(eq=False)
class Totals:
    """What a walk found. Sums are of ``exp(score - shift)``; the keys are "negative" and "positive"."""

    rows: dict[str, Tensor] = field(default_factory=dict)
    columns: dict[str, Tensor] = field(default_factory=dict)
    row_shift: dict[str, Tensor] = field(default_factory=dict)
    column_shift: dict[str, Tensor] = field(default_factory=dict)
    shift: float | None = 0.0
    """One shift for all scores, or None where each row and column has its own."""
    weighted: tuple[Tensor, Tensor] | None = None
    """Sums of weight x score over rows and over columns, for plans with a weight for each pair."""
    weight: tuple[Tensor, Tensor] | None = None
    """Sums of the weights."""
    stored: Loan | None = None
    """Exponentials that the native path keeps for its backward pass."""


def accumulator(device: torch.device) -> torch.dtype:
    """The dtype in which sums of tiles are added up."""
    return torch.float32 if device.type == "mps" else torch.float64


def edge_scores(queries: Tensor, keys: Tensor, edges: Edges, inverse: Tensor | float) -> Tensor:
    """``(E,)`` scores of single pairs, computed with more digits than the tiles are."""
    wide = accumulator(queries.device)
    scores = torch.empty(edges.rows.shape[0], dtype=wide, device=queries.device)
    chunk = max(1, (1 << 19) // max(queries.shape[1], 1))
    for first in range(0, scores.shape[0], chunk):
        part = slice(first, first + chunk)
        rows, columns = (part, part) if edges.bijective else (edges.rows[part], edges.columns[part])
        torch.sum(queries[rows].to(wide) * keys[columns], 1, out=scores[part])
    return scores.mul_(inverse[edges.rows].to(wide) if isinstance(inverse, Tensor) and inverse.ndim else inverse)


def bound_of(queries: Tensor, keys: Tensor, inverse: Tensor | float) -> float:
    """No score is larger than this in absolute value (Cauchy and Schwarz)."""
    norms = torch.linalg.vector_norm(queries, dim=1)
    if isinstance(inverse, Tensor):
        norms = norms * inverse.to(norms.dtype).abs()
    largest = float(norms.amax())
    if keys is queries and not isinstance(inverse, Tensor):
        return largest * largest * inverse
    other = float(torch.linalg.vector_norm(keys, dim=1).amax())
    return largest * other * (1.0 if isinstance(inverse, Tensor) else inverse)


def reach(dtype: torch.dtype) -> float:
    """``exp`` of twice this, and sums of many of them, stay normal numbers of the dtype."""
    return 300.0 if dtype == torch.float64 else 50.0


class Walk:
    """Tiles of scores, with the pairs that are held apart at minus infinity.

    Args:
        scaled: queries over temperature ``(N, D)``; keys: ``(M, D)``; task: what is asked.
    """

    def __init__(self, scaled: Tensor, keys: Tensor, task: Task) -> None:
        self.scaled, self.keys, self.task = scaled, keys, task
        self.tile = tiles.portable(scaled.device)
        size = min(self.tile.rows, scaled.shape[0]) * min(self.tile.columns, keys.shape[0])
        self.buffer = torch.empty(size, dtype=scaled.dtype, device=scaled.device)
        self.second = torch.empty_like(self.buffer)

    def __iter__(self) -> Iterator[tuple[slice, slice, Tensor]]:
        shape = (self.scaled.shape[0], self.keys.shape[0])
        for rows, columns in tiles.tiles(shape, self.tile, upper=self.task.symmetric):
            scores = self._view(self.buffer, rows, columns)
            torch.mm(self.scaled[rows], self.keys[columns].T, out=scores)
            yield rows, columns, scores

    def _view(self, buffer: Tensor, rows: slice, columns: slice) -> Tensor:
        r, c = rows.stop - rows.start, columns.stop - columns.start
        return buffer[: r * c].view(r, c)

    def spare(self, scores: Tensor) -> Tensor:
        """A second buffer of the tile's shape."""
        return self.second[: scores.numel()].view(scores.shape)

    def hold_apart(self, rows: slice, columns: slice, scores: Tensor) -> None:
        """Set the scores of pairs that are held apart to minus infinity."""
        if self.task.plan.apart is not None:
            r, c, _ = self.task.plan.apart.within(rows, columns)
            if r.numel():
                scores[r, c] = -torch.inf

    def weights(self, rows: slice, columns: slice) -> tuple[dict[str, Tensor | None], Tensor | None]:
        """Weight tile of each kind (None where all are 1), and the weights of positives in the mean."""
        plan = self.task.plan
        if plan.weights is not None:
            positive, negative = plan.tile(rows, columns)
            if plan.apart is not None:
                r, c, _ = plan.apart.within(rows, columns)
                positive[r, c] = 0.0
            positive, negative = positive.to(self.scaled.dtype), negative.to(self.scaled.dtype)
            kinds: dict[str, Tensor | None] = {"negative": negative}
            if not plan.joint:
                kinds["positive"] = (positive > 0).to(positive.dtype)
            return kinds, positive
        if plan.labels is not None:
            alike = plan.alike(rows, columns)
            kinds = {"negative": (~alike).to(self.scaled.dtype)}
            if plan.same == "positive":
                kinds["positive"] = alike.to(self.scaled.dtype)
            return kinds, None
        return {"negative": None}, None
