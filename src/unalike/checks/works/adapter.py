"""Trials of adapters."""

from __future__ import annotations

from dataclasses import dataclass

from unalike import claims, systems
from unalike.checks.grounds import ground_of
from unalike.checks.starts import frozen_vectors
from unalike.checks.works.base import Work, resolved, valued
from unalike.claims import Job, Outcome, Sealed
from unalike.errors import SettingsError
from unalike.records import Claim
from unalike.settings import read_dataclass


@dataclass(frozen=True)
class AdapterWork(Work):
    """Carries the jobs of an adapter's claim out: the same frozen vectors and labelled rows for every arm of a seed.

    What adapters choose they choose for each draw on the validation rows, so that there is no grid of the claim.
    """

    kind = "adapter"

    def carried_out(self, job: Job, own: systems.System, claim: Claim) -> Outcome:
        if job.stage == "tune" or claim.bed is None or claim.bed.prompts is None or claim.start is None:
            raise SettingsError(f"the claim of {self.slug} must name a bed with prompts and a start, and tunes nothing")
        tensors = frozen_vectors(claim, job.seed, self.scale)
        if job.stage == "start":
            return Outcome()
        arm, ground = claim.all_arms[job.arm], ground_of(claim.bed, claim, self.scale)
        sealed = Sealed(ground.test)
        found = own if arm.system is None else systems.find(arm.system, kind="adapter")
        settings = read_dataclass(found.settings, dict(arm.settings), f"settings of {found.slug}")
        trial = claims.Adaptation(
            arm=job.arm,
            seed=job.seed,
            build=lambda: found.build(settings) if arm.build is None else arm.build(settings, None),
            frozen=claims.thaw(ground, tensors, sealed),
            settings=settings,
        )
        self.watch(trial)
        below: dict[str, dict[str, float]] = {}
        if job.floors and job.arm == "system":
            beside_it = {"raw pixels": claims.on_pixels(ground, trial), "shuffled": trial.shuffled()}
            by_name = {name: valued(claim, job.metrics, other) for name, other in beside_it.items()}
            chance = 1 / (int(trial.frozen.codes.max()) + 1)
            below = {
                str(number): {name: values[str(number)] for name, values in by_name.items()} | {"chance": chance}
                for number in job.metrics
            }
        return Outcome(
            values=valued(claim, job.metrics, trial),
            floors=below,
            reads=sealed.reads,
            settings=resolved(found, arm, settings, dict(claim.start.training) | {"start": claim.start.system}),
            data=f"{claim.bed.set}:{ground.collection.fingerprint()}",
        )
