"""MV-DHEL: more than two views of a picture in one term, with negatives taken within each view alone.

The usual way with several views averages a two-view loss over all pairs of them: each view then serves many terms at
once, and in each of them the same softmax both pulls views together and pushes pictures apart. Here each picture has
one term. Its numerator holds all pairs of its views, its denominator the other pictures seen through the same view, so
that alignment and uniformity no longer share a softmax. The paper's coupled form, MV-InfoNCE, is the other setting.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, evaluation, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=70,
    slug="mvdhel",
    title="A Principled Framework for Multi-View Contrastive Learning",
    authors="Koromilas, Georgiou, Bouritsas, Giannakopoulos, Nicolaou, Panagakis",
    year=2025,
    arxiv="2507.06979",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    looks: int = 4  # views of each picture; the release reports 2 and 4 in its table, the abstract "five or more"
    decoupled: bool = True  # MV-DHEL; otherwise MV-InfoNCE
    temperature: float = 0.5  # the release's settings for CIFAR; 0.1 there for ImageNet
    hidden: int = 256  # as SimCLR
    output: int = 128  # as SimCLR, and in the release


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=256, epochs=100)


def learner(settings: Settings, task: training.Task, loss) -> training.Learner:
    """SimCLR's encoder, projector and views, ``looks`` times, under a loss of all of them."""
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    view = views.simclr(encoder.size, strength=0.5)  # the release's strength of colours, 0.5

    def loss_of(looks):
        vectors = [encoders.unit(projector(encoder(pictures).vector)) for pictures in looks]
        return loss(vectors, temperature=settings.temperature, same=looks.same)

    return training.Learner(
        modules={"encoder": encoder, "projector": projector},
        encoders={"image": encoder},
        views=task.random_views("image", *[view] * settings.looks),
        loss=loss_of,
    )


def build(settings: Settings, task: training.Task) -> training.Learner:
    return learner(settings, task, objectives.mv_dhel if settings.decoupled else objectives.mv_info_nce)


def pairwise(settings: Settings, task: training.Task) -> training.Learner:
    """The control: NT-Xent, averaged over all pairs of views."""
    return learner(settings, task, objectives.pairwise_nt_xent)


@needs("training")
def rank_of_embeddings(trial):
    """Effective rank of what the loss compares: one look at each scored picture, through the projector."""
    import torch

    modules = trial.learner.modules
    (looks,) = trial.looks(1024, scored=True)
    with torch.no_grad():
        return evaluation.effective_rank(
            encoders.unit(modules["projector"](modules["encoder"](looks[0]).vector)).numpy()
        )


CLAIM = Claim(
    sentence="One term for all views makes better use of five views than a loss for each pair of them.",
    baseline="simclr",
    bed=Bed(set="glyph-24"),
    views="gentle",  # a character turned over is another one
    training={"batch_size": 64, "steps": 120},
    arms={
        "system": Arm(settings={"looks": 5}),
        "baseline": Arm(build=pairwise, settings={"looks": 5}),
        "system, 2 views": Arm(settings={"looks": 2}),
        "baseline, 2 views": Arm(build=pairwise, settings={"looks": 2}),
        "MV-InfoNCE": Arm(settings={"looks": 5, "decoupled": False}),
    },
    tune={"temperature": (0.05, 0.1, 0.2)},
    measures=(
        Measure(name="kNN accuracy, 5 views", metric="knn"),
        Measure(
            name="gain in kNN accuracy from 2 to 5 views",
            metric="knn",
            combine=lambda knn: (knn["system"] - knn["system, 2 views"]) - (knn["baseline"] - knn["baseline, 2 views"]),
            against=0.0,
        ),
        Measure(name="kNN accuracy of MV-InfoNCE, 5 views", metric="knn", arm="MV-InfoNCE"),
        Measure(name="effective rank of the embeddings, 5 views", metric=rank_of_embeddings, mechanism=True),
    ),
)
