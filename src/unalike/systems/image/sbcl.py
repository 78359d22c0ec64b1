"""SBCL: large classes are cut into subclasses as large as the small classes, and these are contrasted as SupCon does.

Looks of one part attract, parts of one class more weakly. The release cuts by a random view, here by the plain picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from unalike import encoders, evaluation, objectives, pairing, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=64,
    probe={"steps": 24},
    slug="sbcl",
    title="Subclass-balancing Contrastive Learning for Long-tailed Recognition",
    authors="Hou, Zhang, Wang, Zhou",
    year=2023,
    venue="ICCV",
    arxiv="2306.15925",
    modality="image",
    roles=("image",),
    labels=True,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.1  # the release
    class_weight: float = 0.25  # the release: of the contrast between classes
    first: int = 10  # the release: epochs of SupCon before the first clustering, of 1000
    refresh: int = 10  # the release: epochs from one clustering to the next
    least: int = 10  # the release: a part is as large as the smallest class, and at least this large
    hidden: int = 256  # as SupCon
    output: int = 128  # as SupCon, and in the release


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=256, epochs=60)


def parts(vectors, labels, least):
    """A subclass for each row, int64 ``(N,)``, -1 without a label: ``n_c // max(smallest, least)`` parts a class."""
    import torch

    codes, used = torch.full_like(labels, -1), 0
    counts = torch.bincount(labels[labels >= 0])
    size = max(int(counts[counts > 0].min()), least)
    for number in counts.nonzero().flatten():  # the release has k-means of equal sizes, and the plain one
        rows = (labels == number).nonzero().flatten()
        count = max(1, len(rows) // size)
        codes[rows] = used + pairing.balanced_k_means(vectors[rows], count, cosine=True).codes
        used += count
    return codes


def build(settings: Settings, task: training.Task) -> training.Learner:
    import torch

    encoder, mean = task.encoders["image"], settings.temperature
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    clusters = pairing.Clusters(task.rows)
    heat = pairing.PerSampleState(max(1, task.classes), initial=mean)  # of each class
    look = task.random_views("image", *[views.simclr(encoder.size, strength=0.5)] * 2)

    def cluster(epoch, inputs):
        if epoch < settings.first or (epoch - settings.first) % settings.refresh:
            return
        vectors = training.embed_inputs(inputs, task.roles["image"][0], encoder, projector, encoders.unit)
        labels = torch.from_numpy(inputs.labels).to(vectors.device)
        codes = parts(vectors, labels, settings.least)
        clusters.set(codes)
        found = objectives.sbcl_temperatures(vectors, labels, codes, classes=task.classes, temperature=mean)
        heat.set(torch.arange(task.classes), found)

    def loss(seen):
        pair, labels, index = seen
        first, second = (encoders.unit(projector(encoder(pictures).vector)) for pictures in pair)
        if (clusters.codes < 0).all():  # before the first clustering
            return objectives.sup_con(torch.cat([first, second]), labels.repeat(2), temperature=mean)
        return objectives.sbcl(
            *(first, second, labels, clusters.get(index)),
            temperature=mean,
            class_temperatures=heat.get(labels.clamp(min=0)),
            weight=settings.class_weight,
        )

    return training.Learner(
        modules={"encoder": encoder, "projector": projector, "clusters": clusters, "heat": heat},
        encoders={"image": encoder},
        views=lambda batch, generator: (look(batch, generator), batch.labels, batch.index),
        loss=loss,
        before_epoch=cluster,
    )


def balanced(settings: Settings, task: training.Task) -> training.Learner:
    """The control: SupCon on batches in which all classes come equally often."""
    made = build(replace(settings, first=task.steps + 1), task)
    made.order = lambda rows, size, seed: training.ClassBalanced(rows.labels, size, seed, each=2)  # type: ignore[arg-type]
    return made


@needs("learner")
def subgroups(trial, *heads):
    """AMI of parts that are cut as SBCL cuts them, from any system's training vectors, with the set's finer classes."""
    import torch

    side, role = trial.reference, next(iter(trial.reference.spaces))
    vectors = training.embed_inputs(side.inputs, role, trial.learner.modules["encoder"], *heads, encoders.unit)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trial.seed)
        codes = parts(vectors, torch.from_numpy(side.labels()), Settings.least)
    return evaluation.agreement_within(codes.numpy(), side.labels("subgroup"), side.labels())


@needs("learner")
def projected_subgroups(trial):
    return subgroups(trial, trial.learner.modules["projector"])  # what the release cuts


@needs("training")
def spread_of_positives(trial):
    """Deviation over mean, over the classes, of how many other pictures an anchor is drawn to at full weight."""
    labels, clusters = trial.reference.labels(), trial.learner.modules.get("clusters")
    codes = labels if clusters is None else clusters.codes.numpy()
    if (codes < 0).any():
        return float("nan")  # no subclasses were cut yet
    means = [(np.bincount(codes)[codes[labels == number]] - 1).mean() for number in np.unique(labels)]
    return np.std(means) / np.mean(means)


CLAIM = Claim(
    sentence="Contrast between subclasses of equal size helps the rare classes of a long tail.",
    baseline="supcon",
    bed=Bed(set="emoji", roles={"image": ("image:google",)}),  # 271 pictures of people, 57 of activities
    views="gentle",
    training={"batch_size": 128, "epochs": 36},  # a tenth of the rows, as in the paper: a part must meet itself
    arms={"system": Arm(settings={"first": 5, "refresh": 5}), "class-balanced": Arm(build=balanced, like="baseline")},
    tune={"learning_rate": (1e-3, 3e-3)},
    measures=(
        Measure(name="balanced linear probe", metric="balanced_probe"),
        Measure(name="balanced linear probe, rare third of the classes", metric="balanced_probe@tail"),
        Measure(name="balanced linear probe, frequent third", metric="balanced_probe@head", margin=-0.02),
        Measure(name="balanced probe, against balanced batches", metric="balanced_probe", against="class-balanced"),
        Measure(name="subclasses tell of the true subgroups, AMI", metric=projected_subgroups, mechanism=True),
        Measure(name="uneven positives over classes", metric=spread_of_positives, better="lower", mechanism=True),
        Measure(name="subgroups in the encoder's vectors, AMI", metric=subgroups),
        Measure(name="subgroup, kNN accuracy", metric="knn/subgroup"),
        Measure(name="effective rank within frequent classes", metric="effective_rank@head"),
    ),
)
