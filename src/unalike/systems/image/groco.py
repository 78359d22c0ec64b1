"""GroCo: sort each picture's neighbours softly, and ask only that its other views come before all other pictures.

InfoNCE compares every positive with every negative, near or far. Here each view's other views and its ten nearest other
pictures pass a differentiable sorting network, and the loss asks which share of each lands in the ranks of its group.
Order within a group is free and a negative that is far already costs nothing, so that training works on the nearest
neighbours, which k-NN reads. Only the anchor gets gradient: what it is compared with stays put.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import claims, encoders, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=32,
    slug="groco",
    title="Learning by Sorting: Self-supervised Learning with Group Ordering Constraints",
    authors="Shvetsova, Petersen, Kukleva, Schiele, Kuehne",
    year=2023,
    venue="ICCV",
    arxiv="2301.02009",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    looks: int = 4  # the release has settings for 2, 3 and 4 views of each picture
    hardest: int = 10  # there: negatives that are sorted; all others of a smaller batch
    steepness: float = 1.0  # there: of the soft swaps
    hidden: int = 256  # as SimCLR
    output: int = 128  # as SimCLR
    layers: int = 3  # the release: of the projector, for GroCo and for the contrastive baseline


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=256, epochs=100)


def learner(settings, task: training.Task, loss, *, looks: int, layers: int) -> training.Learner:
    """SimCLR's encoder and views, ``looks`` of them, and a projector, under a loss of all views."""
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output, layers=layers)
    view = views.simclr(encoder.size, strength=0.5)
    return training.Learner(
        modules={"encoder": encoder, "projector": projector},
        encoders={"image": encoder},
        views=task.random_views("image", *[view] * looks),
        loss=lambda seen: loss([encoders.unit(projector(encoder(pictures).vector)) for pictures in seen], seen.same),
    )


def build(settings: Settings, task: training.Task) -> training.Learner:
    def loss(vectors, same):
        hardest = min(settings.hardest, len(vectors[0]) - 1)
        return objectives.groco(vectors, hardest=hardest, steepness=settings.steepness, same=same)

    return learner(settings, task, loss, looks=settings.looks, layers=settings.layers)


def pairwise(settings, task: training.Task) -> training.Learner:
    """The control: SimCLR's loss, averaged over all pairs of the same views, through the same projector."""

    def loss(vectors, same):
        return objectives.pairwise_nt_xent(vectors, temperature=settings.temperature, same=same)

    return learner(settings, task, loss, looks=Settings.looks, layers=Settings.layers)


def lead_of_neighbours(trial):
    """k-NN accuracy less that of a linear probe."""
    return claims.METRICS["knn"].value(trial, None) - claims.METRICS["linear_probe"].value(trial, None)


@needs("training")
def violations(trial):
    """Share of looks, in batches of 64, whose farthest other look is beyond the nearest other picture."""
    import torch

    modules = trial.learner.modules
    wrong = []
    for looks in trial.looks(64, 12, scored=True):
        with torch.no_grad():
            vectors = torch.stack(
                [encoders.unit(modules["projector"](modules["encoder"](look).vector)) for look in looks]
            )
        weakest = torch.einsum("ibd,jbd->ijb", vectors, vectors).amin(dim=1)
        others = vectors @ vectors.mT
        hardest = others.masked_fill(torch.eye(others.shape[1], dtype=torch.bool), -torch.inf).amax(dim=2)
        wrong.append((weakest < hardest).float().mean())
    return torch.stack(wrong).mean()


CLAIM = Claim(
    sentence="Sorting the nearest negatives behind all positives gives better nearest neighbours than NT-Xent.",
    baseline="simclr",
    bed=Bed(set="glyph-24"),
    views="gentle",  # a character turned over is another one
    training={"batch_size": 64, "steps": 400},
    arms={
        "baseline": Arm(system="simclr", build=pairwise, tune={"temperature": (0.05, 0.1, 0.2)}),
    },
    tune={"steepness": (1.0, 5.0, 20.0)},
    measures=(
        Measure(name="kNN accuracy", metric="knn"),
        Measure(name="accuracy of the nearest neighbour", metric="knn@1"),
        Measure(name="linear probe", metric="linear_probe"),
        Measure(name="kNN accuracy less that of a linear probe", metric=lead_of_neighbours),
        Measure(
            name="views beyond the nearest other picture",
            metric=violations,
            better="lower",
            mechanism=True,
        ),
    ),
)
