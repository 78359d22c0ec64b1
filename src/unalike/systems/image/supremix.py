"""SupReMix: supervised contrast for regression, with hard positives and negatives mixed from the batch's own vectors.

Supervised contrast takes equal labels for positives and treats all others alike, which tears a continuous target into
pieces. Here a negative counts the more the farther its target is; mixtures of the anchor with another sample are hard
negatives, whose target lies in between; mixtures of one sample below and one above the anchor's target, weighed so that
their target is the anchor's, are hard positives. For use, a linear regression on the frozen vectors.

Targets are scaled to a number of levels and rounded, so that some are equal and that weights and window mean the same
for any unit; the paper's ages are years. It enumerates all pairs for mixed positives, we draw some for each anchor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from unalike import encoders, evaluation, objectives, training, views
from unalike.errors import DataError
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe

PAPER = Paper(
    number=34,
    slug="supremix",
    title="Mixup Your Own Pairs",
    authors="Wu, Dong, Chen, Zhou, Zhou",
    year=2023,
    arxiv="2309.16633",
    modality="image",
    roles=("image",),
    targets=True,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.3  # release, script for IMDB-WIKI; 0.07 in its loss
    levels: int = 100  # ages of the paper's faces are whole years from 0 to about 100
    window: float = 5.0  # release: n = 5 years, here levels
    mixtures: int = 32  # mixed positives for each anchor; all of them in the paper
    beta: tuple[float, float] | None = (2.0, 8.0)  # release: the first of three choices; None mixes no negatives
    hidden: int = 256  # as our SupCon
    output: int = 128  # release: 128


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=64, epochs=100)


def levels(batch, count):
    """The batch's targets in whole levels from 0 to ``count``, of the range that the training rows have."""
    import numpy as np

    lowest, highest = np.nanmin(batch.inputs.targets), np.nanmax(batch.inputs.targets)
    if not lowest < highest:
        raise DataError(f"every target is {lowest}; SupReMix learns from targets that differ")
    return ((batch.targets - float(lowest)) * (count / float(highest - lowest))).round()


def build(settings: Settings, task: training.Task) -> training.Learner:
    options = {name: getattr(settings, name) for name in ("temperature", "window", "mixtures", "beta")}
    return contrast(settings, task, partial(objectives.supremix, **options))


def supcon_on_levels(settings, task):
    """SupCon with the levels for classes."""

    def cost(vectors, targets, generator):
        return objectives.sup_con(vectors, targets.long(), temperature=settings.temperature)

    return contrast(settings, task, cost)


def contrast(settings, task, cost):
    """Two views of each picture, a projector, and a loss of all vectors and their levels."""
    import torch

    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    look = task.random_views("image", *[views.gentle(encoder.size)] * 2)

    def loss(seen):
        pair, targets, generator = seen
        vectors = [encoders.unit(projector(encoder(pictures).vector)) for pictures in pair]
        return cost(torch.cat(vectors), targets.repeat(2), generator=generator)

    return training.Learner(
        modules={"encoder": encoder, "projector": projector},
        encoders={"image": encoder},
        views=lambda batch, generator: (look(batch, generator), levels(batch, settings.levels), generator),
        loss=loss,
    )


def regression(settings, task):
    """The encoder and a linear head, trained end to end for the least absolute error."""
    encoder = task.encoders["image"]
    head = encoders.linear(encoder.width, 1, bias=True)
    look = task.random_views("image", *[views.gentle(encoder.size)] * 2)

    def loss(seen):
        pair, targets = seen
        wanted = 2 * targets / settings.levels - 1
        return sum((head(encoder(pictures).vector)[:, 0] - wanted).abs().mean() for pictures in pair) / len(pair)

    return training.Learner(
        modules={"encoder": encoder, "head": head},
        encoders={"image": encoder},
        views=lambda batch, generator: (look(batch, generator), levels(batch, settings.levels)),
        loss=loss,
    )


def probe_error(trial):
    """Mean absolute error of a ridge regression on the frozen vectors, in units of the target."""
    reference, scored = trial.reference, trial.scored
    truth = scored.inputs.targets
    probe = evaluation.ridge_probe(reference.vectors(), reference.inputs.targets, scored.vectors(), truth)
    return abs(probe.predictions - truth).mean()


def order_of_distances(trial):
    """Spearman's correlation over pairs of scored rows: cosine distance against the distance of the targets."""
    from scipy.spatial.distance import pdist
    from scipy.stats import spearmanr

    vectors, targets = trial.scored.vectors()[:600], trial.scored.inputs.targets[:600]
    return spearmanr(pdist(vectors, "cosine"), pdist(targets[:, None], "cityblock")).statistic


CLAIM = Claim(
    sentence="Mixed pairs make supervised contrast fit for regression: a lower error of a linear probe.",
    baseline="supcon",
    bed=Bed(set="rotated"),
    training={"batch_size": 128, "steps": 350, "learning_rate": 2e-3},
    arms={"baseline": Arm(build=supcon_on_levels), "L1": Arm(build=regression)},
    measures=(
        Measure(name="error of the probe, degrees", metric=probe_error, better="lower"),
        Measure(name="error against L1 end to end", metric=probe_error, against="L1", better="lower"),
        Measure(name="distances in the order of the targets'", metric=order_of_distances, mechanism=True),
    ),
    seeds=3,
)
