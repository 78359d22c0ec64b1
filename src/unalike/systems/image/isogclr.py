"""iSogCLR: each picture gets a temperature of its own, high where many others are like it, set by robust optimisation.

One temperature for all suits neither the pictures with many look-alikes, which a low one tears apart, nor the rare
ones, which a high one leaves close to the rest. Here each picture bounds how far the weights of its negatives may
depart from even ones (``rho``, a divergence in nats), and its temperature follows from that: the more of its negatives
lie near, the higher. Denominators are averages of each picture over the steps (SogCLR), so that small batches do not
bias them.

Settings are those of the authors' released run on CIFAR-100, which moves temperatures faster (0.03 a step) than the
defaults of their code (0.001).
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=53,
    slug="isogclr",
    title="Not All Semantics are Created Equal: Contrastive Self-supervised Learning with Automatic Temperature "
    "Individualization",
    authors="Qiu, Hu, Yuan, Zhou, Zhang, Yang",
    year=2023,
    venue="ICML",
    arxiv="2305.11965",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    rho: float = 0.4  # the release's command for CIFAR-100, batch 128; the larger, the lower the temperatures
    initial: float = 0.1  # there: temperature of every picture at the start
    rate: float = 0.8  # there: the batch's share in a picture's denominator
    momentum: float = 0.5  # there: the new gradient's share in the step of a temperature
    step: float = 0.03  # there: of the temperatures; 0 keeps them, which is SogCLR
    lowest: float = 0.05  # the release: temperatures stay between these two
    highest: float = 1.0
    hidden: int = 256  # as SimCLR
    output: int = 128  # as SimCLR


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=100)


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    state = objectives.IndividualTemperatures(task.rows, initial=settings.initial)
    view = views.simclr(encoder.size, strength=0.5)
    look = task.random_views("image", view, view)

    def loss(seen):
        pair, index = seen
        first, second = (encoders.unit(projector(encoder(pictures).vector)) for pictures in pair)
        return objectives.isogclr(
            first,
            second,
            index,
            state=state,
            rho=settings.rho,
            rate=settings.rate,
            momentum=settings.momentum,
            step=settings.step,
            limits=(settings.lowest, settings.highest),
            same=pair.same,
        )

    return training.Learner(
        modules={"encoder": encoder, "projector": projector, "state": state},
        encoders={"image": encoder},
        views=lambda batch, generator: (look(batch, generator), batch.index),
        loss=loss,
    )


@needs("learner")
def temperature_follows_frequency(trial):
    """Spearman's correlation over the classes: rows of a class in training, and the mean temperature of these."""
    import numpy as np
    from scipy.stats import spearmanr

    temperatures, labels = trial.learner.modules["state"].temperatures.values.numpy(), trial.reference.labels()
    counts = np.bincount(labels[labels >= 0])
    known = np.flatnonzero(counts)
    return spearmanr(counts[known], [temperatures[labels == number].mean() for number in known]).statistic


RHOS, TEMPERATURES = ("rho 0.2", "system", "rho 0.8"), ("temperature 0.1", "baseline", "temperature 0.4")


def spread(values, names):
    """The largest less the smallest of some arms' values."""
    return max(values[name] for name in names) - min(values[name] for name in names)


CLAIM = Claim(
    sentence="Where classes have a long tail, temperatures of its own for each picture beat the best one for all.",
    baseline="simclr",
    bed=Bed(set="glyph-lt"),
    views="gentle",
    training={"batch_size": 64, "epochs": 12, "learning_rate": 3e-3},
    arms={
        "baseline": Arm(system="simclr", settings={"temperature": 0.2}),
        "temperature 0.1": Arm(system="simclr", settings={"temperature": 0.1}),
        "temperature 0.4": Arm(system="simclr", settings={"temperature": 0.4}),
        "rho 0.2": Arm(settings={"rho": 0.2}),
        "rho 0.8": Arm(settings={"rho": 0.8}),
        "SogCLR": Arm(settings={"step": 0.0, "initial": 0.2}),
    },
    measures=(
        Measure(
            name="balanced linear probe, less the best of SimCLR's three temperatures",
            metric="balanced_probe",
            combine=lambda probe: probe["system"] - max(probe[name] for name in TEMPERATURES),
            against=0.0,
        ),
        Measure(name="balanced linear probe, against SogCLR", metric="balanced_probe", against="SogCLR"),
        Measure(
            name="spread of the balanced probe over three rho, less that over three temperatures",
            metric="balanced_probe",
            combine=lambda probe: spread(probe, RHOS) - spread(probe, TEMPERATURES),
            against=0.0,
            better="lower",
        ),
        Measure(
            name="rank correlation of a class's frequency and its mean temperature",
            metric=temperature_follows_frequency,
            against=0.0,
            mechanism=True,
        ),
    ),
)
