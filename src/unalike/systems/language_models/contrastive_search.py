"""Contrastive search: of the likeliest tokens the one whose hidden state is least like that of any token before it.

Greedy decoding falls into loops because a repeated token's hidden state is all but the old one's; the penalty sees
that, where a penalty on token ids would not. It works with any model whose hidden states point in many directions.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import decoding
from unalike.records import Claim, Paper

PAPER = Paper(
    number=26,
    slug="contrastive-search",
    title="Contrastive Search Is What You Need For Neural Text Generation",
    authors="Su, Collier",
    year=2023,
    venue="TMLR",
    arxiv="2210.14140",
    modality="language-models",
    kind="decoder",
    roles=(),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    k: int = 5  # the paper's scripts for English; 4 in its demo
    alpha: float = 0.6  # the paper's scripts for English; 0 is greedy


CLAIM = Claim(
    sentence="It repeats far less than greedy decoding and stays closer to the prompt than sampling.",
    baseline="nucleus",
)


def build(settings: Settings) -> decoding.Decoder:
    alpha = settings.alpha

    def choose(texts):
        # Equation 2: probabilities, not their logarithms, against a cosine.
        likely, candidates = texts.logits[0].softmax(-1).topk(settings.k)
        penalty = decoding.largest_cosine(texts.look(candidates), texts.hidden, texts.mask)
        best = ((1 - alpha) * likely - alpha * penalty).argmax(-1, keepdim=True)
        return candidates.gather(1, best).squeeze(1)

    return decoding.Decoder(choose=choose, hidden=True, largest=settings.k)
