"""Trials of studies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from unalike import systems
from unalike.checks.grounds import ground_of
from unalike.checks.starts import pretrained
from unalike.checks.works.base import Work, resolved, split
from unalike.checks.works.learner import reading
from unalike.claims import Experiment, Ground, Job, Outcome, Sealed
from unalike.claims.studies import number_of, table_of
from unalike.errors import SettingsError
from unalike.records import Claim
from unalike.settings import read_dataclass


@dataclass(frozen=True)
class StudyWork(Work):
    """Carries the jobs of a study's claim out: one run for each arm and seed, whose table the measures read."""

    kind = "study"

    def carried_out(self, job: Job, own: systems.System, claim: Claim) -> Outcome:
        start = pretrained(claim, job.seed, self.scale)
        if job.stage == "start":
            return Outcome()
        arm = claim.all_arms[job.arm]
        bed = arm.bed or claim.bed
        if bed is None:
            raise SettingsError(f"the claim of {self.slug} must name a bed: the data that it is measured on")
        ground = ground_of(bed, claim, self.scale)
        found = own if arm.system is None else systems.find(arm.system, kind="study")
        chosen, options = split(found, claim, arm, job.chosen)
        settings = read_dataclass(found.settings, chosen, f"settings of {found.slug}")
        study = found.build(settings) if arm.build is None else arm.build(settings, None)
        sealed = Sealed(ground.test)
        experiment = Experiment(
            arm=job.arm,
            seed=job.seed,
            ground=ground,
            find=partial(learner_of, ground),
            options=options,
            test=sealed if job.stage == "score" else None,
            start=start,
            views=claim.views,
            scale=self.scale,
        )
        table = table_of(study.run(experiment), f"{found.slug}, {job.arm}")
        self.watch(experiment)
        if job.stage == "tune":
            first = claim.measures[0]
            sign = 1.0 if claim.choose is not None or first.better == "higher" else -1.0
            return Outcome(choice=sign * number_of(table, claim.choose or first.metric), reads=sealed.reads)
        known = study.floors(experiment) if job.floors and study.floors is not None else {}
        metrics = {number: claim.measures[number].metric for number in job.metrics}
        return Outcome(
            values={str(number): number_of(table, metric) for number, metric in metrics.items()},
            floors={str(n): table_of(known[m], m) for n, m in metrics.items() if isinstance(m, str) and m in known},
            reads=sealed.reads,
            settings=resolved(found, arm, settings, options),
            data=f"{ground.bed.set}:{ground.collection.fingerprint()}",
            table=table,
        )


def learner_of(ground: Ground, slug: str) -> systems.System:
    """The learner of a slug, as one that learns from a study's data."""
    return reading(systems.find(slug, kind="learner"), ground)
