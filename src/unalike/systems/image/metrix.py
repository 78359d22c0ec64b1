"""Metrix: mix each anchor's examples and how far they are its positives, in any loss of pairs.

Losses of metric learning look at pairs, and a pair is either positive or negative. Metrix also mixes a positive of an
anchor, or the anchor itself, with a negative: the mixture is a positive to the degree of its share, whatever the loss,
since contrastive, multi-similarity and Proxy-Anchor losses are all two sums over pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unalike import encoders, evaluation, objectives, training, views
from unalike.errors import SettingsError
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe

PAPER = Paper(
    number=48,
    slug="metrix",
    title="It Takes Two to Tango: Mixup for Deep Metric Learning",
    authors="Venkataramanan, Psomas, Kijak, Amsaleg, Karantzalos, Avrithis",
    year=2022,
    venue="ICLR",
    arxiv="2106.04990",
    modality="image",
    roles=("image",),
    labels=True,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    form: Literal["contrastive", "multi-similarity", "proxy-anchor"] = (
        "multi-similarity"  # section 4: the paper's three
    )
    mixing: Literal["embedding", "picture"] = "embedding"  # section 3.3; mixing of inner layers is left out here
    weight: float = 0.4  # of the mixtures' loss; authors' release; 0 is the plain loss
    alpha: float = 2.0  # section 4.1: shares from Beta(2, 2)
    hardest: int = 3  # negatives mixed for each anchor, as many as positives; release: all of them, in means for sums
    each: int = 4  # pictures of a class in a batch; release: 5
    output: int = 128  # release's default; 512 in the paper's tables


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=60)


def build(settings: Settings, task: training.Task) -> training.Learner:
    import torch

    if settings.mixing == "picture" and settings.form == "proxy-anchor":
        raise SettingsError("mixing='picture' with form='proxy-anchor': a proxy is no picture; mix embeddings")
    encoder = task.encoders["image"]
    head = encoders.linear(encoder.width, settings.output)
    modules = {"encoder": encoder, "head": head}
    form = getattr(objectives, f"{settings.form.replace('-', '_')}_form")()
    if settings.form == "proxy-anchor":
        modules["proxies"] = encoders.Prototypes(task.classes, settings.output)
    crop = views.ImageViews(encoder.size, crop_scale=(0.08, 1.0), jitter_p=0.0, gray=0.0, blur=0.0)  # release
    look = task.random_views("image", crop)

    def embed(pictures):
        return encoders.unit(head(encoder(pictures).vector))

    def see(batch, generator):
        labels = batch.inputs.labels
        return look(batch, generator)[0], batch.labels, torch.from_numpy(labels[labels >= 0]).unique(), generator

    def loss(seen):
        pictures, labels, classes, generator = seen
        vectors = embed(pictures)
        drawn = {"generator": generator, "alpha": settings.alpha, "hardest": settings.hardest}
        if "proxies" in modules:  # of the classes that are learned
            classes = classes.to(labels.device)
            drawn["anchors"] = modules["proxies"].unit()[classes], classes  # type: ignore[operator]
        if settings.mixing == "embedding":
            return objectives.metrix(vectors, labels, form=form, weight=settings.weight, **drawn)
        plain = objectives.metrix(vectors, labels, form=form, weight=0.0, **drawn)
        chosen = objectives.pairs_to_mix(vectors, labels, **drawn)
        share = chosen.shares[..., None, None, None]
        mixed = objectives.mix(pictures[chosen.partners][:, None], pictures[chosen.negatives], share)
        scores = torch.einsum("ad,amd->am", vectors, embed(mixed.flatten(0, 1)).unflatten(0, chosen.shares.shape))
        extra = objectives.generalised_pairs(scores, chosen.shares, form=form, known=chosen.known)
        return plain + settings.weight * extra

    return training.Learner(
        modules=modules,
        encoders={"image": encoder},
        views=see,
        loss=loss,
        order=lambda inputs, batch, seed: training.ClassBalanced(inputs.labels, batch, seed, each=settings.each),  # type: ignore[arg-type]
        project={"image": head},
    )


def recall_at_1(trial, measure="recall@1"):
    """Retrieval among the scored rows, of the two pictures of a character in a font only one: the other is too near."""
    vectors, labels = trial.scored.vectors()[::2], trial.scored.labels()[::2]
    relevance = evaluation.Relevance.from_groups(labels, labels)
    return evaluation.retrieval(vectors, vectors, relevance, measures=[measure], exclude_self=True).mean(measure)


def map_at_r(trial):
    return recall_at_1(trial, "map@r")


def utilisation(trial, mixed=True):
    """Mean squared distance of the scored rows to what is nearest of the training rows and, of an arm that mixes, of
    three mixtures for each of them, made as in training."""
    import torch

    generator = torch.Generator().manual_seed(trial.seed)
    known, labels = torch.from_numpy(trial.reference.vectors()), torch.from_numpy(trial.reference.labels())
    asked = torch.from_numpy(trial.scored.vectors())
    nearest = (asked @ known.T).amax(dim=1)
    for rows in torch.randperm(len(known), generator=generator).split(256) if mixed and trial.settings.weight else ():
        made = objectives.pair_mixtures(known[rows], labels[rows], generator=generator)
        nearest = nearest.maximum((asked @ made.vectors[made.known].T).amax(dim=1))
    return float((2 - 2 * nearest).clamp(min=0).mean())


def utilisation_of_training_rows(trial):
    return utilisation(trial, mixed=False)


CLAIM = Claim(
    sentence="A loss of pairs finds unseen classes better if it also learns from mixtures, positive to a degree.",
    bed=Bed(set="glyph-new", rows=500),
    views="gentle",
    training={"batch_size": 64, "steps": 600},
    arms={
        "baseline": Arm(settings={"weight": 0.0}),
        "pictures mixed": Arm(settings={"mixing": "picture", "hardest": 1}),
        "contrastive, mixed": Arm(settings={"form": "contrastive"}),
        "contrastive": Arm(settings={"form": "contrastive", "weight": 0.0}),
    },
    tune={"learning_rate": (1e-3, 3e-3)},
    measures=(
        Measure(name="unseen characters, R@1", metric=recall_at_1),
        Measure(name="unseen characters, MAP@R", metric=map_at_r),
        Measure(name="R@1, contrastive loss", metric=recall_at_1, arm="contrastive, mixed", against="contrastive"),
        Measure(name="R@1, pictures mixed", metric=recall_at_1, arm="pictures mixed"),
        Measure(name="utilisation", metric=utilisation, better="lower", mechanism=True),
        Measure(name="utilisation, without the mixtures", metric=utilisation_of_training_rows, better="lower"),
    ),
)
