"""What a system of the kind "audit" is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unalike.audit.poison import Attack, Poisoned, poison
from unalike.data import Collection
from unalike.errors import SettingsError
from unalike.records import Recipe
from unalike.training import Learner, Task


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Attacks, a detector, a repair, or several of them.

    Args:
        attacks: what is slipped into data, each on rows of its own.
        detect: from the picture vectors ``(N, D)`` of training rows, and those of their captions or None, how strange
            each row is ``(N,)``.
        repair: around a trained learner's own modules a learner that goes on training on clean rows; the task says what
            these have.
        recipe: how the repair is trained.

    Raises:
        SettingsError: it has none of the three, or a repair without a recipe.
    """

    attacks: Sequence[Attack] = ()
    detect: Callable[[np.ndarray, np.ndarray | None], np.ndarray] | None = None
    repair: Callable[[Learner, Task], Learner] | None = None
    recipe: Recipe | None = None

    def __post_init__(self) -> None:
        if not self.attacks and self.detect is None and self.repair is None:
            raise SettingsError("an audit attacks, detects or repairs; got none of the three")
        if (self.repair is None) != (self.recipe is None):
            raise SettingsError("an audit with a repair says how it is trained (recipe), and one without does not")

    def attack(
        self, collection: Collection, *, among: np.ndarray, seed: int = 0, **options: Any
    ) -> tuple[Collection, list[Poisoned]]:
        """Carry every attack out, each on rows that no other has poisoned; options are those of `unalike.audit.poison`.

        Returns:
            The poisoned collection, and for each attack what it did.
        """
        done: list[Poisoned] = []
        for number, each in enumerate(self.attacks):
            left = np.setdiff1d(among, np.concatenate([[-1], *(one.rows for one in done)]))
            # The rate is a share of all rows, however many were poisoned before.
            rate = each.rate * len(among) / len(left)
            found = poison(
                collection,
                each.trigger,
                each.target,
                rate=rate,
                among=left,
                seed=seed + number,
                captions=each.captions,
                **options,
            )
            collection = found.collection
            done.append(found)
        return collection, done
