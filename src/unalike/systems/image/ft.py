"""FT: on MoCo v2, push each positive pair apart and mix the negatives, both in the embedding space.

Late in training most positive pairs agree already and teach little. Extrapolating query and key beyond each other
lowers their score: a harder positive from the same two views. Interpolating the queue with itself gives negatives of
which no two steps see the same. The queue keeps the keys as they were.

As in the authors' release, the query that was pushed away meets the negatives too, and nothing is brought back to unit
length. Their MoCo starts with random vectors in the queue, ours with an empty one.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, pairing, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=59,
    slug="ft",
    title="Improving Contrastive Learning by Visualizing Feature Transformation",
    authors="Zhu, Zhao, Huang, Wang, Zhang, Luo, Liu",
    year=2021,
    venue="ICCV",
    arxiv="2108.02982",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.2  # as MoCo v2, which the paper builds on; the release's MoCo takes 0.07
    momentum: float = 0.99  # as our MoCo v2; 0.999 with 1.28 million pictures
    queue: int = 4096  # as our MoCo v2; 65,536 in the paper
    positive_alpha: float = 2.0  # the release's pos_alpha: weights of pairs are 1 + Beta(2, 2)
    negative_alpha: float = 1.6  # the release's neg_alpha: weights of negatives are Beta(1.6, 1.6)
    hidden: int = 256  # as our MoCo v2
    output: int = 128  # as MoCo v2


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=100)


def harder(settings, queries, keys, generator):
    """Positive extrapolation."""
    return objectives.extrapolate_positives(queries, keys, generator=generator, alpha=settings.positive_alpha)


def easier(settings, queries, keys, generator):
    """The control: weights of Beta(2, 2), so that query and key come nearer to each other."""
    weights = objectives.beta_weights(queries.shape, settings.positive_alpha, generator=generator, like=queries)
    return objectives.mix(queries, keys, weights), objectives.mix(keys, queries, weights)


def diverse(settings, queue, generator):
    """Negative interpolation."""
    return objectives.interpolate_negatives(queue, generator=generator, alpha=settings.negative_alpha)


def build(settings: Settings, task: training.Task) -> training.Learner:
    return contrast(settings, task, harder, diverse)


def positives_alone(settings, task):
    return contrast(settings, task, harder, None)


def negatives_alone(settings, task):
    return contrast(settings, task, None, diverse)


def easier_positives(settings, task):
    return contrast(settings, task, easier, None)


def contrast(settings, task, transform_pair, transform_queue):
    """MoCo v2 with its pairs and its queue transformed, each where a transformation is given."""
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    dictionary = pairing.MomentumDictionary(
        encoder, projector, momentum=settings.momentum, width=settings.output, **task.queue(settings.queue)
    )
    view = views.moco_v2(encoder.size)
    look = task.random_views("image", view, view)

    def loss(seen):
        (first, second), generator = seen
        queries, keys = encoders.unit(projector(encoder(first).vector)), dictionary.keys(second)
        pair, queue = (queries, keys), dictionary.negatives(seen[0].same)
        if transform_pair is not None:
            pair = transform_pair(settings, queries, keys, generator)
        if transform_queue is not None:
            queue = transform_queue(settings, queue, generator)
        value = objectives.info_nce(
            *pair, temperature=settings.temperature, pairing=pairing.PairsOnly(), extra_negatives=queue
        )
        dictionary.push(keys, seen[0].same)
        return value

    return training.Learner(
        modules={"encoder": encoder, "projector": projector, "dictionary": dictionary},
        encoders={"image": encoder},
        views=lambda batch, generator: (look(batch, generator), generator),
        loss=loss,
        after_step=dictionary.follow,
        frozen=("dictionary",),
    )


@needs("training")
def positive_score(trial):
    """Mean score of the positive pairs that the loss sees: extrapolated, or of the baseline as they are."""
    import torch

    modules, scores = trial.learner.modules, []
    for seen in trial.looks(128, 8):
        (first, second), generator = seen if isinstance(trial.settings, Settings) else (seen, None)
        with torch.no_grad():
            query = encoders.unit(modules["projector"](modules["encoder"](first).vector))
            pair = query, modules["dictionary"].keys(second)
            pair = pair if generator is None else harder(trial.settings, *pair, generator)
        scores.append((pair[0] * pair[1]).sum(dim=1).mean())
    return torch.stack(scores).mean()


CLAIM = Claim(
    sentence="Harder positives and mixed negatives, made in the embedding space, improve MoCo v2.",
    baseline="moco-v2",
    bed=Bed(set="glyph", rows=4000),
    views="gentle",
    training={"batch_size": 128, "steps": 200, "learning_rate": 2e-3},
    arms={
        "system": Arm(settings={"queue": 1024}),
        "baseline": Arm(system="moco-v2", settings={"queue": 1024}),
        "positives alone": Arm(build=positives_alone, settings={"queue": 1024}, like="system"),
        "negatives alone": Arm(build=negatives_alone, settings={"queue": 1024}, like="system"),
        "easier positives": Arm(build=easier_positives, settings={"queue": 1024}, like="system"),
    },
    tune={"temperature": (0.07, 0.2)},
    measures=(
        Measure(name="kNN accuracy", metric="knn"),
        Measure(name="kNN accuracy, positives alone", metric="knn", arm="positives alone"),
        Measure(name="kNN accuracy, negatives alone", metric="knn", arm="negatives alone"),
        Measure(
            name="kNN, baseline against easier positives", metric="knn", arm="baseline", against="easier positives"
        ),
        Measure(name="score of the loss's positive pairs", metric=positive_score, better="lower", mechanism=True),
    ),
)
