"""Pairings that need no more than a number or a few for each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn

from unalike.errors import DataError, SettingsError
from unalike.pairing.edges import Edges
from unalike.pairing.plan import Pairing, Plan, Tile, check_length, whole_numbers


@dataclass(frozen=True)
class SameIndex(Pairing):
    """Row i's positive is column i + offset; all other columns are negatives.

    With ``views`` above 1, rows and columns are the same set, which holds that many looks of each sample one after
    another: ``cat([first, second, ...])``. Then the other looks of a sample are its positives and a look's score
    with itself is ignored.

    Args:
        views: looks in one set, or 1 for two sets of partners.
        offset: first column that has a partner, as with keys gathered from several processes.

    Example:
        >>> import torch
        >>> from unalike.pairing import SameIndex
        >>> z = torch.eye(4)
        >>> SameIndex(views=2).plan(z, z).whole().positive
        tensor([[0., 0., 1., 0.],
                [0., 0., 0., 1.],
                [1., 0., 0., 0.],
                [0., 1., 0., 0.]])
    """

    views: int = 1
    offset: int = 0

    def __post_init__(self) -> None:
        if self.views < 1 or self.offset < 0 or (self.views > 1 and self.offset):
            raise SettingsError(
                f"views={self.views}, offset={self.offset}: views must be at least 1, offset at least 0, "
                "and an offset needs two sets (views=1)"
            )

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        shape = (queries.shape[0], keys.shape[0])
        if torch.compiler.is_compiling() or type(queries) not in {Tensor, nn.Parameter}:
            return _by_index(self, shape, queries.device)  # what stands for a tensor must not be remembered
        return _remembered(self, shape, queries.device)


def _by_index(pairing: SameIndex, shape: tuple[int, int], device: torch.device) -> Plan:
    (n, m), views = shape, pairing.views
    with torch.inference_mode(False):  # the plan may serve a later call whose gradients need it
        if views == 1:
            return Plan(shape, device, apart=Edges.diagonal(shape, offset=pairing.offset, device=device))
        if n != m or n % views:
            raise DataError(
                f"{views} looks of each sample cannot be {n} rows against {m} columns; "
                "give the same set twice, its length a multiple of the number of looks"
            )
        samples = n // views
        every = torch.arange(n, device=device)
        columns = (every % samples)[:, None] + samples * torch.arange(views, device=device)
        rows = every[:, None].expand_as(columns)
        weights = (rows != columns).float()
        edges = Edges(
            rows.reshape(-1),
            columns.reshape(-1),
            weights.reshape(-1),
            shape,
            per_row=views,
            only=2 * every + (every < samples) if views == 2 else None,
        )
        return Plan(shape, device, apart=edges)


_remembered = lru_cache(maxsize=4)(_by_index)
"""Training asks for the same few shapes again and again; to make the plan costs as much as a small loss."""


@dataclass(frozen=True)
class PairsOnly(Pairing):
    """Row i's positive is column i, and no column is a negative: those come from elsewhere, such as a queue.

    Example:
        >>> import torch
        >>> from unalike.pairing import PairsOnly
        >>> PairsOnly().plan(torch.eye(2), torch.eye(2)).whole()
        Tile(positive=tensor([[1., 0.],
                [0., 1.]]), negative=tensor([[0., 0.],
                [0., 0.]]))
    """

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        shape, device = (queries.shape[0], keys.shape[0]), queries.device

        def nothing(rows: slice, columns: slice) -> Tile:
            zeros = torch.zeros(rows.stop - rows.start, columns.stop - columns.start, device=device)
            return Tile(zeros, zeros)

        return Plan(shape, device, apart=Edges.diagonal(shape, device=device), weights=nothing)


@dataclass(frozen=True)
class AllNegatives(Pairing):
    """Every column is a negative of every row, and there is no positive.

    Example:
        >>> import torch
        >>> from unalike.pairing import AllNegatives
        >>> AllNegatives().plan(torch.eye(2), torch.eye(2)).whole().negative
        tensor([[1., 1.],
                [1., 1.]])
    """

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        return Plan((queries.shape[0], keys.shape[0]), queries.device)


@dataclass(frozen=True, eq=False)
class SameLabel(Pairing):
    """Pairs with the same label are positives, the others negatives.

    Args:
        rows: int64 ``(N,)`` labels of the queries; -1 (missing) has no positive and is a negative of all.
        columns: int64 ``(M,)`` labels of the keys; None where the keys are the queries, and then a row's score with
            itself is ignored.

    Example:
        >>> import torch
        >>> from unalike.pairing import SameLabel
        >>> SameLabel(torch.tensor([0, 1, 0])).plan(torch.eye(3), torch.eye(3)).whole().positive
        tensor([[0., 0., 1.],
                [0., 0., 0.],
                [1., 0., 0.]])
    """

    rows: Tensor
    columns: Tensor | None = None

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        n, m = queries.shape[0], keys.shape[0]
        check_length("labels of rows", self.rows.shape[0], n, "queries")
        rows = whole_numbers("labels", self.rows, queries.device)
        if self.columns is None:
            check_length("labels", n, m, "keys")
            apart = Edges.diagonal((n, n), weight=0.0, device=queries.device)
            return Plan((n, n), queries.device, apart=apart, labels=(rows, rows))
        check_length("labels of columns", self.columns.shape[0], m, "keys")
        return Plan((n, m), queries.device, labels=(rows, whole_numbers("labels", self.columns, queries.device)))


@dataclass(frozen=True, eq=False)
class SharedText(Pairing):
    """Partners by index, where a caption or picture that occurs again is never taken for a negative.

    Args:
        codes: int64 ``(N,)``, equal where the text (or picture) is the same; see `SharedText.of`.
        repeats: ``"positive"`` makes repeats positives as good as the partner, ``"ignored"`` leaves them out.

    Example:
        >>> import torch
        >>> from unalike.pairing import SharedText
        >>> pairing = SharedText.of(["a dog", "a cat", "a dog"], repeats="ignored")
        >>> pairing.plan(torch.eye(3), torch.eye(3)).whole().negative
        tensor([[0., 1., 0.],
                [1., 0., 1.],
                [0., 1., 0.]])
    """

    codes: Tensor
    repeats: Literal["positive", "ignored"] = "positive"

    @staticmethod
    def of(texts: Sequence[str | bytes], *, repeats: Literal["positive", "ignored"] = "positive") -> SharedText:
        """Codes for texts, or for pictures by their bytes."""
        known: dict[str | bytes, int] = {}
        return SharedText(torch.tensor([known.setdefault(text, len(known)) for text in texts]), repeats)

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        n, m = queries.shape[0], keys.shape[0]
        check_length("codes", self.codes.shape[0], n, "queries")
        check_length("codes", self.codes.shape[0], m, "keys")
        codes = whole_numbers("codes", self.codes, queries.device)
        apart = Edges.diagonal((n, m), device=queries.device)
        return Plan((n, m), queries.device, apart=apart, labels=(codes, codes), same=self.repeats)


@dataclass(frozen=True, eq=False)
class SeveralTexts(Pairing):
    """Each text belongs to one picture, a picture to any number of texts, say one in each language it has.

    A text whose wording is that of one of a picture's own is ignored there: it is no negative, whoever owns it.

    Args:
        owners: int64 ``(M,)``, the row of the picture to which each text belongs; -1 for a text of none.
        codes: int64 ``(M,)``, equal where the texts are equal, -1 where unknown; none are unless given.

    Example:
        >>> import torch
        >>> from unalike.pairing import SeveralTexts
        >>> pairing = SeveralTexts(torch.tensor([0, 0, 1]), codes=torch.tensor([4, 5, 5]))
        >>> pairing.plan(torch.eye(2, 3), torch.eye(3)).whole()
        Tile(positive=tensor([[1., 1., 0.],
                [0., 0., 1.]]), negative=tensor([[0., 0., 0.],
                [1., 0., 0.]]))
    """

    owners: Tensor
    codes: Tensor | None = None

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        n, m = queries.shape[0], keys.shape[0]
        check_length("owners", self.owners.shape[0], m, "keys")
        owners = self.owners.to(queries.device, torch.int64)
        if m and not (int(owners.min()) >= -1 and int(owners.max()) < n):
            raise DataError(f"owners reach from {owners.min()} to {owners.max()}; expected -1 to {n - 1}")
        plan = Plan((n, m), queries.device, labels=(torch.arange(n, device=queries.device), owners))
        if self.codes is None:
            return plan
        check_length("codes", self.codes.shape[0], m, "keys")
        rows, columns = self._worded_alike(owners, whole_numbers("codes", self.codes, queries.device))
        if not len(rows):
            return plan
        return plan.with_apart(Edges.from_pairs(rows, columns, rows.new_zeros(len(rows)).float(), plan.shape))

    @staticmethod
    def _worded_alike(owners: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures, and texts of others that are worded as one of their own: a join on the codes."""
        known = ((owners >= 0) & (codes >= 0)).nonzero()[:, 0]
        worded = torch.stack([codes[known], owners[known]], 1).unique(dim=0)  # type: ignore[no-untyped-call]
        held, counts = worded[:, 0].unique_consecutive(return_counts=True)
        texts = torch.isin(codes, held[counts > 1]).nonzero()[:, 0]
        place = torch.searchsorted(held, codes[texts])
        each = counts[place]
        columns = texts.repeat_interleave(each)
        within = torch.arange(len(columns), device=codes.device) - (each.cumsum(0) - each).repeat_interleave(each)
        rows = worded[(counts.cumsum(0) - counts)[place].repeat_interleave(each) + within, 1]
        other = rows != owners[columns]
        return rows[other], columns[other]


@dataclass(frozen=True, eq=False)
class Graph(Pairing):
    """The edges of a graph are the positives, weighted by the edges' weights; all other pairs are negatives.

    Args:
        adjacency: sparse ``(N, M)`` tensor (COO or CSR), weights at least 0; an edge of weight 0 is an ignored pair.
        ignore_self: where rows and columns are the same nodes, a node's score with itself is ignored.

    Example:
        >>> import torch
        >>> from unalike.pairing import Graph
        >>> edges = torch.sparse_coo_tensor([[0, 1], [1, 0]], [1.0, 1.0], (3, 3))
        >>> Graph(edges, ignore_self=True).plan(torch.eye(3), torch.eye(3)).whole().negative
        tensor([[0., 0., 1.],
                [0., 0., 1.],
                [1., 1., 0.]])
    """

    adjacency: Tensor
    ignore_self: bool = False

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        shape = (queries.shape[0], keys.shape[0])
        if tuple(self.adjacency.shape) != shape:
            raise DataError(f"a graph of {tuple(self.adjacency.shape)} for scores {shape}; both must agree")
        sparse = self.adjacency.to(queries.device).to_sparse(sparse_dim=2).coalesce()
        (rows, columns), weights = sparse.indices(), sparse.values().float()
        if weights.numel() and float(weights.min()) < 0:
            raise DataError(f"the graph has an edge of weight {float(weights.min()):g}; weights are at least 0")
        plan = Plan(shape, queries.device, apart=Edges.from_pairs(rows, columns, weights, shape))
        if self.ignore_self:
            plan = plan.with_apart(Edges.diagonal(shape, weight=0.0, device=queries.device))
        return plan


@dataclass(frozen=True, eq=False)
class Without(Pairing):
    """A pairing with some pairs ignored: neither positive nor negative.

    Args:
        pairing: the pairing to change.
        ignored: int64 ``(E, 2)`` pairs of (row, column), or ``"self"`` for the pairs (i, i).

    Example:
        >>> import torch
        >>> from unalike.pairing import SameIndex, Without
        >>> doubtful = torch.tensor([[0, 2], [2, 0]])
        >>> Without(SameIndex(), doubtful).plan(torch.eye(3), torch.eye(3)).whole().negative
        tensor([[0., 1., 0.],
                [1., 0., 1.],
                [0., 1., 0.]])
    """

    pairing: Pairing
    ignored: Tensor | Literal["self"]

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        plan = self.pairing.plan(queries, keys)
        if isinstance(self.ignored, str):
            return plan.with_apart(Edges.diagonal(plan.shape, weight=0.0, device=plan.device))
        if self.ignored.ndim != 2 or self.ignored.shape[1] != 2:
            raise DataError(f"ignored pairs have shape {tuple(self.ignored.shape)}; give (E, 2): row and column")
        rows, columns = self.ignored.to(plan.device, torch.int64).unbind(1)
        nothing = torch.zeros(rows.shape[0], device=plan.device)
        return plan.with_apart(Edges.from_pairs(rows, columns, nothing, plan.shape))


@dataclass(frozen=True, eq=False)
class ExtraNegatives(Pairing):
    """A pairing of the first columns; the last ``count`` columns are negatives of every row (a queue, hard texts).

    Args:
        pairing: who meets whom among the rows and the first columns.
        count: how many of the last columns are negatives only.

    Example:
        >>> import torch
        >>> from unalike.pairing import ExtraNegatives, SameIndex
        >>> ExtraNegatives(SameIndex(), 1).plan(torch.eye(2), torch.ones(3, 2)).whole().negative
        tensor([[0., 1., 1.],
                [1., 0., 1.]])
    """

    pairing: Pairing
    count: int

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        n, m = queries.shape[0], keys.shape[0]
        own = m - self.count
        if self.count < 0 or own < 1:
            raise DataError(f"{self.count} extra negatives among {m} keys leave none to pair with")
        plan = self.pairing.plan(queries, keys[:own])
        apart, labels = plan.apart, plan.labels
        if apart is not None:
            apart = replace(apart, shape=(n, m), bijective=False, matched=False)
        if labels is not None:
            labels = (labels[0], torch.cat([labels[1], labels[1].new_full((self.count,), -1)]))
        negatives = plan.negatives
        if negatives is not None:
            raise DataError("a pairing that names its only negatives takes no further ones")
        weights = None if plan.weights is None else _padded(plan.weights, own)
        return replace(plan, shape=(n, m), apart=apart, labels=labels, weights=weights)


def _padded(weights: Callable[[slice, slice], Tile], own: int) -> Callable[[slice, slice], Tile]:
    def tile(rows: slice, columns: slice) -> Tile:
        size = rows.stop - rows.start
        inner = slice(min(columns.start, own), min(columns.stop, own))
        extra = columns.stop - columns.start - (inner.stop - inner.start)
        positive, negative = weights(rows, inner)
        return Tile(
            torch.cat([positive, positive.new_zeros(size, extra)], 1),
            torch.cat([negative, negative.new_ones(size, extra)], 1),
        )

    return tile
