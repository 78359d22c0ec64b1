"""AdaCAD: trust the context over what the model remembers, at each token as much as the two disagree.

Context-aware decoding weighs the contrast with a number, which hurts where context and memory agree. Here the weight
is the divergence of the two next-token distributions: none where they agree, the more the further they are apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from unalike import decoding
from unalike.records import Claim, Paper

PAPER = Paper(
    number=93,
    slug="adacad",
    title="AdaCAD: Adaptively Decoding to Balance Conflicts between Contextual and Parametric Knowledge",
    authors="Wang, Prasad, Stengel-Eskin, Bansal",
    year=2025,
    venue="NAACL",
    arxiv="2409.07394",
    modality="language-models",
    kind="decoder",
    roles=(),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    base: float = math.e  # of the divergence's logarithm: nats in the released code, at most 0.69; 2 gives up to 1
    floor: float = 0.0  # 0.3 for long answers in the paper, so that the contrast is never off
    plausibility: float = 0.0  # the released code rules no token out; share of the likeliest one's probability


CLAIM = Claim(
    sentence="Where context and memory conflict it follows the context; where they agree it loses nothing to greedy.",
    baseline="cad",
)


def build(settings: Settings) -> decoding.Decoder:
    def choose(texts):
        informed, plain = texts.logits
        weight = decoding.jensen_shannon(informed, plain, base=settings.base).clamp(min=settings.floor)
        said = decoding.contrast(informed, plain, weight)
        return said.masked_fill(~decoding.plausible(informed, settings.plausibility), -math.inf).argmax(-1)

    return decoding.Decoder(choose=choose, branches=2)
