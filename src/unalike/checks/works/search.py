"""Trials of search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unalike import claims, systems
from unalike.checks.grounds import ground_of
from unalike.checks.works.base import Work, resolved, split, valued
from unalike.claims import Job, Outcome, Sealed
from unalike.claims.floors import floor_of
from unalike.claims.searches import FOUND as SEARCH_MEASURES
from unalike.records import Claim


@dataclass(frozen=True)
class SearchWork(Work):
    """Carries the jobs of a claim about search out: documents are learned from, and then asked for."""

    def carried_out(self, job: Job, own: systems.System, claim: Claim) -> Outcome:
        if job.stage == "start":
            return Outcome()
        assert claim.bed is not None
        arm, ground = claim.all_arms[job.arm], ground_of(claim.bed, claim, self.scale)
        found = own if arm.system is None else systems.find(arm.system, kind="learner")
        settings, options = split(found, claim, arm, job.chosen)
        sealed = Sealed(ground.test)
        trial = claims.run_search(
            ground,
            found,
            arm=job.arm,
            build=arm.build,
            settings=settings,
            options=options,
            seed=job.seed,
            test=sealed if job.stage == "score" else None,
        )
        self.watch(trial)
        values = valued(claim, job.metrics or (0,), trial)
        below: dict[str, dict[str, float]] = {}
        bare = None
        for number in values if job.floors and job.arm == "system" else ():
            metric = claim.measures[int(number)].metric
            assert callable(metric)
            if metric in SEARCH_MEASURES:
                below[number] = claims.without_learning(trial, SEARCH_MEASURES[metric])
                continue
            bare = bare or claims.run_search(
                ground,
                found,
                arm=job.arm,
                build=arm.build,
                settings=settings,
                options=options | {"learning_rate": 0.0},
                seed=job.seed,
                test=Sealed(ground.test),
            )
            floor = floor_of(metric, bare)
            below[number] = {} if floor is None else {"before training": floor}
        losses = [row["loss"] for row in trial.log]
        shown = [float(np.mean(part)) for part in np.array_split(losses, min(40, len(losses)))] if losses else []
        return Outcome(
            values=values if job.stage == "score" else {},
            choice=None if job.stage == "score" else values["0"],
            floors=below,
            curves={"loss": shown, "steps": len(losses)} if job.floors else {},
            reads=sealed.reads,
            settings=resolved(found, arm, trial.settings, options | {"steps": trial.steps}),
            data=f"{ground.bed.set}:{ground.collection.fingerprint()}",
        )
