"""CCRk: a picture meets its captions in all languages at once, so that it is found alike whichever language asks.

With one caption a step, or with languages tied to one another through one of them, each language is pulled to its own
place and at its own time; ranks then differ from language to language. Here the K captions of a picture are K positives
of one softmax, and none of them is another's negative. The release's losses of a fusion encoder are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unalike import encoders, evaluation, objectives, pairing, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe

PAPER = Paper(
    number=30,
    slug="ccrk",
    title="Improving the Consistency in Cross-Lingual Cross-Modal Retrieval with 1-to-K Contrastive Learning",
    authors="Nie, Zhang, Feng, Huang, Liu",
    year=2024,
    venue="KDD",
    arxiv="2406.18254",
    modality="image-text",
    roles=("image", "text"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.07  # released code: where the learned temperature starts
    languages: int = 0  # captions of a picture in a step, drawn where it has more; 0 for all of them, as in the paper
    output: int = 256  # as CLIP


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=0.1, batch_size=64, epochs=60, clip_norm=1.0)


def build(settings: Settings, task: training.Task) -> training.Learner:
    def one_to_k(pictures, words, owners, codes, scale, same):
        alike = pairing.SeveralTexts(owners, codes)
        return objectives.one_to_k(pictures, words, temperature=1 / scale, pairing=alike, same=same)

    return compose(settings, task, one_to_k)


def compose(settings: Settings, task: training.Task, objective) -> training.Learner:
    """Two towers that see a picture and its captions in several languages."""
    image, text = task.encoders["image"], task.encoders["text"]
    image_head = encoders.linear(image.width, settings.output)
    text_head = encoders.linear(text.width, settings.output)
    scale = encoders.LogitScale(1 / settings.temperature, maximum=1000.0)  # released code: temperature 0.001 at least
    look = task.random_views("image", views.gentle(image.size))

    def views_of(batch, generator):
        [pictures] = look(batch, generator)
        texts = training.every_entry(batch, task.roles["text"], generator, most=settings.languages)
        return training.Looks([pictures, *texts], batch.same)

    def loss(seen):
        pictures, captions, owners, codes = seen
        shown = encoders.unit(image_head(image(pictures).vector))
        return objective(shown, encoders.unit(text_head(text(captions).vector)), owners, codes, scale(), seen.same)

    return training.Learner(
        modules={"image": image, "text": text, "image_head": image_head, "text_head": text_head, "scale": scale},
        encoders={"image": image, "text": text},
        views=views_of,
        loss=loss,
        project={"image": image_head, "text": text_head},
    )


def each_by_itself(settings: Settings, task: training.Task) -> training.Learner:
    """The control: the same captions in the same steps, but each language in a softmax of its own."""

    def one_to_one(pictures, words, owners, codes, scale, same):
        languages = words.split(len(pictures)), codes.split(len(pictures))
        losses = [meet(pictures, *each, scale, same) for each in zip(*languages, strict=True)]
        return sum(losses) / len(losses)

    return compose(settings, task, one_to_one)


def through_the_first(settings: Settings, task: training.Task) -> training.Learner:
    """The control: pictures meet captions in the first language alone, and these meet the other languages."""

    def chain(pictures, words, owners, codes, scale, same):
        first, *others = zip(words.split(len(pictures)), codes.split(len(pictures)), strict=True)
        tied = [meet(first[0], *each, scale, same) for each in others]
        return meet(pictures, *first, scale, same) + sum(tied) / len(tied)

    return compose(settings, task, chain)


def meet(one, texts, codes, scale, same):
    return objectives.clip(one, texts, logit_scale=scale, pairing=pairing.SharedText(codes), same=same)


def ranks(trial):
    """Of each style of pictures by itself: 382 pictures and as many texts in each language."""
    if "ranks" not in trial.scratch:
        spaces, codes = trial.scored.spaces, trial.scored.inputs.codes
        texts = {role: spaces[role] for role in spaces if role.startswith("text")}
        styles, items = [spaces[role] for role in spaces if role not in texts], {role: codes[role] for role in texts}
        trial.scratch["ranks"] = [evaluation.language_ranks(each, texts, items=items) for each in styles]
    return trial.scratch["ranks"]


def rank_variance(trial):
    """The mean of both directions, each by full ranks."""
    return np.mean([evaluation.rank_variance(each).mean() for f in ranks(trial) for each in (f.texts, f.pictures)])


def spread_of_recall(trial):
    return np.mean([np.ptp(each) for found in ranks(trial) for each in found.recall(1)])


def recall(trial):
    return np.mean([found.recall(1) for found in ranks(trial)])


LANGUAGES = ("text:en", "text:de", "text:ru", "text:ja", "text:ko", "text:hi")
CAPTIONS = 384  # in a step of every arm

CLAIM = Claim(
    sentence="With all languages as positives at once, ranks vary less from language to language.",
    baseline="clip",
    bed=Bed(set="emoji", roles={"image": ("image:google", "image:twitter"), "text": LANGUAGES}),
    training={"steps": 350, "batch_size": CAPTIONS // 6},
    arms={
        "baseline": Arm(system="clip", training={"batch_size": CAPTIONS}),
        "CLIP, as many pictures": Arm(system="clip"),
        "each by itself": Arm(build=each_by_itself, like="system"),
        "through English": Arm(build=through_the_first, like="system"),
    },
    tune={"learning_rate": (1e-3, 3e-3)},
    choose=recall,  # a space that has learned nothing can have ranks that hardly vary
    measures=(
        Measure(name="MRV over six languages", metric=rank_variance, better="lower", mechanism=True),
        Measure(name="MRV, by itself", metric=rank_variance, against="each by itself", better="lower", mechanism=True),
        Measure(name="MRV, chain", metric=rank_variance, against="through English", better="lower", mechanism=True),
        Measure(name="spread of R@1 over the languages", metric=spread_of_recall, better="lower"),
        Measure(name="mean R@1, at most 0.01 less", metric=recall, margin=-0.01),
        Measure(name="mean R@1, by itself", metric=recall, against="each by itself", margin=-0.01),
        Measure(name="mean R@1, pictures equal", metric=recall, against="CLIP, as many pictures"),
        Measure(name="MRV, pictures equal", metric=rank_variance, against="CLIP, as many pictures", better="lower"),
    ),
)
