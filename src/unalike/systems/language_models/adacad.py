"""AdaCAD: trust the context over what the model remembers, at each token as much as the two disagree.

Context-aware decoding weighs the contrast with a number, which hurts where context and memory agree. Here the weight
is the divergence of the two next-token distributions: none where they agree, the more the further they are apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from unalike import decoding
from unalike.records import Arm, Bed, Claim, Measure, Paper

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


def build(settings: Settings) -> decoding.Decoder:
    def choose(texts):
        informed, plain = texts.logits
        weight = decoding.jensen_shannon(informed, plain, base=settings.base).clamp(min=settings.floor)
        said = decoding.contrast(informed, plain, weight)
        return said.masked_fill(~decoding.plausible(informed, settings.plausibility), -math.inf).argmax(-1)

    return decoding.Decoder(choose=choose, branches=2)


def capitals(collection, rng):
    """Every capital that WordNet knows, once with a context that names another one and once with a true context."""
    from unalike.claims import Prompt

    known = {}
    for lemmas in collection["text:lemmas"]:
        name, *others = lemmas.split(", ")
        for each in others:
            if each.startswith("capital of ") and name.split()[0] not in each:
                known[each.removeprefix("capital of ")] = name
    prompts = []
    for place, capital in known.items():
        other = str(rng.choice([each for each in known.values() if each != capital]))
        for group, told in (("conflict", other), ("agreement", capital)):
            context = f"The capital of {place} is {told}."
            question = f"Question: What is the capital of {place}?\nAnswer: The capital of {place} is"
            prompts.append(Prompt(text=question, context=context, answer=told, group=group))
    return prompts


def accuracy(trial, group=None):
    """Share of the prompts whose continuation starts with what the context says."""
    pairs = [pair for pair in zip(trial.prompts, trial.found, strict=True) if group in (None, pair[0].group)]
    return sum(found.text.strip().startswith(prompt.answer) for prompt, found in pairs) / len(pairs)


def followed_in_conflict(trial):
    return accuracy(trial, "conflict")


def right_in_agreement(trial):
    return accuracy(trial, "agreement")


def conflict_seen_by_the_weight(trial):
    """How well the mean divergence over the first tokens tells conflicts from agreements: area under the curve."""
    import torch
    from sklearn.metrics import roc_auc_score

    weights = []
    trial.again(
        decoder=trial.decoder,
        max_new_tokens=4,
        batch_size=len(trial.prompts),
        listener=lambda texts, tokens: weights.append(decoding.jensen_shannon(*texts.logits)),
    )
    return roc_auc_score([prompt.group == "conflict" for prompt in trial.prompts], torch.stack(weights).mean(0))


def greedy(settings, task):
    return decoding.greedy()


CLAIM = Claim(
    sentence="Where context and memory conflict it follows the context; where they agree it loses nothing to greedy.",
    baseline="cad",
    bed=Bed(set="wordnet", prompts=capitals, rows=50),
    encoder={"text": {"name": "smollm2"}},
    training={"max_new_tokens": 6, "batch_size": 20},
    arms={"greedy with the context": Arm(build=greedy)},
    measures=(
        Measure(name="accuracy, conflicts and agreements together", metric=accuracy),
        Measure(name="accuracy in conflict", metric=followed_in_conflict, against="greedy with the context"),
        Measure(
            name="accuracy in agreement, at most 0.02 less",
            metric=right_in_agreement,
            against="greedy with the context",
            margin=-0.02,
        ),
        Measure(
            name="how well the weight tells conflict from agreement, AUC",
            metric=conflict_seen_by_the_weight,
            against=0.5,
            mechanism=True,
        ),
    ),
)
