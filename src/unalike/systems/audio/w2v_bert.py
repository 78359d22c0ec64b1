"""w2v-BERT: lower blocks learn a codebook of sounds by contrast, upper ones predict its codes as BERT does words.

Both see the same hidden spans and are trained at once: the contrast keeps the codes meaningful, and predicting them
from both sides makes the upper blocks learn what usually surrounds a sound. Predicting codes alone would let them die.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unalike import claims, encoders, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe

PAPER = Paper(
    number=142,
    slug="w2v-bert",
    title="W2v-BERT: Combining Contrastive Learning and Masked Language Modeling for Self-Supervised Speech "
    "Pre-Training",
    authors="Chung, Zhang, Han, Chiu, Qin, Pang, Wu",
    year=2021,
    venue="ASRU",
    arxiv="2108.06209",
    modality="audio",
    roles=("audio",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.1  # wav2vec 2.0, section 4.2, which section 3.2 follows
    span: int = 10  # section 4.2: tokens of a hidden span
    start: float = 0.065  # section 4.2: probability that a span begins at a token
    codes: int = 64  # section 4.2: 1024
    lower: float = 0.5  # section 4.2: 12 of 24 blocks contrast (the XL model), the others predict
    diversity: float = 0.1  # section 3.2: weight of the codebook's use
    predict: float = 1.0  # equation 3: weight of predicting the codes
    warmest: float = 2.0  # wav2vec 2.0: temperature of the draw of a code, at the beginning
    coolest: float = 0.5  # and at the end


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-2, batch_size=16, epochs=40, clip_norm=1.0)


def build(settings: Settings, task: training.Task, contrast: bool = True) -> training.Learner:
    encoder: Any = task.encoders["audio"]
    split = max(1, round(settings.lower * encoder.depth)) - 1
    quantizer = encoders.GumbelQuantizer(encoder.width, settings.codes, encoder.width, temperature=settings.warmest)
    out = encoders.linear(encoder.width, encoder.width)
    predict = encoders.linear(encoder.width, settings.codes)
    hidden_as = encoders.Vector(encoder.width)

    def look(batch, generator):
        [(sounds, _)] = batch.choose(task.roles["audio"], generator)
        sounds = encoder.plain(sounds)
        return sounds, views.spans(encoder.standing(sounds), generator, start=settings.start, length=settings.span)

    def loss(seen):
        sounds, hidden = seen
        features, present = encoder.subsample(sounds)
        found = quantizer(features)  # of what is not hidden
        contexts = encoder.contexts(hidden_as.at(hidden, features), present)
        predicted = objectives.masked_codes(predict(contexts[-1]), found.codes, hidden=hidden)
        if not contrast:
            return predicted
        told = objectives.within_sequence(
            out(contexts[split]), found.vectors, hidden=hidden, temperature=settings.temperature, codes=found.codes
        )
        told = told + settings.diversity * objectives.code_diversity(found.probabilities[present])
        return told + settings.predict * predicted

    def cool(step):
        quantizer.cool(settings.warmest * (settings.coolest / settings.warmest) ** (step / task.steps))

    modules = {"encoder": encoder, "quantizer": quantizer, "out": out, "predict": predict, "hidden_as": hidden_as}
    return training.Learner(modules=modules, encoders={"audio": encoder}, views=look, loss=loss, after_step=cool)


def codes_alone(settings: Settings, task: training.Task) -> training.Learner:
    """The control: nothing but the prediction of codes, which nothing keeps from being all the same."""
    return build(settings, task, contrast=False)


CLAIM = Claim(
    sentence="Predicting the codes that contrast finds teaches more of what is said than contrast alone, and without"
    " the contrast the codes die.",
    baseline="wav2vec2",
    bed=Bed(set="asterisk"),
    encoder={"audio": {"name": "mel", "mels": 40, "width": 64, "depth": 4, "seconds": 3.0}},
    training={"steps": 200, "batch_size": 16, "weight_decay": 1e-2, "clip_norm": 1.0},
    tune={"learning_rate": (1e-3, 3e-3)},
    arms={"codes alone": Arm(build=codes_alone, like="system")},
    measures=(
        Measure(name="which letters are said, AUC", metric="letters_said"),
        Measure(name="codes in use", metric=claims.codes_in_use, against="codes alone", mechanism=True),
        Measure(name="which letters are said against codes alone, AUC", metric="letters_said", against="codes alone"),
    ),
    seeds=3,
)
