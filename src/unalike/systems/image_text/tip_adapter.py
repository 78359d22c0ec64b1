"""Tip-Adapter: a frozen picture-text model asks a cache of few labelled pictures, without any training.

Each labelled picture is a key and its class the value. A new picture gets, for each class, the sum of how alike it is
to that class's keys, added to how alike it is to the class's name. This is the training-free form: Tip-Adapter-F goes
on to train the keys. The released code searches both numbers on the whole validation set, as is done here where one is
given; else labelled rows are held out in turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unalike import adapting
from unalike.records import Claim, Paper

PAPER = Paper(
    slug="tip-adapter",
    title="Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification",
    authors="Zhang, Zhang, Fang, Gao, Li, et al.",
    year=2022,
    venue="ECCV",
    arxiv="2207.09519",
    modality="image-text",
    kind="adapter",
    roles=(),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    looks: int = 10  # released code, augment_epoch: a key is the mean of random crops and flips
    text_scale: float = 100.0  # released code: CLIP's logit scale
    alpha: float = 1.17  # released code, init_alpha: weight of the cache where there is nothing to choose it on
    beta: float = 1.0  # released code, init_beta: sharpness of the cache
    points: int = 20  # of each grid; released code: 20 of alpha and 200 of beta
    largest: float = 10.0  # released code, search_scale of most sets: both from 0.1 up to here


CLAIM = Claim(sentence="Without any training, a cache of few labelled pictures makes a zero-shot classifier better.")


def build(settings: Settings) -> adapting.Adapter:
    def learn(looks, labels, classes):
        keys = looks.mean(0)
        values = np.eye(classes)[labels]
        return {"keys": keys / np.linalg.norm(keys, axis=1, keepdims=True), "values": values}

    def score(learnt, vectors, alpha, beta):
        return alpha * adapting.cache_scores(vectors, learnt["keys"], learnt["values"], sharpness=beta)

    steps = 0.1 + (settings.largest - 0.1) * np.arange(settings.points) / settings.points
    return adapting.Adapter(
        learn=learn,
        score=score,
        grid={"alpha": tuple(map(float, steps)), "beta": tuple(map(float, steps))},
        usual={"alpha": settings.alpha, "beta": settings.beta},
        text_scale=settings.text_scale,
        looks=settings.looks,
    )
