"""A trial in miniature: the same claim on fewer rows, with smaller batches and a few steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unalike.claims.ground import Ground, rows_of_classes
from unalike.data import Collection, GraphColumn
from unalike.records import Arm, Bed, Claim, SharedStart


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large a miniature is.

    Args:
        folder: where pretrained starts of this size are kept; one folder for each number format.
        steps: optimiser steps of each training.
        batch: rows a step at the most.
        rows: training rows.
        scored: rows of each of the other splits.
        prompts: prompts of a decoder's claim.
        tokens: that are generated for each prompt.
        texts: of the corpus of a shared start.
    """

    folder: Path
    steps: int = 4
    batch: int = 64
    rows: int = 256
    scored: int = 256
    prompts: int = 12
    tokens: int = 6
    texts: int = 2_000

    def options(self, training: Mapping[str, Any], *, whole: bool = True) -> dict[str, Any]:
        """Training settings with fewer steps and smaller batches; where they are not ``whole``, only what they name."""
        found = {name: value for name, value in training.items() if name != "epochs"}
        if whole or {"steps", "epochs"} & set(training):
            found["steps"] = self.steps
        if whole or "batch_size" in training:
            found["batch_size"] = min(self.batch, training.get("batch_size") or self.batch)
        return found

    def claim(self, claim: Claim) -> Claim:
        """A claim whose trials are this small; its beds are cut when they are opened."""
        if claim.bed is not None and claim.bed.prompts is not None and claim.start is None:
            # A decoder's: its training settings are those of the generation, its rows the prompts of a seed.
            tokens = min(self.tokens, claim.training.get("max_new_tokens", self.tokens))
            return replace(
                claim,
                bed=replace(claim.bed, rows=self.prompts),
                training={**claim.training, "max_new_tokens": tokens},
            )
        start = claim.start
        if start is not None:
            start = replace(start, training=self.options(start.training))
        if isinstance(start, SharedStart):
            start = replace(start, corpus=FirstTexts(start.corpus, self.texts))
        return replace(
            claim,
            training=self.options(claim.training),
            arms={name: self.arm(arm) for name, arm in claim.arms.items()},
            start=start,
        )

    def arm(self, arm: Arm) -> Arm:
        return replace(arm, training=self.options(arm.training, whole=False))

    def point(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """A point of the grid; where it is a number of steps or of rows a batch, that of the miniature."""
        return self.options(chosen, whole=False)

    def cut(self, collection: Collection, bed: Bed) -> Collection:
        """Some rows of each split, drawn by one seed: whole graphs are left as they are.

        Of the training rows only those of the classes that the bed learns from.
        """
        if any(isinstance(column, GraphColumn) for column in collection.columns.values()):
            return collection
        chosen = []
        for name, rows in collection.splits.items():
            most = self.rows if name == "train" else self.scored
            if name == "train" and bed.classes:
                rows = rows[np.isin(rows, rows_of_classes(collection, bed))]
            chosen.append(np.random.default_rng(0).permutation(rows)[:most])
        return collection.select(np.sort(np.concatenate(chosen)))

    def ground(self, ground: Ground) -> Ground:
        """A ground with fewer rows to learn from and to be scored on, as far as its collection was left whole."""
        rng = np.random.default_rng(0)
        parts = {"train": self.rows, "validation": self.scored, "test": self.scored}
        train, validation, test = (np.sort(rng.permutation(getattr(ground, each))[: parts[each]]) for each in parts)
        return replace(ground, train=train, validation=validation, test=test)


@dataclass(frozen=True)
class FirstTexts:
    """The first texts of a corpus."""

    corpus: Any
    count: int

    def __call__(self, *collections: Collection) -> Sequence[str]:
        return self.corpus(*collections)[: self.count]
