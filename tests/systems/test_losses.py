"""The loss of each baseline system, on its own modules and views, against a plain formula in float64."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product

import numpy as np
import pytest
import torch
from test_contract import make
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid, normalize

from unalike import systems, training
from unalike.objectives import beta_weights

pytestmark = pytest.mark.systems("slip", "triplet")


def unit(x: Tensor) -> Tensor:
    return normalize(x.double(), dim=-1)


def softmax_loss(scores: Tensor, positives: Tensor) -> Tensor:
    """Mean over rows of log sum exp over all, minus the mean over positives outside the logarithm."""
    rows = [torch.logsumexp(row, 0) - row[marks].mean() for row, marks in zip(scores, positives, strict=True)]
    return torch.stack(rows).mean()


def vectors(learner: training.Learner, head: str, views: list[Tensor], kind: str = "image") -> list[Tensor]:
    return [learner.module[head](learner.encoders[kind](view).vector) for view in views]


def simclr(learner, views, s) -> Tensor:
    z = torch.cat([unit(v) for v in vectors(learner, "projector", views)])
    scores = (z @ z.T / s.temperature).fill_diagonal_(-torch.inf)
    n = len(z) // 2
    return cross_entropy(scores, torch.cat([torch.arange(n) + n, torch.arange(n)]))


def moco(learner, views, s) -> Tensor:
    q = unit(vectors(learner, "projector", views[:1])[0])
    dictionary = learner.module["dictionary"]
    k = unit(dictionary.projector(dictionary.teacher(views[1]).vector))
    queue = dictionary.queue.vectors().double()
    scores = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.T], 1) / s.temperature
    return cross_entropy(scores, torch.zeros(len(q), dtype=torch.int64))


def queried(learner, views) -> tuple[Tensor, Tensor, Tensor]:
    dictionary = learner.module["dictionary"]
    q = unit(vectors(learner, "projector", views[:1])[0])
    return q, unit(dictionary.projector(dictionary.teacher(views[1]).vector)), dictionary.queue.vectors().double()


def ft(learner, seen, s) -> Tensor:
    q, k, queue = queried(learner, seen[0])
    g = torch.Generator().set_state(seen[1].get_state())
    w = 1 + beta_weights(q.shape, s.positive_alpha, generator=g, like=q)
    partner = torch.randperm(len(queue), generator=g)
    v = beta_weights(queue.shape, s.negative_alpha, generator=g, like=q)
    away, back = w * q + (1 - w) * k, w * k + (1 - w) * q
    scores = torch.cat([(away * back).sum(1, keepdim=True), away @ (v * queue + (1 - v) * queue[partner]).T], 1)
    return cross_entropy(scores / s.temperature, torch.zeros(len(q), dtype=torch.int64))


def mochi(learner, seen, s) -> Tensor:
    q, k, queue = queried(learner, seen[0])
    g = torch.Generator().set_state(seen[1].get_state())
    drawn = torch.randint(s.hardest, (len(q), 2 * s.mixtures + s.query_mixtures), generator=g)
    a = torch.rand(len(q), s.mixtures, generator=g).double()[..., None]
    b = torch.rand(len(q), s.query_mixtures, generator=g).double()[..., None] / 2
    rows = []
    for i in range(len(q)):
        hardest = queue[(queue @ q[i]).argsort(descending=True)[: s.hardest]]
        one, two, three = hardest[drawn[i]].split([s.mixtures, s.mixtures, s.query_mixtures])
        mixed = torch.cat([unit(a[i] * one + (1 - a[i]) * two), unit(b[i] * q[i] + (1 - b[i]) * three)])
        scores = torch.cat([q[i] @ k[i][:, None], torch.cat([queue, mixed]) @ q[i]]) / s.temperature
        rows.append(torch.logsumexp(scores, 0) - scores[0])
    return torch.stack(rows).mean()


def mvdhel(learner, views, s) -> Tensor:
    z = [unit(v) for v in vectors(learner, "projector", views)]
    rows = []
    for i in range(len(z[0])):
        pairs = [a[i] @ b[i] / s.temperature for a, b in combinations(z, 2)]
        others = [torch.cat([v[:i], v[i + 1 :]]) @ v[i] / s.temperature for v in z]
        rows.append(sum(row.logsumexp(0) for row in others) - torch.stack(pairs).logsumexp(0))
    return torch.stack(rows).mean()


def cacr(learner, views, s) -> Tensor:
    z = [unit(v) for v in vectors(learner, "projector", views)]
    pull, push = [], []
    for v, i in product(range(len(z)), range(len(z[0]))):
        near = torch.stack([(z[v][i] - z[w][i]).square().sum() for w in range(len(z)) if w != v])
        pull.append(((s.attraction * near).softmax(0) * near).sum())
        for w in range(v + 1, len(z)):
            far = torch.stack([(z[v][i] - z[w][j]).square().sum() for j in range(len(z[0])) if j != i])
            push.append(-((-s.repulsion * far).softmax(0) * far).sum())
    return torch.stack(pull).mean() + torch.stack(push).mean()


def groco(learner, views, s) -> Tensor:
    z = [unit(v) for v in vectors(learner, "projector", views)]
    costs = []
    for v, i in product(range(len(z)), range(len(z[0]))):
        far = sorted(float(z[v][i] @ z[v][j]) for j in range(len(z[0])) if j != i)[-s.hardest :]
        near = sorted(float(z[v][i] @ z[w][i]) for w in range(len(z)) if w != v)
        values, places = np.array(far + near), np.eye(len(far + near))
        for layer in range(len(values)):
            for a in range(layer % 2, len(values) - 1, 2):
                keep = np.arctan(s.steepness * (values[a + 1] - values[a])) / np.pi + 0.5
                swap = np.array([[keep, 1 - keep], [1 - keep, keep]])
                values[a : a + 2], places[a : a + 2] = swap @ values[a : a + 2], swap @ places[a : a + 2]
        top = places[len(far) :].sum(0)  # of each element, what lands in the ranks of the positives
        costs += [-np.log(1 - top[: len(far)]), -np.log(top[len(far) :])]
    return torch.tensor(np.concatenate(costs).mean())


def byol(learner, views, s) -> Tensor:
    p = [unit(learner.module["predictor"](z)) for z in vectors(learner, "projector", views)]
    t = [unit(learner.module["teacher_projector"](learner.module["teacher"](v).vector)) for v in views]
    return sum((2 - 2 * (a * b).sum(1)).mean() for a, b in ((p[0], t[1]), (p[1], t[0])))


def simsiam(learner, views, s) -> Tensor:
    z = vectors(learner, "projector", views)
    p = [unit(learner.module["predictor"](x)) for x in z]
    return -((p[0] * unit(z[1])).sum(1).mean() + (p[1] * unit(z[0])).sum(1).mean()) / 2


def barlow(learner, views, s) -> Tensor:
    a, b = (
        (z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt()
        for z in (v.double() for v in vectors(learner, "projector", views))
    )
    c = a.T @ b / len(a)
    off = c - torch.diag(c.diagonal())
    return ((1 - c.diagonal()) ** 2).sum() + s.redundancy * (off**2).sum()


def supcon(learner, seen, s) -> Tensor:
    views, labels = seen
    z = torch.cat([unit(v) for v in vectors(learner, "projector", views)])
    labels = labels.repeat(2)
    scores = (z @ z.T / s.temperature).fill_diagonal_(-torch.inf)
    rows = []
    for i, row in enumerate(scores):
        own = (labels == labels[i]) & (torch.arange(len(z)) != i)
        rows.append(torch.logsumexp(row, 0) - row[own].mean())
    return torch.stack(rows).mean()


def simcse(learner, seen, s) -> Tensor:
    texts, codes = seen
    # Dropout is off in the reference, so both looks are the same.
    z = unit(learner.module["head"](learner.encoders["text"](texts).vector))
    return softmax_loss(z @ z.T / s.temperature, codes[:, None] == codes)


def clip(learner, seen, s) -> Tensor:
    pictures, captions, codes = seen
    x = unit(learner.module["image_head"](learner.encoders["image"](pictures).vector))
    y = unit(learner.module["text_head"](learner.encoders["text"](captions).vector))
    scores, alike = x @ y.T / s.temperature, codes[:, None] == codes
    return (softmax_loss(scores, alike) + softmax_loss(scores.T, alike)) / 2


def siglip(learner, seen, s) -> Tensor:
    pictures, captions, codes = seen
    x = unit(learner.module["image_head"](learner.encoders["image"](pictures).vector))
    y = unit(learner.module["text_head"](learner.encoders["text"](captions).vector))
    sign = torch.where(codes[:, None] == codes, 1.0, -1.0)
    return -logsigmoid(sign * (s.scale * x @ y.T + s.bias)).sum() / len(x)


def scarf(learner, views, s) -> Tensor:
    a, b = (unit(v) for v in vectors(learner, "projector", views, "array"))
    return cross_entropy(a @ b.T / s.temperature, torch.arange(len(a)))


REFERENCES: dict[str, Callable] = {
    "simclr": simclr,
    "moco-v2": moco,
    "ft": ft,
    "mochi": mochi,
    "mvdhel": mvdhel,
    "cacr": cacr,
    "groco": groco,
    "byol": byol,
    "simsiam": simsiam,
    "barlow-twins": barlow,
    "supcon": supcon,
    "simcse": simcse,
    "clip": clip,
    "siglip": siglip,
    "scarf": scarf,
}


@pytest.mark.parametrize("slug", REFERENCES)
def test_loss_is_the_formula(slug: str) -> None:
    system = systems.find(slug)
    learner, inputs = make(system)
    batch = inputs.batch(np.arange(10))
    seen = learner.views(batch, torch.Generator().manual_seed(1))
    learner.module.eval()  # dropout off, statistics of batch normalisation fixed
    if slug in ("moco-v2", "ft", "mochi"):
        dictionary = learner.module["dictionary"]
        dictionary.push(normalize(torch.randn(300, 128, generator=torch.Generator().manual_seed(2))))
        dictionary.updates += 1  # MoCHi begins to mix after some steps
    with torch.no_grad():
        expected = REFERENCES[slug](learner, seen, system.settings())
        found = learner.loss(seen)
    assert float(found) == pytest.approx(float(expected), rel=2e-5)


def test_slip_is_clip_plus_simclr() -> None:
    system = systems.find("slip")
    learner, inputs = make(system)
    s = system.settings()
    pictures, captions = learner.views(inputs.batch(np.arange(10)), torch.Generator().manual_seed(1))
    learner.module.eval()
    with torch.no_grad():
        [(texts, codes)] = captions
        parts = [clip(learner, (picture, texts, codes), s) for picture in pictures]
        z = torch.cat([unit(v) for v in vectors(learner, "projector", pictures)])
        scores = (z @ z.T / s.view_temperature).fill_diagonal_(-torch.inf)
        alike = cross_entropy(scores, torch.cat([torch.arange(10) + 10, torch.arange(10)]))
        expected = sum(parts) / 2 + s.view_weight * alike
        assert float(learner.loss(training.Looks([pictures, captions], None))) == pytest.approx(
            float(expected), rel=2e-5
        )


def test_triplet_takes_the_nearest_negative_beyond_the_positive() -> None:
    system = systems.find("triplet")
    learner, inputs = make(system)
    (pictures,), labels = seen = learner.views(inputs.batch(np.arange(24)), torch.Generator().manual_seed(1))
    learner.module.eval()
    with torch.no_grad():
        z = unit(learner.module["head"](learner.encoders["image"](pictures).vector))
        found = float(learner.loss(seen))
    margin = system.settings().margin
    distance = torch.cdist(z, z) ** 2
    costs = []
    for a in range(len(z)):
        for p in range(len(z)):
            if p == a or labels[p] != labels[a]:
                continue
            gaps = [float(distance[a, n] - distance[a, p]) for n in range(len(z)) if labels[n] != labels[a]]
            gap = min((gap for gap in gaps if gap > 0), default=max(gaps))
            costs.append(max(0.0, margin - gap))
    assert found == pytest.approx(float(np.mean(costs)), rel=1e-3)
