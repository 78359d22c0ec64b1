"""The code that a result reaches: the cheap filter that says which probes must run again."""

from __future__ import annotations

from pathlib import Path

from unalike import encoders, systems
from unalike.checks.starts import encoder_parts, set_file, with_encoder
from unalike.claims.code import PACKAGE, Part, code_hash, part_of
from unalike.claims.metrics import found_again, functions_of, measured
from unalike.data.roles import kind_of
from unalike.records import SearchBed, SharedStart


def claim_code(found: systems.System) -> str:
    """Hash of the code that a system's result depends on: its own, its baselines', its data's and the trial's."""
    files = {Path(found.module.__file__ or "")}
    for arm in found.claim.all_arms.values():
        if arm.system is not None:
            files.add(Path(systems.find(arm.system).module.__file__ or ""))
    if found.claim.start is not None:
        files.add(Path(systems.find(found.claim.start.system).module.__file__ or ""))
    beds = [found.claim.bed, *(arm.bed for arm in found.claim.all_arms.values())]
    sets = [bed.set for bed in beds if bed is not None]
    if isinstance(found.claim.start, SharedStart):
        sets += found.claim.start.sets
        files.add(PACKAGE / "claims" / "bases.py")
    files |= {path for name in sets if (path := set_file(name)) is not None}
    parts = PARTS["search"] if isinstance(found.claim.bed, SearchBed) else PARTS.get(found.paper.kind, PARTS["learner"])
    files |= {PACKAGE / "claims" / name for name in parts}
    return code_hash(files, chosen_parts(found))


def chosen_parts(found: systems.System) -> list[Part]:
    """What a claim chose by name: metrics, the gentle views that one of them asks with, and encoders."""
    claim = found.claim
    metrics = [
        each for each in (claim.choose, *(measure.metric for measure in claim.measures)) if isinstance(each, str)
    ]
    if found.paper.kind == "study":  # they are names of numbers in its own table
        metrics = []
    parts = [part_of(measured)] if metrics else []
    functions = [function for metric in metrics for function in functions_of(metric)]
    parts += [part_of(function) for function in functions]
    began = () if claim.start is None else systems.find(claim.start.system).paper.roles
    roles = found.paper.roles or tuple(claim.encoder)  # of whichever modalities there are, those of the claim
    if found_again in functions:
        parts += [part_of(encoders.use_of_kind(kind_of(role)).gentle) for role in roles]
    return parts + encoder_parts((*roles, *began), with_encoder(claim))


PARTS = {
    "learner": ("trial.py", "ground.py"),
    "adapter": ("adaptation.py", "trial.py", "ground.py"),
    "decoder": ("generation.py",),
    "search": ("searches.py", "ground.py"),
    "audit": ("auditing.py", "trial.py", "ground.py"),
    "study": ("studies.py", "trial.py", "ground.py"),
}
"""By kind of system, what of this room a result depends on."""
