"""What claims on speech are measured by: how much of what is said can be read from vectors, and codes in use."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from unalike.data.roles import variant_of
from unalike.records import needs

if TYPE_CHECKING:
    from unalike.claims.trial import Trial

LEAST = 8
"""A letter is asked for if so many of the rows have it, and so many do not, on either side."""


def letters_said(trial: Trial, label: str | None = None) -> float:
    """Which letters does a prompt have? The mean area under the curve, over letters and languages of ``asterisk``.

    A ridge regression on standardised vectors of the training prompts, one for each letter, as
    `unalike.evaluation.ridge_probe` but for all letters at once.
    """
    from sklearn.linear_model import Ridge
    from sklearn.metrics import roc_auc_score

    from unalike.data import open_set

    collection = open_set("asterisk")
    areas = []
    for role in trial.scored.spaces:
        texts = collection["text:" + variant_of(role)]
        sides = []
        for side in (trial.reference, trial.scored):
            said = [texts[int(row)] for row in side.rows]
            heard = np.abs(side.vectors(role)).sum(axis=1) > 0
            rows = [
                n for n, text in enumerate(said) if text is not None and heard[n] and not text.startswith(("[", "("))
            ]
            sides.append((side.vectors(role)[rows], [set(said[n].lower()) for n in rows]))
        (learnt, known), (asked, truth) = sides
        mean, deviation = learnt.mean(0), learnt.std(0) + 1e-8
        letters = [
            letter for letter in sorted(set().union(*known)) if letter.isalpha() and _asked(letter, known, truth)
        ]
        model = Ridge(alpha=float(len(learnt)) / 10)
        model.fit(
            (learnt - mean) / deviation, np.array([[letter in each for letter in letters] for each in known], float)
        )
        guesses = model.predict((asked - mean) / deviation).reshape(len(asked), -1)
        areas += [
            roc_auc_score([letter in each for each in truth], guesses[:, number])
            for number, letter in enumerate(letters)
        ]
    return float(np.mean(areas))


def _asked(letter: str, known: list[set[str]], truth: list[set[str]]) -> bool:
    counts = [sum(letter in each for each in side) for side in (known, truth)]
    return all(LEAST <= count <= len(side) - LEAST for count, side in zip(counts, (known, truth), strict=True))


@needs("learner")
def codes_in_use(trial: Trial) -> float:
    """Perplexity of the codes that the scored recordings get: 1, if they all get the same, to the codebook's size."""
    import torch

    learner = trial.learner
    assert learner is not None
    if "quantizer" not in learner.modules:
        return float("nan")
    learner.module.eval()
    encoder, counts = learner.encoders["audio"], Counter[int]()
    for role in trial.scored.spaces:
        sounds = encoder.plain(trial.scored.inputs.prepared[role].take(np.arange(len(trial.scored))))
        with torch.inference_mode():
            features, present = encoder.subsample(sounds)  # type: ignore[operator]
            codes = learner.modules["quantizer"](features).codes[present]
        counts.update(codes.tolist())
    shares = np.array(list(counts.values())) / counts.total()
    return float(np.exp(-(shares * np.log(shares)).sum()))
