"""One arm, one seed, of a claim about adapters: few labelled rows on frozen vectors, scored on rows kept apart.

A picture-text model is trained once a seed on part of the training rows; adapters learn from the other part, so that
they see no vector that the model was fitted to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from unalike import adapting, evaluation, training
from unalike.claims.ground import Ground, Sealed
from unalike.claims.trial import run_trial
from unalike.data import TextColumn, make_splits

SHARE = 0.35
"""Of the training rows, what adapters learn from; the frozen model never sees them."""
MOST = 16
"""A class takes part if so many of its rows are there to be drawn."""
LOOKS = 10
"""Random looks at each row that adapters may learn from."""
DRAWS = 10
"""Draws of few rows over which an accuracy is a mean, the same for every arm of a seed."""


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """What adapters get: vectors of a model that changes no more.

    Args:
        pool: row numbers from which labelled rows are drawn.
        validation, test: row numbers, of classes that take part.
        codes: int64, of every row of the collection its class, -1 where it has none that takes part.
        looks: ``(V, P, D)`` of the pool's rows, in the first role.
        vectors: by picture role ``(N, D)`` of every row of the collection, NaN where it has none.
        texts: ``(C, D)`` of the class names; None for raw features.
    """

    pool: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    codes: np.ndarray
    looks: np.ndarray
    vectors: Mapping[str, np.ndarray]
    texts: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """An adapter at one seed, as metrics see it.

    Args:
        arm: its name.
        seed: of the frozen model and of the draws.
        build: makes a fresh adapter.
        frozen: what it learns from and is scored on.
        settings: the system's resolved settings.
        draws: over how many draws accuracies are means.
        scratch: accuracies that were measured.
    """

    arm: str
    seed: int
    build: Callable[[], adapting.Adapter]
    frozen: Frozen
    settings: Any = None
    draws: int = DRAWS
    scratch: dict[Any, dict[str, float]] = field(default_factory=dict)

    def accuracy(self, shots: int, role: str | None = None, *, names: bool = True) -> float:
        """Balanced accuracy on the test rows of an adapter that learnt from a few rows of each class.

        Args:
            shots: labelled rows of each class, in the first picture role.
            role: in which pictures are tested; the first unless given.
            names: whether the class names' vectors count.
        """
        if (shots, names) not in self.scratch:
            self.scratch[shots, names] = self._measure(shots, names)
        return self.scratch[shots, names][role or next(iter(self.frozen.vectors))]

    def sample(self, count: int) -> dict[str, np.ndarray]:
        """By role the frozen vectors of the first test rows; zeros where a row has none."""
        return {role: np.nan_to_num(each[self.frozen.test[:count]]) for role, each in self.frozen.vectors.items()}

    def _measure(self, shots: int, names: bool) -> dict[str, float]:
        frozen = self.frozen
        first = next(iter(frozen.vectors))
        validation = frozen.validation[present(frozen.vectors[first])[frozen.validation]]
        reached: dict[str, list[float]] = {role: [] for role in frozen.vectors}
        for draw in range(self.draws):
            rng = np.random.default_rng([self.seed, shots, draw])
            places = adapting.draw_shots(frozen.codes[frozen.pool], shots, rng)
            adapter = self.build().fit(
                frozen.looks[:, places],
                frozen.codes[frozen.pool[places]],
                texts=frozen.texts if names else None,
                validation=(frozen.vectors[first][validation], frozen.codes[validation]),
            )
            for role, vectors in frozen.vectors.items():
                rows = frozen.test[present(vectors)[frozen.test]]
                reached[role].append(adapting.balanced_accuracy(adapter.predict(vectors[rows]), frozen.codes[rows]))
        return {role: float(np.mean(each)) for role, each in reached.items()}

    def shuffled(self) -> Adaptation:
        """The control: the classes of the rows that are learnt from permuted among them."""
        codes, rng = self.frozen.codes.copy(), np.random.default_rng(self.seed)
        for part in (self.frozen.pool, self.frozen.validation):
            codes[part] = rng.permutation(codes[part])
        return replace(self, frozen=replace(self.frozen, codes=codes, texts=None), draws=5, scratch={})


def present(vectors: np.ndarray) -> np.ndarray:
    """Which rows have a vector."""
    return np.isfinite(vectors[:, 0])


def divided(ground: Ground) -> tuple[Ground, np.ndarray]:
    """The ground with the rows that the frozen model learns from, and the rows that are left for adapters."""
    rows, groups = ground.train, ground.collection.groups
    parts = make_splits(
        len(rows),
        fractions={"start": 1 - SHARE, "pool": SHARE},
        groups=None if groups is None else groups[rows],
        labels=ground.labels.codes[rows],
        seed=0,
    )
    return replace(ground, train=rows[parts["start"]]), rows[parts["pool"]]


def picture_roles(ground: Ground) -> list[str]:
    """The picture roles: those that are learned from, the first of which has the labelled rows, then others."""
    learned = ground.roles(["image"])["image"]
    return [*learned, *(role for role in ground.collection.roles("image") if role not in learned)]


def chosen_classes(ground: Ground, pool: np.ndarray) -> list[str]:
    """Names of the classes that take part."""
    column = ground.labels
    counts = np.bincount(column.codes[pool][column.codes[pool] >= 0], minlength=len(column.names))
    return [name for name, count in zip(column.names, counts, strict=True) if count >= MOST]


def freeze(
    ground: Ground, found: Any, *, settings: Mapping[str, Any], options: Mapping[str, Any], seed: int, look: str
) -> dict[str, torch.Tensor]:
    """Train a picture-text model on part of the training rows, and keep the vectors of all rows and class names.

    Args:
        ground: the data; its ``prompts`` make, of the collection and a class, the texts that name it.
        found: the system that is trained.
        settings, options, look: as for `run_trial`.
        seed: of the training, and of the random looks.
    """
    start, pool = divided(ground)
    trial = run_trial(start, found, settings=settings, options=options, seed=seed, test=None, look=look)
    learner, collection = trial.learner, ground.collection
    assert learner is not None and ground.bed.prompts is not None
    roles = picture_roles(ground)
    tensors = {}
    for role in roles:
        column = collection[role]
        prepared = learner.encoders["image"].prepare(column)
        vectors = training.embed(learner, "image", prepared, np.arange(len(column)))
        vectors[~column.present] = np.nan
        tensors[f"vectors/{role}"] = torch.from_numpy(vectors)
    prepared = learner.encoders["image"].prepare(collection[roles[0]].select(pool))
    tensors["looks"] = torch.from_numpy(adapting.look_vectors(learner, prepared, looks=LOOKS, seed=seed))
    named = [ground.bed.prompts(collection, name) for name in chosen_classes(ground, pool)]
    texts = [text for each in named for text in each]
    words = training.embed(learner, "text", learner.encoders["text"].prepare(TextColumn(texts)), np.arange(len(texts)))
    codes = np.repeat(np.arange(len(named)), [len(each) for each in named])
    tensors["texts"] = torch.from_numpy(evaluation.class_vectors(words, codes))
    return tensors


def thaw(ground: Ground, tensors: Mapping[str, torch.Tensor], test: Sealed) -> Frozen:
    """What `freeze` kept, with the rows that adapters learn from and are scored on."""
    _, pool = divided(ground)
    column, names = ground.labels, chosen_classes(ground, pool)
    place = np.array([names.index(name) if name in names else -1 for name in column.names] + [-1])
    codes = place[column.codes]
    inside = codes[pool] >= 0
    return Frozen(
        pool=pool[inside],
        validation=ground.validation[codes[ground.validation] >= 0],
        test=(rows := test.open())[codes[rows] >= 0],
        codes=codes,
        looks=tensors["looks"].numpy()[:, inside],
        vectors={role: tensors[f"vectors/{role}"].numpy() for role in picture_roles(ground)},
        texts=tensors["texts"].numpy(),
    )


def on_pixels(ground: Ground, trial: Adaptation) -> Adaptation:
    """The floor: the same adapter on raw pixels, which no class name is like."""
    frozen, vectors = trial.frozen, {}
    for role in frozen.vectors:
        column = ground.collection[role]
        pictures: Sequence[Any] = [column[row] for row in range(len(column))]
        vectors[role] = evaluation.pixel_vectors(pictures, size=12)
        vectors[role][~column.present] = np.nan
    looks = vectors[next(iter(vectors))][frozen.pool][None]
    return replace(trial, frozen=replace(frozen, looks=looks, vectors=vectors, texts=None), draws=5, scratch={})
