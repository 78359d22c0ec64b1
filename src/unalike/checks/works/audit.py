"""Trials of audits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from unalike import claims, systems, training
from unalike.checks.grounds import ground_of
from unalike.checks.starts import start_file
from unalike.checks.works.base import Work, resolved, split, valued
from unalike.claims import Job, Outcome, Sealed
from unalike.claims.code import code_hash
from unalike.errors import SettingsError
from unalike.records import Claim
from unalike.settings import read_dataclass


@dataclass(frozen=True)
class AuditWork(Work):
    """Carries the jobs of an audit's claim out: one poisoned model a seed, which every arm repairs or leaves."""

    kind = "audit"

    def carried_out(self, job: Job, own: systems.System, claim: Claim) -> Outcome:
        start = claim.start
        if claim.bed is None or claim.bed.prompts is None or start is None:
            raise SettingsError(f"the claim of {self.slug} must name a bed with prompts, and a start")
        ground = ground_of(claim.bed, claim, self.scale)
        # One attack for all arms: that of the claim's own system.
        scene = claims.poisoned_ground(ground, own.build(own.settings()), job.seed)
        poisoned = partial(
            claims.run_audit,
            scene,
            systems.find(start.system),
            start_settings=start.settings,
            start_options=start.training,
            seed=job.seed,
            look=claim.views,
        )
        path = start_file(claim, job.seed, "auditing.py", "trial.py", "ground.py", scale=self.scale)
        path = path.with_name(f"{path.stem}-{code_hash([Path(own.module.__file__ or '')])}.safetensors")
        if not path.exists():
            untouched = replace(own.build(own.settings()), repair=None, recipe=None, detect=None)
            found = poisoned(untouched, weights=None, options={}, test=None)
            training.save_tensors(path, found.learner.module.state_dict())
        if job.stage == "start":
            return Outcome()
        arm = claim.all_arms[job.arm]
        found_system = own if arm.system is None or arm.build is not None else systems.find(arm.system, kind="audit")
        chosen, options = split(found_system, claim, arm, job.chosen)
        settings = read_dataclass(found_system.settings, chosen, f"settings of {found_system.slug}")
        auditor = found_system.build(settings) if arm.build is None else arm.build(settings, None)
        sealed = Sealed(ground.test)
        trial = poisoned(
            auditor,
            weights=training.load_tensors(path),
            arm=job.arm,
            options=options,
            test=sealed if job.stage == "score" else None,
            settings=settings,
        )
        self.watch(trial)
        if job.stage == "tune":
            assert callable(claim.choose)
            choice = float(claim.choose(trial))
            return Outcome(choice=choice, reads=sealed.reads)
        return Outcome(
            values=valued(claim, job.metrics, trial),
            reads=sealed.reads,
            settings=resolved(found_system, arm, settings, options | {"start": start.system}),
            data=f"{claim.bed.set}:{ground.collection.fingerprint()}",
        )
