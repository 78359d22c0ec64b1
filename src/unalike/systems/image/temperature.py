"""Temperature as hardness: InfoNCE over the hardest negatives alone, and what a temperature does to its gradient.

InfoNCE divides its push among the negatives by a Boltzmann distribution: at a low temperature nearly all of it goes to
the hardest, at a high one all are pushed alike, whether they matter or not. A space that pushes the hardest apart is
even but intolerant: it tears samples of one class apart too. Keeping only the hardest negatives sets the hardness in
another way, so that a high temperature need not give it up.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, evaluation, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=40,
    slug="temperature",
    title="Understanding the Behaviour of Contrastive Loss",
    authors="Wang, Liu",
    year=2021,
    venue="CVPR",
    arxiv="2012.09740",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 1.0  # section 4.4: the hard loss does best at high temperatures
    share: float = 0.1  # section 3.3: the negatives above a quantile; which one, the paper tunes for each data set
    hidden: int = 256
    output: int = 128  # section 4


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=256, epochs=100)


def learner(settings, task, objective):
    """SimCLR's parts around a loss of queries and keys, each view once the query."""
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    view = views.simclr(encoder.size, strength=0.5)

    def loss(pair):
        first, second = (encoders.unit(projector(encoder(pictures).vector)) for pictures in pair)
        return (objective(first, second, same=pair.same) + objective(second, first, same=pair.same)) / 2

    return training.Learner(
        modules={"encoder": encoder, "projector": projector},
        encoders={"image": encoder},
        views=task.random_views("image", view, view),
        loss=loss,
    )


def build(settings: Settings, task: training.Task) -> training.Learner:
    chosen = {"temperature": settings.temperature, "share": settings.share}
    return learner(settings, task, lambda q, k, same: objectives.hard_contrastive(q, k, same=same, **chosen))


def info_nce(settings, task):
    chosen = {"temperature": settings.temperature}
    return learner(settings, task, lambda q, k, same: objectives.info_nce(q, k, same=same, **chosen))


def simple(settings, task):
    return learner(settings, task, lambda q, k, same: objectives.simple_contrastive(q, k, weight=1.0, same=same))


def projected(trial):
    """The space that the loss sees: vectors of the scored rows after the projector."""
    import torch

    encoder, projector = trial.learner.modules["encoder"], trial.learner.modules["projector"]
    entries = trial.scored.inputs.prepared["image"].take(range(min(2000, len(trial.scored))))
    with torch.no_grad():
        return encoders.unit(projector(encoder(encoder.plain(entries)).vector)).numpy()


@needs("training")
def share_on_hardest(trial):
    """Share of the gradient on the negatives that goes to the hardest twentieth of them."""
    import torch

    (pair,) = trial.looks(256)
    with torch.no_grad():
        modules = trial.learner.modules
        queries, keys = (encoders.unit(modules["projector"](modules["encoder"](look).vector)) for look in pair)
    shares = objectives.gradient_shares(queries, keys, temperature=trial.settings.temperature)
    return shares.topk(len(queries) // 20, dim=1).values.sum(1).mean()


@needs("learner")
def spread(trial):
    return evaluation.uniformity(projected(trial))


@needs("learner")
def forbearance(trial):
    return evaluation.tolerance(projected(trial), trial.scored.labels()[:2000])


TEMPERATURES = (0.05, 0.1, 0.2, 0.5, 1.0)
NAMES = [*(f"InfoNCE at {temperature}" for temperature in TEMPERATURES[:-1]), "baseline"]


def rises(values):
    """Rank correlation with the temperature, of one seed's arms."""
    from scipy.stats import spearmanr

    return float(spearmanr(TEMPERATURES, [values[name] for name in NAMES]).statistic)


CLAIM = Claim(
    sentence="A temperature sets how hard negatives must be to count; choosing the hardest lets it be high.",
    baseline="simclr",
    bed=Bed(set="animals", rows=4000),
    views="gentle",
    training={"steps": 200, "batch_size": 128, "learning_rate": 2e-3},
    arms={
        "simple": Arm(build=simple),
        **{NAMES[i]: Arm(build=info_nce, settings={"temperature": TEMPERATURES[i]}) for i in range(5)},
    },
    measures=(
        Measure(name="kNN accuracy at temperature 1, hardest tenth against all negatives", metric="knn"),
        Measure(
            name="kNN accuracy, best temperature inside against the best of both ends",
            metric="knn",
            combine=lambda knn: max(knn[name] for name in NAMES[1:-1]) - max(knn[NAMES[0]], knn[NAMES[-1]]),
            against=0.0,
        ),
        Measure(name="kNN accuracy, hardest tenth against the loss without hardness", metric="knn", against="simple"),
        Measure(
            name="rank correlation of temperature and the hardest negatives' share of the gradient",
            metric=share_on_hardest,
            combine=rises,
            against=0.0,
            better="lower",
            mechanism=True,
        ),
        Measure(
            name="rank correlation of temperature and uniformity",
            metric=spread,
            combine=rises,
            against=0.0,
            mechanism=True,
        ),
        Measure(name="the same with tolerance", metric=forbearance, combine=rises, against=0.0, mechanism=True),
    ),
)
