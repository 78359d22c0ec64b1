"""WhitenedCSE: whiten a sentence's vectors in shuffled groups; every shuffle makes another positive.

Whitening spreads a batch evenly over all directions, which contrast with other sentences does only slowly. Done group
by group, in a grouping drawn anew for each of three passes with dropout, it also makes the three more different than
dropout alone does, so that there is more to align.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import claims, encoders, objectives, pairing, training
from unalike.errors import SettingsError
from unalike.records import Arm, Claim, Measure, Paper, Recipe, SearchBed
from unalike.systems.text import bert

PAPER = Paper(
    probe={"batch": 128},
    number=25,
    slug="whitenedcse",
    title="Whitening-based Contrastive Learning of Sentence Embeddings",
    authors="Zhuo, Sun, Wang, Zhu, Yang",
    year=2023,
    venue="ACL",
    modality="text",
    roles=("text",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.05  # the authors' code
    passes: int = 3  # the authors' code: one sentence and two positives
    group_size: int = 6  # dimensions in a group at most: 768 in 128 groups in the authors' code


RECIPE = Recipe(optimizer="adamw", learning_rate=5e-4, weight_decay=1e-2, batch_size=128, epochs=5, clip_norm=1.0)


def build(settings: Settings, task: training.Task) -> training.Learner:
    return compose(settings, task)


def compose(
    settings: Settings, task: training.Task, *, whiten: bool = True, shuffle: bool = True, groups: int | None = None
) -> training.Learner:
    """The learner, or a control that lacks the whitening or the shuffle, or has another number of groups."""
    import torch

    if settings.passes < 2 or settings.group_size < 1:
        raise SettingsError(
            f"passes={settings.passes}, group_size={settings.group_size}; expected two or more passes and groups "
            "of one or more"
        )
    encoder = task.encoders["text"]
    width = encoder.width
    # Groups are of one size: the largest that divides the width.
    size = max(each for each in range(1, min(settings.group_size, width) + 1) if width % each == 0)
    whitening = objectives.ShuffledGroupWhitening(groups or width // size)
    # Used in training only, as the vectors before the whitening are those that are kept.
    head = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.Tanh())

    def views(batch, generator):
        [(sentences, codes)] = batch.choose(task.roles["text"], generator)
        return training.Looks([sentences, codes, int(torch.randint(2**62, (), generator=generator))], batch.same)

    def loss(seen):
        sentences, codes, seed = seen
        draws = torch.Generator().manual_seed(seed)
        looks = []
        for _ in range(settings.passes):
            vectors = encoder(sentences).vector
            if whiten:  # each pass by itself, in a grouping of its own
                vectors = whitening(vectors, draws if shuffle else None)
            looks.append(encoders.unit(head(vectors)))
        first, *others = looks
        chosen = {"temperature": settings.temperature, "pairing": pairing.SharedText(codes), "same": seen.same}
        return sum(objectives.info_nce(first, other, **chosen) for other in others)

    return training.Learner(
        modules={"encoder": encoder, "head": head}, encoders={"text": encoder}, views=views, loss=loss
    )


def without_whitening(settings: Settings, task: training.Task) -> training.Learner:
    """The control that tells whether the third pass alone does it."""
    return compose(settings, task, whiten=False)


def without_shuffle(settings: Settings, task: training.Task) -> training.Learner:
    """The control in which neighbouring dimensions are the groups, the same for all passes."""
    return compose(settings, task, shuffle=False)


def one_group(settings: Settings, task: training.Task) -> training.Learner:
    """The control that whitens all dimensions at once; batches need more rows than there are dimensions."""
    return compose(settings, task, groups=1)


CLAIM = Claim(
    sentence="Whitening in shuffled groups makes sentence vectors both more even and more aligned than dropout alone,"
    " and closer to what people find alike.",
    baseline="simcse",
    # Sentences are the short descriptions; the long ones are only searched.
    bed=SearchBed(set="descriptions", roles={"text": ("text:query",)}, queries="text", rows=8000),
    start=bert.BASE,
    training={"batch_size": 128, "epochs": 1, "learning_rate": 1e-3},
    arms={
        "three passes": Arm(build=without_whitening, like="system"),
        "without shuffle": Arm(build=without_shuffle, like="system"),
        "one group": Arm(build=one_group, like="system"),
        "hidden words alone": Arm(training={"learning_rate": 0.0}, like="system"),
    },
    measures=(
        Measure(name="human ratings", metric=claims.gloss_correlation),
        Measure(name="description among ten", metric=claims.description_found),
        Measure(name="uniformity", metric=claims.sentence_uniformity, better="lower", mechanism=True),
        Measure(name="alignment", metric=claims.alignment_of_passes, better="lower", mechanism=True),
        Measure(name="rank of the singular values", metric=claims.sentence_rank, mechanism=True),
        Measure(name="human ratings, whitening", metric=claims.gloss_correlation, against="three passes"),
        Measure(name="human ratings, shuffle", metric=claims.gloss_correlation, against="without shuffle"),
        Measure(name="human ratings, groups", metric=claims.gloss_correlation, against="one group"),
        Measure(name="human ratings, training", metric=claims.gloss_correlation, against="hidden words alone"),
    ),
    seeds=3,
)
