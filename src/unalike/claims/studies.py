"""Studies: what is asked is no system against another but a question about methods, and a table answers it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from unalike.claims.ground import Ground, Sealed
from unalike.claims.trial import Trial, run_trial
from unalike.errors import SettingsError

if TYPE_CHECKING:
    import torch

    from unalike.claims.miniature import Scale
    from unalike.training import Learner

Table = Mapping[str, float]
"""Numbers by name, such as ``{"encoder": 0.93, "projector": 0.71}``."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A system of the kind "study": what its file's ``build`` gives for its settings.

    Args:
        run: one experiment, of which the seed, the data and the length of training are given, to its table. A study
            is probed on fewer rows and for a few steps: what it trains it trains through the experiment.
        floors: by name of a number in the table what is reached without learning, by name of the floor; none unless
            given.

    Example:
        >>> from unalike.claims import Study
        >>> Study(run=lambda experiment: {"seed": float(experiment.seed)}).floors is None
        True
    """

    run: Callable[[Experiment], Table]
    floors: Callable[[Experiment], Mapping[str, Table]] | None = None


@dataclass
class Experiment:
    """One arm of a study at one seed: its data, and how long it trains.

    Args:
        arm: its name.
        seed: of weights, order, views, and of whatever a study draws itself.
        ground: the data. ``train`` is to learn from and ``validation`` to choose on; what is scored is `scored`.
        find: the system of a slug.
        options: training settings: those of the claim, of the arm, and the point of the grid.
        test: the sealed test rows; None while settings are chosen.
        start: by kind the weights of pretrained encoders.
        views: name of the image views that replace the systems' own.
        scale: of a miniature; None at full size.
    """

    arm: str
    seed: int
    ground: Ground
    find: Callable[[str], Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    test: Sealed | None = None
    start: Mapping[str, Mapping[str, torch.Tensor]] | None = None
    views: str = "paper"
    scale: Scale | None = None
    vectors: dict[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def scored(self) -> np.ndarray:
        """Numbers of the rows that are scored: of validation while settings are chosen, of test otherwise."""
        return self.ground.validation if self.test is None else self.test.open()

    def trained(
        self,
        system: str,
        *,
        settings: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        build: Callable[[Any, Any], Learner] | None = None,
        ground: Ground | None = None,
        after: bool = False,
    ) -> Trial:
        """A system, trained on the claim's data at the experiment's seed.

        Args:
            system: its slug.
            settings: of the system.
            options: training settings, where they are not the experiment's; a learning rate of zero gives the system
                untrained.
            build: makes the learner in place of the system's own.
            ground: other data; the rows that are scored are the experiment's all the same.
            after: whether the vectors at the end of each stage are kept.

        Returns:
            The trained learner with vectors of the training rows (``reference``) and of the scored ones.
        """
        trial = run_trial(
            ground or self.ground,
            self.find(system),
            arm=self.arm,
            build=build,
            settings=settings or {},
            options={**self.options, **self.smaller(options or {})},
            seed=self.seed,
            test=Sealed(self.scored),
            start=self.start,
            look=self.views,
            after=after,
        )
        for role, vectors in trial.sample(PROBED).items():
            self.vectors[f"{len(self.vectors)} {system} {role}"] = vectors
        return trial

    def smaller(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Training settings as they are; in a miniature with fewer steps and smaller batches."""
        return dict(options) if self.scale is None else self.scale.options(options, whole=False)

    def sample(self, count: int) -> dict[str, np.ndarray]:
        """Vectors of the first scored rows, by training and role."""
        return {name: vectors[:count] for name, vectors in self.vectors.items()}


PROBED = 8
"""Rows of each training whose vectors are kept for a probe."""


def table_of(found: Table, what: str) -> dict[str, float]:
    """A study's table, after a check.

    Raises:
        SettingsError: it is empty, or an entry is no finite number.
    """
    wrong = [name for name, value in found.items() if not math.isfinite(float(value))]
    if wrong or not found:
        told = f"{', '.join(wrong)} is not finite" if wrong else "it is empty"
        raise SettingsError(f"{what}: the run of a study gives a table of finite numbers by name; {told}")
    return {str(name): float(value) for name, value in found.items()}


def number_of(table: Table, metric: str | Callable[[Any], float]) -> float:
    """What a measure takes from a table: the number of a name, or what a function makes of the table.

    Raises:
        SettingsError: there is no number of that name.

    Example:
        >>> from unalike.claims.studies import number_of
        >>> table = {"encoder": 0.75, "projector": 0.5}
        >>> number_of(table, "encoder"), number_of(table, lambda table: table["encoder"] - table["projector"])
        (0.75, 0.25)
    """
    if callable(metric):
        return float(metric(table))
    if metric not in table:
        raise SettingsError(f"the table has no {metric!r}; it has: {', '.join(table)}")
    return table[metric]
