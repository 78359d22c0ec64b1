"""DCL: take the positive out of InfoNCE's denominator, so that small batches learn as well as large ones.

InfoNCE multiplies each sample's gradient by how hard its positive still is among the negatives at hand. With few
negatives that factor is small and erratic: an easy batch teaches nothing, whatever its negatives are. Without the
positive in the denominator the factor is gone and everything else of the gradient stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=36,
    slug="dcl",
    title="Decoupled Contrastive Learning",
    authors="Yeh, Hong, Hsu, Liu, Chen, LeCun",
    year=2022,
    venue="ECCV",
    arxiv="2110.06848",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.1  # section 4.1, for ImageNet
    weighted: bool = False  # section 3.2, DCLW: positives weigh more where they are hard
    sigma: float = 0.5  # section 3.2: of the weights
    hidden: int = 256  # as SimCLR
    output: int = 128  # as SimCLR


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=64, epochs=100)


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    view = views.simclr(encoder.size, strength=0.5)

    def loss(pair):
        first, second = (encoders.unit(projector(encoder(pictures).vector)) for pictures in pair)
        chosen = {"temperature": settings.temperature, "same": pair.same}
        if settings.weighted:
            return objectives.decoupled_weighted(first, second, sigma=settings.sigma, **chosen)
        return objectives.decoupled(first, second, **chosen)

    return training.Learner(
        modules={"encoder": encoder, "projector": projector},
        encoders={"image": encoder},
        views=task.random_views("image", view, view),
        loss=loss,
    )


def couplings(trial, size):
    """InfoNCE's factor for each anchor of some batches: one less the positive's share of the softmax."""
    import torch

    modules, temperature = trial.learner.modules, trial.settings.temperature
    factors = []
    for pair in trial.looks(size, 1024 // size):
        with torch.no_grad():
            both = torch.cat([encoders.unit(modules["projector"](modules["encoder"](look).vector)) for look in pair])
        scores = (both @ both.T / temperature).fill_diagonal_(-torch.inf)
        shares = scores.softmax(dim=1)
        factors.append(1 - torch.cat([shares.diagonal(size), shares.diagonal(-size)]))
    return torch.cat(factors)


@needs("training")
def coupling_lost_in_small_batches(trial):
    return couplings(trial, 512).mean() - couplings(trial, 8).mean()


@needs("training")
def erratic_coupling_of_small_batches(trial):
    return couplings(trial, 8).std() - couplings(trial, 512).std()


SMALL = {"batch_size": 16, "epochs": 6}
LARGE = {"batch_size": 256, "epochs": 6}

CLAIM = Claim(
    sentence="Without the positive in the denominator small batches learn as well as large ones.",
    baseline="simclr",
    bed=Bed(set="glyph", rows=2000),
    views="gentle",
    arms={
        "system": Arm(training=SMALL),
        "baseline": Arm(system="simclr", settings={"temperature": 0.1}, training=SMALL),
        "system, batch 256": Arm(training=LARGE),
        "baseline, batch 256": Arm(system="simclr", settings={"temperature": 0.1}, training=LARGE),
    },
    tune={"learning_rate": (1e-3, 3e-3)},
    measures=(
        Measure(name="kNN accuracy, batch 16", metric="knn"),
        Measure(
            name="gain in kNN accuracy, batch 16 less batch 256",
            metric="knn",
            combine=lambda knn: (
                (knn["system"] - knn["baseline"]) - (knn["system, batch 256"] - knn["baseline, batch 256"])
            ),
            against=0.0,
        ),
        Measure(
            name="InfoNCE's coupling factor, batch 512 less batch 8",
            metric=coupling_lost_in_small_batches,
            arm="baseline",
            against=0.0,
            mechanism=True,
        ),
        Measure(
            name="spread of the coupling factor, batch 8 less batch 512",
            metric=erratic_coupling_of_small_batches,
            arm="baseline",
            against=0.0,
            mechanism=True,
        ),
    ),
)
