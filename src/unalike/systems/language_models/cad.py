"""Context-aware decoding: trust the context over what the model remembers, by contrast with the prompt alone.

What the context makes likelier than the prompt alone would is raised by a fixed weight, at every token.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import decoding
from unalike.records import Claim, Paper

PAPER = Paper(
    slug="cad",
    title="Trusting Your Evidence: Hallucinate Less with Context-aware Decoding",
    authors="Shi, Han, Lewis, Tsvetkov, Zettlemoyer, Yih",
    year=2024,
    venue="NAACL",
    arxiv="2305.14739",
    modality="language-models",
    kind="decoder",
    roles=(),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    alpha: float = 1.0  # 1 for questions, 0.5 for summaries; 0 is greedy with the context


CLAIM = Claim(sentence="Where context and memory conflict it follows the context more often than greedy decoding does.")


def build(settings: Settings) -> decoding.Decoder:
    def choose(texts):
        informed, plain = texts.logits
        return decoding.contrast(informed, plain, settings.alpha).argmax(-1)

    return decoding.Decoder(choose=choose, branches=2)
