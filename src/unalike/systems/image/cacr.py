"""CACR: farther views of a picture attract it more, and nearer other pictures repel it more, each within its own group.

InfoNCE has one softmax over positives and negatives together, and its positives all weigh alike. Here positives and
negatives get a softmax each. Among a picture's other views those weigh more that are still far, among the other
pictures those that are near: attraction and repulsion are expected squared distances under these two sets of weights.
One positive alone weighs 1, so the weights of positives only act from three views on.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=33,
    slug="cacr",
    title="Contrastive Attraction and Contrastive Repulsion for Representation Learning",
    authors="Zheng, Chen, Yao, Yang, Li, Zhang, Zhang, Tsang, Zhou, Zhou",
    year=2023,
    venue="TMLR",
    arxiv="2105.03746",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    looks: int = 4  # the release's commands for CIFAR and STL-10: four views of each picture
    attraction: float = 1.0  # there: sharpness of the weights of positives; 0 gives even weights
    repulsion: float = 2.0  # there: of negatives, for CIFAR-100 and STL-10 (0.9 for CIFAR-10); 0 gives even weights
    hidden: int = 256  # as SimCLR
    output: int = 128  # as SimCLR, and in the release


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=100)


def learner(settings, task: training.Task, looks: int, loss) -> training.Learner:
    """SimCLR's encoder, projector and views, ``looks`` of them, under a loss of all."""
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    view = views.simclr(encoder.size, strength=0.5)
    return training.Learner(
        modules={"encoder": encoder, "projector": projector},
        encoders={"image": encoder},
        views=task.random_views("image", *[view] * looks),
        loss=lambda seen: loss([encoders.unit(projector(encoder(pictures).vector)) for pictures in seen], seen.same),
    )


def build(settings: Settings, task: training.Task) -> training.Learner:
    sharpness = {"attraction": settings.attraction, "repulsion": settings.repulsion}
    return learner(
        settings, task, settings.looks, lambda vectors, same: objectives.cacr(vectors, same=same, **sharpness)
    )


def pairwise(settings, task: training.Task) -> training.Learner:
    """The control: SimCLR's loss, averaged over all pairs of four views."""
    loss = objectives.pairwise_nt_xent
    return learner(settings, task, 4, lambda vectors, same: loss(vectors, temperature=settings.temperature, same=same))


def costs(trial):
    """Squared distances of looks at the scored pictures: to the other looks, in order, and to other pictures."""
    import torch

    modules = trial.learner.modules
    (looks,) = trial.looks(512, scored=True)
    with torch.no_grad():
        vectors = torch.stack([encoders.unit(modules["projector"](modules["encoder"](look).vector)) for look in looks])
    own = (vectors[:, None] - vectors[None]).square().sum(dim=3).sort(dim=1).values[:, 1:]  # (looks, others, rows)
    apart = 2 - 2 * vectors[0] @ vectors[1].T
    return own, apart[~torch.eye(len(apart), dtype=torch.bool)].view(len(apart), -1)


@needs("training")
def farthest_positive(trial):
    """Distance of the farthest of a look's other looks, in units of the mean distance of other pictures."""
    own, apart = costs(trial)
    return own[:, -1].mean() / apart.mean()


@needs("training")
def nearest_negatives(trial):
    """Mean distance of the nearest hundredth of other pictures, in units of the mean distance."""
    _, apart = costs(trial)
    return apart.sort(dim=1).values[:, : max(1, len(apart) // 100)].mean() / apart.mean()


TAIL = Bed(set="glyph-lt")  # 40 letters, the most frequent 50 times as often as the rarest

CLAIM = Claim(
    sentence="Weights within positives and within negatives suit a long tail better than one softmax over both.",
    baseline="simclr",
    bed=Bed(set="glyph-24", rows=1542),  # 24 characters, equally often; as many rows as the long tail has
    views="gentle",  # a character turned over is another one
    training={"batch_size": 64, "steps": 120},
    arms={
        "system": Arm(bed=TAIL),
        "baseline": Arm(system="simclr", build=pairwise, bed=TAIL, tune={"temperature": (0.05, 0.1, 0.2)}),
        "system, balanced": Arm(like="system"),
        "baseline, balanced": Arm(system="simclr", build=pairwise, like="baseline"),
        "even attraction": Arm(settings={"attraction": 0.0}, bed=TAIL, like="system"),
        "even repulsion": Arm(settings={"repulsion": 0.0}, bed=TAIL, tune={"attraction": (0.5, 1.0, 2.0)}),
    },
    tune={"repulsion": (1.0, 2.0, 4.0)},
    measures=(
        Measure(name="class-balanced accuracy of a linear probe, long tail", metric="balanced_probe"),
        Measure(
            name="gain over the baseline, long tail less even classes",
            metric="balanced_probe",
            combine=lambda probe: (
                (probe["system"] - probe["baseline"]) - (probe["system, balanced"] - probe["baseline, balanced"])
            ),
            against=0.0,
        ),
        Measure(name="gain by the weights of positives", metric="balanced_probe", against="even attraction"),
        Measure(name="gain by the weights of negatives", metric="balanced_probe", against="even repulsion"),
        Measure(
            name="distance of the farthest positive",
            metric=farthest_positive,
            against="even attraction",
            better="lower",
            mechanism=True,
        ),
        Measure(
            name="distance of the nearest negatives",
            metric=nearest_negatives,
            against="even repulsion",
            mechanism=True,
        ),
    ),
)
