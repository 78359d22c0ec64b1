"""DirectPred: the predictor of BYOL is set from the spectrum of its inputs instead of being trained.

Why do methods without negatives not collapse? In a linear model the eigenvectors of a trained linear predictor come to
those of the covariance of its inputs, and then each direction lives as long as the predictor's eigenvalue goes with
the root of the covariance's, which needs a predictor and a stopped gradient. So it can be computed from these.
As in the authors' release eigenvalues are relative to the largest; the current batch counts too, which in it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from unalike import encoders, evaluation, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=115,
    slug="directpred",
    title="Understanding self-supervised Learning Dynamics without Contrastive Pairs",
    authors="Tian, Chen, Ganguli",
    year=2021,
    venue="ICML",
    arxiv="2102.06810",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    correlation_rate: float = 0.7  # share of a batch in the covariance: 1 - rho, rho = 0.3 in the paper
    epsilon: float = 0.1  # the paper: added to each root, relative to the largest
    every: int = 1  # batches from one decomposition to the next; 1 to 5 in the paper
    momentum: float = 0.99  # of the teacher; 0.996 in the release, for longer training
    hidden: int = 256  # 512 in the release
    output: int = 64  # 128 in the release


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=100)


def learner(settings: Settings, task: training.Task, make, *, stopped=True) -> training.Learner:
    """BYOL with the predictor that is made; without the stopped gradient the student is its own teacher."""
    import torch

    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    predictor = torch.nn.Identity() if make is None else make()  # last: what all arms share starts alike
    student = torch.nn.ModuleDict({"encoder": encoder, "projector": projector})
    teacher = encoders.EMATeacher(student, settings.momentum) if stopped else None

    def loss(pair):
        inputs = [projector(encoder(pictures).vector) for pictures in pair]
        if isinstance(predictor, encoders.DirectPredictor) and predictor.training:
            predictor.update(torch.cat(inputs))
        first, second = (predictor(each) for each in inputs)
        if teacher is not None:
            slow = teacher.module
            one, other = (slow["projector"](slow["encoder"](pictures).vector) for pictures in pair)  # type: ignore[index]
            return objectives.byol(first, other) + objectives.byol(second, one)
        # byol stops the gradient at its targets: both ways together have the gradient of the plain distance.
        pairs = ((first, inputs[1]), (second, inputs[0]))
        return sum(objectives.byol(a, b) + objectives.byol(b, a) for a, b in pairs)

    return training.Learner(
        modules={**student, "predictor": predictor, **({"teacher": teacher} if teacher else {})},
        encoders={"image": encoder},
        views=task.random_views("image", *views.byol(encoder.size)),
        loss=loss,
        after_step=(lambda step: teacher.update()) if teacher else None,
        frozen=("teacher",) if teacher else (),
    )


def build(settings: Settings, task: training.Task) -> training.Learner:
    options = {"rate": settings.correlation_rate, "epsilon": settings.epsilon, "every": settings.every}
    return learner(settings, task, partial(encoders.DirectPredictor, settings.output, **options))  # type: ignore[arg-type]


def linear(settings: Settings, task: training.Task, **options) -> training.Learner:
    return learner(settings, task, lambda: encoders.linear(settings.output, settings.output), **options)


def symmetric(settings: Settings, task: training.Task) -> training.Learner:
    return learner(settings, task, lambda: encoders.symmetric_linear(settings.output))  # as the theorem has it


def two_layers(settings: Settings, task: training.Task) -> training.Learner:
    return learner(settings, task, lambda: encoders.predictor(settings.output, settings.hidden))


def no_predictor(settings: Settings, task: training.Task) -> training.Learner:
    return learner(settings, task, None)


def no_stopped_gradient(settings: Settings, task: training.Task) -> training.Learner:
    return linear(settings, task, stopped=False)


def projections(trial):
    """What the predictor gets, ``(1024, D)``."""
    modules = trial.learner.modules
    (looks,) = trial.looks(1024)
    return modules["projector"](modules["encoder"](looks[0]).vector).detach()


@needs("training")
def rank(trial):
    """Effective rank of the projections; 1 where all are one vector."""
    return evaluation.effective_rank(encoders.unit(projections(trial)).numpy())


@needs("training")
def alignment(trial):
    """Mean cosine of W v and v over eigenvectors v of the inputs' second moment F, from 0.1 % of the largest on."""
    import torch

    inputs = projections(trial).double()
    values, vectors = torch.linalg.eigh(inputs.T @ inputs)
    vectors = vectors[:, values >= 1e-3 * values.max()]
    mapped = trial.learner.modules["predictor"].weight.detach().double() @ vectors
    return float(torch.cosine_similarity(mapped, vectors, dim=0).mean())


MECHANISM = partial(Measure, mechanism=True)
LOWER = partial(MECHANISM, metric=rank, against="system", better="lower")

CLAIM = Claim(
    sentence="A predictor set from the covariance's spectrum beats a trained linear one and equals a trained network.",
    baseline="byol",
    bed=Bed(set="glyph-24"),
    views="gentle",  # a character turned over is another one
    training={"batch_size": 64, "steps": 250},
    arms={
        "baseline": Arm(build=linear),
        "two layers": Arm(build=two_layers),
        "symmetric": Arm(build=symmetric, training={"steps": 800}, like="baseline"),  # the theorem's end is far
        "symmetric, early": Arm(build=symmetric, training={"steps": 80}, like="baseline"),
        "no predictor": Arm(build=no_predictor, like="baseline"),
        "no stopped gradient": Arm(build=no_stopped_gradient, like="baseline"),
    },
    tune={"learning_rate": (1e-3, 3e-3)},
    measures=(
        Measure(name="kNN accuracy, against a trained linear predictor", metric="knn"),
        Measure(name="kNN accuracy, against two trained layers", metric="knn", against="two layers", margin=-0.02),
        MECHANISM(name="a trained W has F's eigenvectors", metric=alignment, arm="symmetric", against=0.9),
        MECHANISM(name="it comes to them in training", metric=alignment, arm="symmetric", against="symmetric, early"),
        LOWER(name="effective rank without stopped gradient", arm="no stopped gradient"),
        LOWER(name="effective rank without predictor", arm="no predictor"),
    ),
)
