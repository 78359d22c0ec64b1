"""Trials of learners."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unalike import systems
from unalike.checks.grounds import ground_of
from unalike.checks.starts import pretrained
from unalike.checks.works.base import Work, resolved, split
from unalike.claims import Ground, Job, Outcome, Sealed, Trial
from unalike.claims.floors import floors_of
from unalike.claims.harness import measured_arms
from unalike.claims.metrics import measured, named
from unalike.claims.trial import floors, run_trial
from unalike.data.roles import kind_of
from unalike.records import Arm, Claim, needs_of
from unalike.runs.plan import kinds_of


@dataclass(frozen=True)
class LearnerWork(Work):
    """Trains each arm and measures its vectors."""

    def carried_out(self, job: Job, own: systems.System, claim: Claim) -> Outcome:
        assert claim.bed is not None
        if job.stage == "start":
            pretrained(claim, job.seed, self.scale)
            return Outcome()
        arm = claim.all_arms[job.arm]
        ground = ground_of(arm.bed or claim.bed, claim, self.scale)
        found = reading(own if arm.system is None else systems.find(arm.system), ground)
        settings, options = split(found, claim, arm, job.chosen)
        sealed = Sealed(ground.test)
        trial = run_trial(
            ground,
            found,
            arm=job.arm,
            build=arm.build,
            settings=settings,
            options=options,
            seed=job.seed,
            test=sealed if job.stage == "score" else None,
            start=pretrained(claim, job.seed, self.scale),
            look=claim.views,
            after=asks_for_stages(claim),
        )
        self.watch(trial)
        if job.stage == "tune":
            metric = claim.measures[0].metric if claim.choose is None else claim.choose
            sign = 1.0 if claim.choose is not None or claim.measures[0].better == "higher" else -1.0
            choice = sign * measured(metric, trial)
            return Outcome(choice=choice, reads=sealed.reads)
        metrics = [claim.measures[number].metric for number in job.metrics]
        values = {str(n): measured(metric, trial) for n, metric in zip(job.metrics, metrics, strict=True)}
        return Outcome(
            values=values,
            floors=beside(ground, claim, arm, found, job, trial) if job.floors else {},
            curves=curves(trial) if job.floors else {},
            reads=sealed.reads,
            settings=resolved(found, arm, trial.settings, options | {"steps": trial.steps}),
            data=f"{ground.bed.set}:{ground.collection.fingerprint()}",
        )


def asks_for_stages(claim: Claim) -> bool:
    """Whether a metric of the claim needs the vectors at the end of each stage."""
    return any("stages" in needs_of(each) for each in (claim.choose, *(measure.metric for measure in claim.measures)))


def reading(found: systems.System, ground: Ground) -> systems.System:
    """A system that learns from whichever modalities there are, as one that learns from those of a bed."""
    if found.paper.roles or found.paper.kind != "learner":
        return found
    kinds = tuple(ground.bed.roles) or tuple(kinds_of(found.paper, ground.collection))
    return replace(found, paper=replace(found.paper, roles=kinds))


def beside(
    ground: Ground, claim: Claim, arm: Arm, found: systems.System, job: Job, trial: Trial
) -> dict[str, dict[str, float]]:
    """What each metric reaches without learning, and those with a name with permuted classes too.

    Of the measures whose first arm this is: a row has the floors of that one.
    """
    first = [n for n in job.metrics if measured_arms(claim, claim.measures[n])[0] == job.arm]
    if not first:
        return {}
    untrained = run_trial(
        ground,
        found,
        build=arm.build,
        settings=arm.settings,
        options=dict(claim.training) | dict(arm.training) | {"learning_rate": 0.0},
        seed=job.seed,
        test=Sealed(ground.test),
        look=claim.views,
        after=asks_for_stages(claim),
    )
    result: dict[str, dict[str, float]] = {}
    others: dict[str, Trial] = {}
    if has_raw_vectors(trial) or any(isinstance(claim.measures[n].metric, str) for n in first):
        others = floors(ground, trial, untrained)
    # Raw features of several roles are no one space: a function may compare them.
    raw = [others["raw features"]] if has_raw_vectors(trial) else []
    for number in first:
        name = claim.measures[number].metric
        if not isinstance(name, str):
            result[str(number)] = floors_of(name, untrained, raw)
            continue
        metric, label = named(name)
        result[str(number)] = {
            floor: measured(name, other)
            for floor, other in others.items()
            if floor != "shuffled" or metric.chance is not None
        }
        if metric.chance is not None:
            result[str(number)]["chance"] = metric.chance(trial, label)
    return result


def has_raw_vectors(trial: Trial) -> bool:
    """Whether rows without a model are vectors of one space."""
    return [kind_of(role) in ("image", "text", "array", "series", "audio") for role in trial.scored.spaces] == [True]


def curves(trial: Trial) -> dict[str, Any]:
    """What the system's page draws: the loss, and the scores of pairs of one class and of two."""
    losses = [row["loss"] for row in trial.log]
    shown = [float(np.mean(part)) for part in np.array_split(losses, min(40, len(losses)))] if losses else []
    found: dict[str, Any] = {"loss": shown, "steps": len(losses)}
    if trial.scored.label in trial.scored.classes and trial.scored.spaces:
        edges = np.linspace(-1, 1, 41)
        for name, scores in zip(("same", "different"), trial.pair_scores, strict=True):
            if len(scores):
                found[name] = (np.histogram(scores, edges)[0] / len(scores)).round(5).tolist()
    return found
