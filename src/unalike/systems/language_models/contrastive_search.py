"""Contrastive search: of the likeliest tokens the one whose hidden state is least like that of any token before it.

Greedy decoding falls into loops because a repeated token's hidden state is all but the old one's; the penalty sees
that, where a penalty on token ids would not. It works with any model whose hidden states point in many directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from unalike import decoding, encoders
from unalike.records import Arm, Bed, Claim, Measure, Paper

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


def build(settings: Settings) -> decoding.Decoder:
    alpha = settings.alpha

    def choose(texts):
        # Equation 2: probabilities, not their logarithms, against a cosine.
        likely, candidates = texts.logits[0].softmax(-1).topk(settings.k)
        penalty = decoding.largest_cosine(texts.look(candidates), texts.hidden, texts.mask)
        best = ((1 - alpha) * likely - alpha * penalty).argmax(-1, keepdim=True)
        return candidates.gather(1, best).squeeze(1)

    return decoding.Decoder(choose=choose, hidden=True, largest=settings.k)


def descriptions(collection, rng):
    """The beginnings of long descriptions, and how they went on."""
    from unalike.claims import Prompt

    bodies = [body.split() for body in collection["text:en-body"] if body]
    long = [words for words in bodies if 80 < len(words) < 200]
    return [Prompt(text=" ".join(words[:24]), answer=" ".join(words[24:])) for words in long]


def diversity(trial):
    from unalike import evaluation

    return evaluation.diversity([found.tokens for found in trial.found])


def coherence(trial):
    """Mean cosine of the sentence vectors of a prompt and of what the model added."""
    import numpy as np

    texts = [prompt.text for prompt in trial.prompts], [found.text for found in trial.found]
    before, after = map(sentence_encoder().encode, texts)
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return ((before * after).sum(1) / lengths).mean()


@cache
def sentence_encoder():
    from unalike import data

    return encoders.TransformersEncoder(data.weights("minilm"), pooling="mean", max_tokens=128)


def isotropy(trial):
    """Of the model's states, on the texts as they really went on: the same for every arm, which have one model."""
    from unalike import evaluation

    texts = [f"{prompt.text} {prompt.answer}" for prompt in trial.prompts]
    return evaluation.isotropy(decoding.hidden_states(trial.model, trial.tokenizer, texts))


def greedy(settings, task):
    return decoding.greedy()


def without_isotropy(settings, task):
    """The same search over states to which one large direction was added: all then look alike."""

    def choose(texts):
        likely, candidates = texts.logits[0].softmax(-1).topk(settings.k)
        shift = 10 * encoders.unit(texts.hidden.new_ones(texts.hidden.shape[-1]))
        looked, earlier = (encoders.unit(encoders.unit(h) + shift) for h in (texts.look(candidates), texts.hidden))
        penalty = decoding.largest_cosine(looked, earlier, texts.mask)
        best = ((1 - settings.alpha) * likely - settings.alpha * penalty).argmax(-1, keepdim=True)
        return candidates.gather(1, best).squeeze(1)

    return decoding.Decoder(choose=choose, hidden=True, largest=settings.k)


CLAIM = Claim(
    sentence="It repeats far less than greedy decoding and stays closer to the prompt than sampling.",
    baseline="nucleus",
    bed=Bed(set="debian", prompts=descriptions, rows=12),
    encoder={"text": {"name": "smollm2"}},
    training={"max_new_tokens": 64, "batch_size": 12},
    arms={"greedy": Arm(build=greedy), "without isotropy": Arm(build=without_isotropy)},
    measures=(
        Measure(name="diversity beside greedy", metric=diversity, against="greedy"),
        Measure(name="coherence beside nucleus sampling", metric=coherence),
        Measure(name="isotropy of the model, above 0.5", metric=isotropy, arm="greedy", against=0.5, mechanism=True),
        Measure(
            name="diversity that is lost without isotropy",
            metric=diversity,
            against="without isotropy",
            mechanism=True,
        ),
    ),
)
