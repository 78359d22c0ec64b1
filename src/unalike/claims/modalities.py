"""Metrics of a trial with pictures and texts: how far the two lie apart, and how well one finds the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unalike import evaluation
from unalike.data.roles import kind_of

if TYPE_CHECKING:
    from unalike.claims.trial import Trial


def sides(trial: Trial) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of the scored rows, of the first role of pictures and the first of texts."""
    spaces = trial.scored.spaces
    pictures, texts = (next(spaces[r] for r in spaces if kind_of(r) == kind) for kind in ("image", "text"))
    return pictures, texts


def centres_apart(trial: Trial) -> float:
    """Distance between the centres of the modalities, from 0 to 2."""
    return evaluation.modality_gap(*sides(trial))


def separability(trial: Trial) -> float:
    """Accuracy of a linear classifier that tells the modalities apart, on pairs it has not seen; 0.5 if it cannot."""
    return evaluation.modality_separability(*sides(trial))


def recall_both_ways(trial: Trial) -> float:
    """Mean recall@1 of pictures that ask for their text and of texts that ask for their picture."""
    both = sides(trial)
    found = [evaluation.retrieval(*each, measures=["recall@1"]).mean("recall@1") for each in (both, both[::-1])]
    return float(np.mean(found))


def accuracy_by_names(trial: Trial) -> float:
    """Share of the pictures that are most like the mean of the training rows' texts of their own class."""
    codes, classes = trial.reference.labels(), trial.scored.labels()
    texts = next(vectors for role, vectors in trial.reference.spaces.items() if kind_of(role) == "text")
    known = np.unique(codes[codes >= 0])
    named = np.stack([texts[codes == code].mean(axis=0) for code in known])
    asked = np.isin(classes, known)
    place = np.searchsorted(known, classes[asked])
    return float(np.mean(evaluation.zero_shot_correct(sides(trial)[0][asked], named, place)))
