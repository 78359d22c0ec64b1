"""Equality with independent implementations, and what `torch.compile` makes of the losses."""

from __future__ import annotations

import brute
import pytest
import torch
from torch import nn

from unalike.objectives import clip, decoupled, info_nce, nt_xent, rowwise, sigmoid, sup_con

N, D = 24, 16


@pytest.fixture
def views() -> tuple[torch.Tensor, torch.Tensor]:
    a = brute.vectors(N, D, 0)
    b = brute.vectors(N, D, 1, near=a)
    return a.float().requires_grad_(), b.float().requires_grad_()


def along(slope: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The part of a gradient along the sphere: some peers bring vectors to unit length once more."""
    return slope - (slope * x).sum(1, keepdim=True) * x


def same(ours: torch.Tensor, theirs: torch.Tensor, views) -> None:
    assert brute.off(ours, theirs) < 2e-6
    for found, right, x in zip(brute.gradients(ours, *views), brute.gradients(theirs, *views), views, strict=True):
        assert brute.off(along(found, x.detach()), along(right, x.detach())) < 1e-5


def test_open_clip(views):
    losses = pytest.importorskip("open_clip.loss")
    scale, bias = torch.tensor(14.0), torch.tensor(-5.0)
    same(clip(*views, logit_scale=14.0), losses.ClipLoss()(*views, scale), views)
    same(sigmoid(*views, logit_scale=14.0, bias=-5.0), losses.SigLipLoss()(*views, scale, bias), views)


def test_lightly(views):
    losses = pytest.importorskip("lightly.loss")
    same(nt_xent(*views, temperature=0.2), losses.NTXentLoss(temperature=0.2)(*views), views)

    same(decoupled(*views, temperature=0.2), losses.DCLLoss(temperature=0.2)(*views), views)


def test_pytorch_metric_learning(views):
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    labels = torch.arange(N).repeat(2) % 5
    same(sup_con(torch.cat(views), labels, temperature=0.2), losses.SupConLoss(0.2)(torch.cat(views), labels), views)


def test_sentence_transformers(views):
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    theirs = losses.MultipleNegativesRankingLoss(None, scale=5.0).compute_loss_from_embeddings(list(views), None)
    same(info_nce(*views, temperature=0.2), theirs, views)


@pytest.mark.filterwarnings("ignore")
def test_inside_of_torch_compile():
    """The graph breaks at the loss; what surrounds it is compiled, and the numbers stay."""
    layer = nn.Linear(D, 8)
    x, y = brute.vectors(N, D, 0).float(), brute.vectors(N, D, 1).float()

    def model(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        q, k = (nn.functional.normalize(layer(v), dim=1) for v in (a, b))
        return (
            clip(q, k, logit_scale=10.0)
            + nt_xent(q, k, temperature=0.2)
            + sup_con(q, torch.arange(N) % 3, temperature=0.2)
            + sigmoid(q, k, logit_scale=5.0, bias=-1.0)
            + rowwise(lambda scores, rows: scores.amax(1), q, k).mean()
        )

    expected = model(x, y)
    slopes = brute.gradients(expected, *layer.parameters())
    compiled = torch.compile(model, backend="aot_eager")(x, y)
    assert brute.off(compiled, expected) < 1e-6
    for found, right in zip(brute.gradients(compiled, *layer.parameters()), slopes, strict=True):
        assert brute.off(found, right) < 1e-5
