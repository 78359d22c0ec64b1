"""What carries the trials of a claim out, in a worker process."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from unalike import systems
from unalike.checks.starts import base_folder, with_encoder
from unalike.claims import Job, Outcome, Scale
from unalike.errors import SettingsError
from unalike.records import Arm, Claim, Kind, SharedStart
from unalike.training.settings import Training


def unwatched(trial: Any) -> None:
    """Nobody looks."""


@dataclass(frozen=True)
class Work(ABC):
    """Carries the jobs of one claim out, in a worker process; each kind of claim says how.

    Args:
        slug: the system whose claim it is; its record is read again there.
        claim: in place of the system's own.
        scale: of a miniature; None for trials of full size.
        watch: hears of each finished trial before its metrics do.
    """

    slug: str
    claim: Claim | None = None
    scale: Scale | None = None
    watch: Callable[[Any], None] = unwatched
    kind: ClassVar[Kind | None] = None

    def __call__(self, job: Job) -> Outcome:
        began = time.process_time()
        own = systems.find(self.slug, kind=self.kind)
        claim = own.claim if self.claim is None else self.claim
        if isinstance(claim.start, SharedStart):
            claim = with_encoder(claim, f"run:{base_folder(claim.start, self.scale)}")
        found = self.carried_out(job, own, claim)
        return replace(found, seconds=time.process_time() - began, memory=peak_memory())

    @abstractmethod
    def carried_out(self, job: Job, own: systems.System, claim: Claim) -> Outcome:
        """What a job came to, but for its time and memory."""


def valued(claim: Claim, numbers: Sequence[int], trial: Any) -> dict[str, float]:
    """By position the measures of a trial whose metrics are functions; no such trial has metrics by name."""
    values = {}
    for number in numbers:
        metric = claim.measures[number].metric
        if isinstance(metric, str):
            kind = type(trial).__name__
            raise SettingsError(f"there is no metric {metric!r} of such trials; give a function of {kind}")
        values[str(number)] = float(metric(trial))
    return values


def resolved(found: systems.System, arm: Arm, settings: Any, training: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says of an arm: its system or control, the system's settings, and how it was trained."""
    return {
        "system": found.slug if arm.build is None else f"{found.slug}, {arm.build.__name__}",
        "settings": {each.name: getattr(settings, each.name) for each in fields(settings)},
        "training": dict(training),
    }


def peak_memory() -> float:
    """The largest resident size of this process, in MiB; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)


def split(
    found: systems.System, claim: Claim, arm: Arm, chosen: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """An arm's settings of its system, and of the training, with the chosen point of the grid among them."""
    known = {each.name for each in fields(Training)}
    own = {each.name for each in fields(found.settings)}
    stray = set(chosen) - known - own
    if stray:
        raise SettingsError(f"the grid of {found.slug} names {', '.join(sorted(stray))}, which it has no setting for")
    settings = dict(arm.settings) | {name: value for name, value in chosen.items() if name in own}
    options = dict(claim.training) | dict(arm.training) | {n: v for n, v in chosen.items() if n in known}
    return settings, options
