"""Pretrained encoders that the arms of a claim start from, trained when first asked for and kept by their content."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from unalike import claims, encoders, systems, training
from unalike.checks.grounds import ground_of
from unalike.claims import Scale
from unalike.claims.code import PACKAGE, Part, code_hash, part_of
from unalike.claims.ground import SMALL
from unalike.claims.trial import run_trial
from unalike.data.gathering import gather
from unalike.data.roles import kind_of
from unalike.files import cache_folder
from unalike.records import Claim, SharedStart


def pretrained(claim: Claim, seed: int, scale: Scale | None = None) -> dict[str, dict[str, torch.Tensor]] | None:
    """Encoders that every arm of a seed starts from, trained when first asked for."""
    start = claim.start
    if start is None or isinstance(start, SharedStart):
        return None
    assert claim.bed is not None
    found = systems.find(start.system)
    ground = ground_of(claim.bed, claim, scale)
    path = start_file(claim, seed, "trial.py", scale=scale)
    if not path.exists():
        trial = run_trial(
            ground,
            found,
            settings=start.settings,
            options=dict(start.training),
            seed=seed,
            test=None,
            look=claim.views,
        )
        assert trial.learner is not None
        tensors = {
            f"{kind}/{name}": value
            for kind, encoder in trial.learner.encoders.items()
            for name, value in encoder.state_dict().items()
        }
        training.save_tensors(path, tensors)
    loaded: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in training.load_tensors(path).items():
        kind, _, rest = name.partition("/")
        loaded.setdefault(kind, {})[rest] = value
    return loaded


def frozen_vectors(claim: Claim, seed: int, scale: Scale | None = None) -> dict[str, torch.Tensor]:
    """The vectors on which every adapter of a seed works, made when first asked for."""
    start = claim.start
    assert start is not None and claim.bed is not None
    found, ground = systems.find(start.system), ground_of(claim.bed, claim, scale)
    path = start_file(claim, seed, "adaptation.py", "trial.py", "ground.py", scale=scale)
    if not path.exists():
        tensors = claims.freeze(
            ground, found, settings=start.settings, options=start.training, seed=seed, look=claim.views
        )
        training.save_tensors(path, tensors)
    return training.load_tensors(path)


def start_file(claim: Claim, seed: int, *parts: str, scale: Scale | None = None) -> Path:
    """Where what is trained once for all arms of a seed is kept; ``parts`` of the room of claims train it."""
    start, bed = claim.start, claim.bed
    assert start is not None and bed is not None
    found = systems.find(start.system)
    files = [Path(found.module.__file__ or ""), *(PACKAGE / "claims" / part for part in parts)]
    code = code_hash(files, encoder_parts(found.paper.roles, claim))
    data = ground_of(bed, claim, scale).collection.fingerprint()[:12]
    name = "-".join(str(part) for part in (start.system, code, data, digest(start, claim), seed))
    folder = cache_folder() / "claims" / "starts" if scale is None else scale.folder
    return folder / f"{name}.safetensors"


def with_encoder(claim: Claim, name: str | None = None) -> Claim:
    """A claim with the encoder of its shared start: of the name that is given, or as it is pretrained."""
    if not isinstance(claim.start, SharedStart):
        return claim
    told = dict(claim.start.encoder) if name is None else {"name": name}
    return replace(claim, encoder={**claim.encoder, claim.start.kind: told})


_BASES: dict[str, Path] = {}


def base_folder(start: SharedStart, scale: Scale | None = None) -> Path:
    """Where the encoder of a shared start is kept, for ``run:FOLDER``; trained when first asked for."""
    # Its name follows from its data, which take long to read.
    key = repr((start, scale))
    if key not in _BASES:
        _BASES[key] = _base_folder(start, scale)
    return _BASES[key]


def _base_folder(start: SharedStart, scale: Scale | None) -> Path:
    found = systems.find(start.system)
    files = [Path(found.module.__file__ or ""), PACKAGE / "claims" / "bases.py"]
    files += [path for name in start.sets if (path := set_file(name)) is not None]
    code = code_hash(files, [part_of(encoders.encoder_class(start.encoder["name"]))])
    collections = [gather(name) for name in start.sets]
    told = repr(sorted((name, value) for name, value in asdict(start).items() if name != "corpus"))
    told += "".join(collection.fingerprint() for collection in collections)
    name = f"{start.system}-{code}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    folder = (cache_folder() / "claims" / "bases" if scale is None else scale.folder) / name
    if not (folder / "run.json").exists():
        encoders.save_tower(folder, claims.train_base(start, found, start.corpus(*collections)))
    return folder


def digest(start: Any, claim: Claim) -> str:
    assert claim.bed is not None
    # A function is told by its source: how it prints differs from process to process.
    asked = "" if claim.bed.prompts is None else inspect.getsource(claim.bed.prompts)
    bed = replace(claim.bed, prompts=None)
    told = repr((sorted(asdict(start).items(), key=str), bed, claim.encoder, claim.views)) + asked
    return hashlib.sha256(told.encode()).hexdigest()[:12]


BROUGHT = ("run", "hf", "st", "timm")
"""Encoders whose weights someone brings: no claim that leaves its encoder open begins from one."""


def encoder_parts(roles: Sequence[str], claim: Claim) -> list[Part]:
    """The encoders of a claim for some roles; all that there are of a kind where it leaves the choice open."""
    parts = []
    for kind in dict.fromkeys(kind_of(role) for role in roles):
        named = (claim.encoder.get(kind) or SMALL.get(kind, {})).get("name")
        names = [each for each in encoders.encoder_names(kind) if each not in BROUGHT] if named is None else [named]
        known = encoders.encoder_names(kind)
        parts += [part_of(encoders.encoder_class(name)) for name in names if name.partition(":")[0] in known]
    return parts


def set_file(name: str) -> Path | None:
    """The file that makes a set of the catalogue."""
    from unalike.data.catalogue import CATALOGUE

    module = next((each.module for each in CATALOGUE if each.name == name.partition(":")[0]), None)
    path = PACKAGE / "data" / "sets" / f"{module}.py"
    return path if module is not None and path.exists() else None
