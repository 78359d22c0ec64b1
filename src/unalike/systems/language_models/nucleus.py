"""Nucleus sampling: draw each token from the fewest likeliest ones that have most of the probability together.

The tail of a distribution is where a model is wrong; cutting it off leaves sampled texts varied and sound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from unalike import decoding
from unalike.records import Claim, Paper

PAPER = Paper(
    slug="nucleus",
    title="The Curious Case of Neural Text Degeneration",
    authors="Holtzman, Buys, Du, Forbes, Choi",
    year=2020,
    venue="ICLR",
    arxiv="1904.09751",
    modality="language-models",
    kind="decoder",
    roles=(),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    share: float = 0.95  # table 1
    seed: int = 0


CLAIM = Claim(sentence="Its texts repeat as seldom as those of people, where the likeliest text repeats itself.")


def build(settings: Settings) -> decoding.Decoder:
    import torch

    draws = torch.Generator().manual_seed(settings.seed)

    def choose(texts):
        (logits,) = texts.logits
        inside = logits.masked_fill(~decoding.nucleus(logits, settings.share), -math.inf)
        return torch.multinomial(inside.softmax(-1).cpu(), 1, generator=draws).squeeze(1).to(logits.device)

    return decoding.Decoder(choose=choose)
