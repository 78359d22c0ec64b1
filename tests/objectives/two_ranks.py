"""One of two processes of a group: writes the losses and parameter gradients that it ends with."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from unalike.errors import DataError
from unalike.objectives import clip, gather, info_nce, nt_xent, rank_offset, sigmoid, sup_con
from unalike.pairing import Edges, Pairing, Plan, SameIndex, SameLabel

BATCH = 6


def make() -> tuple[nn.Module, nn.Module, Tensor, Tensor, Tensor]:
    """Two towers and a batch for two processes; the same everywhere."""
    torch.manual_seed(0)
    towers = [nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 4)).double() for _ in range(2)]
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(2 * BATCH, 5, generator=generator, dtype=torch.float64)
    b = a + 0.3 * torch.randn(2 * BATCH, 5, generator=generator, dtype=torch.float64)
    return towers[0], towers[1], a, b, torch.arange(2 * BATCH) % 4


class LabelsOfRank(Pairing):
    """Labels of this process's rows against all rows, a row's score with itself left out."""

    def __init__(self, labels: Tensor, offset: int) -> None:
        self.labels, self.offset = labels, offset

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        own = self.labels[self.offset : self.offset + len(queries)]
        itself = Edges.diagonal((len(queries), len(keys)), offset=self.offset, weight=0.0)
        return SameLabel(own, self.labels).plan(queries, keys).with_apart(itself)


def whole(q: Tensor, k: Tensor, labels: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Every objective over all rows, as one process computes it and as each of several may."""
    return {
        "info_nce": lambda: info_nce(q, k, temperature=0.2),
        "clip": lambda: clip(q, k, logit_scale=8.0),
        "nt_xent": lambda: nt_xent(q, k, temperature=0.2),
        "sup_con": lambda: sup_con(q, labels, temperature=0.2) + 0 * k.sum(),
        "sigmoid": lambda: sigmoid(q, k, logit_scale=5.0, bias=-2.0),
        "what is the same": lambda: info_nce(q, k, temperature=0.2, same=labels),
    }


def own_rows(q: Tensor, k: Tensor, labels: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The objectives that a process can compute for its own rows against all gathered ones."""
    offset = rank_offset(q)
    every_q, every_k = gather(q), gather(k)
    partner = SameIndex(offset=offset)
    from unalike.objectives.contrastive import coupled
    from unalike.objectives.score import score_sums

    def of_labels() -> Tensor:
        # one label has the same number of rows in each process here, so the mean over rows is the mean of the means
        return coupled(score_sums(q, every_q, temperature=0.2, pairing=LabelsOfRank(labels, offset))).mean()

    return {
        "info_nce": lambda: info_nce(q, every_k, temperature=0.2, pairing=partner),
        "clip": lambda: (
            (
                info_nce(q, every_k, temperature=1 / 8, pairing=partner)
                + info_nce(k, every_q, temperature=1 / 8, pairing=partner)
            )
            / 2
        ),
        "sup_con": lambda: of_labels() + 0 * k.sum(),
        "sigmoid": lambda: sigmoid(q, every_k, logit_scale=5.0, bias=-2.0, pairing=partner),
        "what is the same": lambda: info_nce(
            q,
            every_k,
            temperature=0.2,
            pairing=partner,
            same=(codes := labels[offset : offset + len(q)], gather(codes)),
        ),
    }


def main(rank: int, store: str, output: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    first, second, a, b, labels = make()
    rows = slice(rank * BATCH, (rank + 1) * BATCH)
    parameters = [*first.parameters(), *second.parameters()]
    found = {}
    for way in ("whole", "own rows"):
        names = whole(a, b, labels) if way == "whole" else own_rows(a[rows], b[rows], labels)
        for name in names:
            q = nn.functional.normalize(first(a[rows]), dim=1)
            k = nn.functional.normalize(second(b[rows]), dim=1)
            losses = whole(gather(q), gather(k), labels) if way == "whole" else own_rows(q, k, labels)
            loss = losses[name]()
            slopes = [
                torch.zeros_like(p) if g is None else g
                for p, g in zip(parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True)
            ]
            mean = [loss.detach().clone(), *slopes]
            for value in mean:  # as DistributedDataParallel averages them
                dist.all_reduce(value)
                value /= 2
            found[f"{way}: {name}"] = mean
    try:
        gather(torch.ones(1 + rank, 2))
    except DataError as error:
        found["refusal"] = str(error)
    torch.save(found, output)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
