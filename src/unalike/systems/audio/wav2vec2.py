"""wav2vec 2.0: hidden moments of speech tell their own quantised sound from others of the utterance.

Spans of the features are hidden before a transformer; at each hidden moment it must single out what was there, among
what was hidden elsewhere in the same utterance. A codebook that is learned along says what "the same sound" means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unalike import encoders, objectives, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="wav2vec2",
    title="wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations",
    authors="Baevski, Zhou, Mohamed, Auli",
    year=2020,
    venue="NeurIPS",
    arxiv="2006.11477",
    modality="audio",
    roles=("audio",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.1  # section 4.2
    span: int = 10  # section 4.2: tokens of a hidden span
    start: float = 0.065  # section 4.2: probability that a span begins at a token
    codes: int = 64  # two codebooks of 320 in the paper
    diversity: float = 0.1  # section 4.2: weight of the codebook's use
    warmest: float = 2.0  # section 4.2: temperature of the draw of a code, at the beginning
    coolest: float = 0.5  # section 4.2, base model: and at the end


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-2, batch_size=16, epochs=40, clip_norm=1.0)

CLAIM = Claim(sentence="Contrast of hidden moments with others of the utterance teaches what is said.")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder: Any = task.encoders["audio"]
    quantizer = encoders.GumbelQuantizer(encoder.width, settings.codes, encoder.width, temperature=settings.warmest)
    out = encoders.linear(encoder.width, encoder.width)
    hidden_as = encoders.Vector(encoder.width)

    def look(batch, generator):
        [(sounds, _)] = batch.choose(task.roles["audio"], generator)
        sounds = encoder.plain(sounds)
        return sounds, views.spans(encoder.standing(sounds), generator, start=settings.start, length=settings.span)

    def loss(seen):
        sounds, hidden = seen
        features, present = encoder.subsample(sounds)
        found = quantizer(features)
        contexts = encoder.contexts(hidden_as.at(hidden, features), present)
        return objectives.within_sequence(
            out(contexts[-1]), found.vectors, hidden=hidden, temperature=settings.temperature, codes=found.codes
        ) + settings.diversity * objectives.code_diversity(found.probabilities[present])

    def cool(step):
        quantizer.cool(settings.warmest * (settings.coolest / settings.warmest) ** (step / task.steps))

    return training.Learner(
        modules={"encoder": encoder, "quantizer": quantizer, "out": out, "hidden_as": hidden_as},
        encoders={"audio": encoder},
        views=look,
        loss=loss,
        after_step=cool,
    )
