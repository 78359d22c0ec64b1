"""Trials of decoders."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np

from unalike import claims, decoding, systems
from unalike.checks.grounds import read_once
from unalike.checks.works.base import Work, resolved, valued
from unalike.claims import Job, Outcome
from unalike.errors import SettingsError
from unalike.records import Claim
from unalike.settings import read_dataclass


@dataclass(frozen=True)
class DecoderWork(Work):
    """Carries the jobs of a decoder's claim out: prompts of the bed, the same for every arm of a seed.

    Nothing is learned or chosen, so that every row of the bed may be asked about.
    """

    kind = "decoder"

    def carried_out(self, job: Job, own: systems.System, claim: Claim) -> Outcome:
        if job.stage != "score" or claim.bed is None or claim.bed.prompts is None:
            raise SettingsError(f"the claim of {self.slug} must name a bed with prompts, and tunes nothing")
        arm = claim.all_arms[job.arm]
        found = own if arm.system is None else systems.find(arm.system, kind="decoder")
        drawn = {"seed": job.seed} if "seed" in {each.name for each in fields(found.settings)} else {}
        settings = read_dataclass(found.settings, drawn | dict(arm.settings), f"settings of {found.slug}")
        model, tokenizer = language_model(claim.encoder["text"]["name"])
        collection = read_once(claim.bed)
        trial = claims.run_generation(
            model,
            tokenizer,
            claim.bed.prompts(collection, np.random.default_rng(job.seed)),
            found.build(settings) if arm.build is None else arm.build(settings, None),
            arm=job.arm,
            seed=job.seed,
            count=claim.bed.rows,
            settings=settings,
            **claim.training,
        )
        self.watch(trial)
        return Outcome(
            values=valued(claim, job.metrics, trial),
            reads=1,
            settings=resolved(found, arm, settings, dict(claim.training) | {"model": claim.encoder["text"]["name"]}),
            data=f"{claim.bed.set}:{collection.fingerprint()}",
        )


@cache
def language_model(name: str) -> tuple[Any, Any]:
    """A language model and its tokenizer, loaded once a worker."""
    return decoding.load_language_model(name)
