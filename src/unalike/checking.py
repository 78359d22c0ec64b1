"""Does a claim hold here? Finds the systems that a claim compares, opens its data, and has the trials run."""

from __future__ import annotations

import resource
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from unalike import claims, decoding, encoders, systems, training
from unalike.claims import Ground, Job, Outcome, Row, Sealed, Trial
from unalike.claims.code import PACKAGE, Part, code_hash, part_of
from unalike.claims.floors import floor_of, floors_of
from unalike.claims.ground import SMALL
from unalike.claims.harness import measured_arms
from unalike.claims.metrics import functions_of, measured, named
from unalike.claims.searches import FOUND as SEARCH_MEASURES
from unalike.claims.trial import floors, run_trial
from unalike.data import Collection, separated
from unalike.errors import SettingsError
from unalike.files import cache_folder
from unalike.fitting import gather, versions
from unalike.preparing import chosen_encoder, kinds_of, rows_for, suggested_size, with_splits
from unalike.records import Arm, Bed, Claim, Kind, Measure, SearchBed, SharedStart
from unalike.settings import read_dataclass
from unalike.training.settings import Training

RESULTS = Path("results")


def check(
    slug: str,
    *,
    seeds: int | None = None,
    jobs: int = 2,
    results: Path | None = None,
    again: bool = False,
    tell: Callable[[int, int, Job, Outcome], None] = lambda done, total, job, outcome: None,
) -> Row:
    """Measure the claim of a system's paper and keep the row.

    A check that was stopped goes on where it was; one whose code has not changed is not repeated unless asked.

    Args:
        slug: the system.
        seeds: how many; the claim's own unless given.
        jobs: worker processes.
        results: folder of the rows; None keeps nothing.
        again: forget the finished trials of an earlier check.
        tell: hears of each finished trial.

    Raises:
        SettingsError: there is no such system, or its claim has not been put to the test here.
        DataError: its data have not been fetched.

    Example:
        >>> from unalike.checking import check
        >>> check("simclr")
        Traceback (most recent call last):
            ...
        unalike.errors.SettingsError: the claim of simclr cannot be measured:
          - it names no bed and no measures: it has not been put to the test here
    """
    found = systems.find(slug)
    code = claim_code(found)
    store = cache_folder() / "claims" / f"{slug}-{code}.jsonl"
    if again:
        store.unlink(missing_ok=True)
    row = claims.check(
        found.paper,
        found.claim,
        work_of(found)(slug),
        code=code,
        versions=versions(),
        seeds=seeds,
        jobs=jobs,
        store=store,
        tell=tell,
    )
    if results is not None:
        row.save(results)
    return row


def confirm(
    slug: str,
    *,
    jobs: int = 2,
    results: Path,
    tell: Callable[[int, int, Job, Outcome], None] = lambda done, total, job, outcome: None,
) -> Row:
    """Take the stored row of a system over to code that has changed without changing what it computes.

    One seed of every arm is repeated; where each value has the same bits as before, the row is kept as measured on
    the code that is here, and says so (``confirmed``). Measures without floors get those that there are.

    Raises:
        RunError: there is no row.
        SettingsError: the claim is another than the one that was measured, or a value differs.
    """
    found = systems.find(slug)
    row = claims.read_row(results / f"{slug}.json")
    code = claim_code(found)
    if row.code == code and all(each.floors for each in row.results):
        return row
    row = claims.confirm(row, found.claim, work_of(found)(slug), code=code, jobs=jobs, tell=tell)
    row.save(results)
    return row


def compare(
    first: str,
    second: str,
    data: str,
    *,
    roles: Mapping[str, str] | None = None,
    label: str | None = None,
    size: int | None = None,
    seeds: int = 5,
    jobs: int = 2,
    tune: bool = True,
    options: Mapping[str, Any] | None = None,
    tell: Callable[[int, int, Job, Outcome], None] = lambda done, total, job, outcome: None,
) -> Row:
    """Compare two systems on one's own data: same encoder, same budget, paired seeds, intervals.

    Where the data have labels, by kNN and a linear probe; and by how often a changed look finds the row that it was
    made from, of pictures with texts by how often they find each other, of clicks by how often the next item is found,
    or of sets of labels by how often those are. Nodes of a graph are compared by their clusters where they have
    classes, by their edges where not. Both choose their learning rate on held-out rows of the training split unless
    ``tune`` is false.

    Args:
        first, second: slugs; differences are first minus second.
        data: what ``unalike fit`` takes.
        roles, label: as for ``unalike fit``.
        size: side of the pictures; as ``unalike fit`` would choose unless given.
        seeds: how many pairs.
        jobs: worker processes.
        tune: whether learning rates are chosen.
        options: training settings of both, such as ``{"steps": 200}``.
        tell: hears of each finished trial.

    Raises:
        SettingsError: there is no such system, or the two learn from different things.
        DataError: the data cannot be used.
    """
    one, other = systems.find(first), systems.find(second)
    if {role.split(":")[0] for role in one.paper.roles} != {role.split(":")[0] for role in other.paper.roles}:
        raise SettingsError(
            f"{first} learns from {', '.join(one.paper.roles)} and {second} from {', '.join(other.paper.roles)}: "
            "they cannot be compared on the same data"
        )
    bed = OwnBed(
        set=data,
        columns=dict(roles or {}),
        label_column=label,
        systems=(first, second),
    )
    collection = opened(bed)
    kinds = kinds_of(one.paper, collection)
    side = size or suggested_size(collection, collection.roles("image"))
    encoder = {
        kind: {"name": chosen_encoder(collection, collection.roles(kind), side)}
        for kind in kinds
        if collection.roles(kind)
    }
    ranked: Mapping[str, Any] = {}
    if "graph" in kinds:
        ranked = claims.NODE_EDGES if collection.label is None else claims.NODE_GROUPS
    elif "clicks" in kinds:
        ranked = claims.NEXT_ITEM
    elif "labels" in kinds:
        ranked = claims.FIRST_LABELS
    elif {"image", "text"} <= {role.split(":")[0] for role in one.paper.roles}:
        ranked = {"pictures and texts find each other, R@1": claims.recall_both_ways}
    bed = replace(bed, size=side)
    usual: dict[str, Any] = {"epochs": 20}
    if "graph" in kinds:
        # The whole graph, or a large part of it, is one batch.
        usual = {"steps": 400, "batch_size": min(4096, len(Ground.of(bed, collection, encoder).train))}
    given = dict(options or {})
    if {"steps", "epochs"} & set(given):
        usual = {name: value for name, value in usual.items() if name not in ("steps", "epochs")}
    classes = [
        Measure(name=name, metric=metric)
        for name, metric in (("kNN accuracy", "knn"), ("linear probe", "linear_probe"))
    ]
    claim = Claim(
        sentence=f"{first} against {second} on {data}",
        baseline=second,
        bed=bed,
        encoder=encoder,
        training=usual | given,
        tune={"learning_rate": (3e-4, 1e-3, 3e-3)} if tune else {},
        measures=(
            *(Measure(name=name, metric=metric) for name, metric in ranked.items()),
            *(classes if collection.label is not None else []),
            *([Measure(name="a changed look finds its original, R@1", metric=claims.found_again)] * (not ranked)),
        ),
        seeds=seeds,
    )
    return claims.check(
        one.paper, claim, LearnerWork(first, claim), code=claim_code(one), versions=versions(), jobs=jobs, tell=tell
    )


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
    """What a claim chose by name: metrics and encoders."""
    claim = found.claim
    metrics = [
        each for each in (claim.choose, *(measure.metric for measure in claim.measures)) if isinstance(each, str)
    ]
    parts = [part_of(measured)] if metrics else []
    parts += [part_of(function) for metric in metrics for function in functions_of(metric)]
    began = () if claim.start is None else systems.find(claim.start.system).paper.roles
    roles = found.paper.roles or tuple(claim.encoder)  # of whichever modalities there are, those of the claim
    return parts + encoder_parts((*roles, *began), with_encoder(claim))


def encoder_parts(roles: Sequence[str], claim: Claim) -> list[Part]:
    """The encoders of a claim for some roles; all that there are of a kind where it leaves the choice open."""
    parts = []
    for kind in dict.fromkeys(role.split(":")[0] for role in roles):
        named = (claim.encoder.get(kind) or SMALL.get(kind, {})).get("name")
        # No claim leaves it open to start from a run.
        names = [each for each in encoders.encoder_names(kind) if each != "run"] if named is None else [named]
        known = encoders.encoder_names(kind)
        parts += [part_of(encoders.encoder_class(name)) for name in names if name.partition(":")[0] in known]
    return parts


PARTS = {
    "learner": ("trial.py", "ground.py"),
    "adapter": ("adaptation.py", "trial.py", "ground.py"),
    "decoder": ("generation.py",),
    "search": ("searches.py", "ground.py"),
    "audit": ("auditing.py", "trial.py", "ground.py"),
}
"""By kind of system, what of this room a result depends on."""


def set_file(name: str) -> Path | None:
    """The file that makes a set of the catalogue."""
    from unalike.data.catalogue import CATALOGUE

    module = next((each.module for each in CATALOGUE if each.name == name.partition(":")[0]), None)
    path = PACKAGE / "data" / "sets" / f"{module}.py"
    return path if module is not None and path.exists() else None


def stale(row: Row) -> bool:
    """Whether the code that a row was measured on is no longer the code that is here."""
    known = {system.slug for system in systems.all_systems()}
    return row.slug not in known or row.code != claim_code(systems.find(row.slug))


def current(found: systems.System, results: Path) -> bool:
    """Whether a system has a row that was measured on the code that is here."""
    path = results / f"{found.slug}.json"
    return path.exists() and not stale(claims.read_row(path))


@dataclass(frozen=True)
class Work(ABC):
    """Carries the jobs of one claim out, in a worker process; each kind of claim says how.

    Args:
        slug: the system whose claim it is; its record is read again there.
        claim: in place of the system's own.
    """

    slug: str
    claim: Claim | None = None
    kind: ClassVar[Kind | None] = None

    def __call__(self, job: Job) -> Outcome:
        began = time.process_time()
        own = systems.find(self.slug, kind=self.kind)
        claim = own.claim if self.claim is None else self.claim
        if isinstance(claim.start, SharedStart):
            claim = with_encoder(claim, f"run:{base_folder(claim.start)}")
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


@dataclass(frozen=True)
class LearnerWork(Work):
    """Trains each arm and measures its vectors."""

    def carried_out(self, job: Job, own: systems.System, claim: Claim) -> Outcome:
        assert claim.bed is not None
        if job.stage == "start":
            pretrained(claim, job.seed)
            return Outcome()
        arm = claim.all_arms[job.arm]
        ground = ground_of(arm.bed or claim.bed, claim)
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
            start=pretrained(claim, job.seed),
            look=claim.views,
        )
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


def reading(found: systems.System, ground: Ground) -> systems.System:
    """A system that learns from whichever modalities there are, as one that learns from those of a bed."""
    if found.paper.roles or found.paper.kind != "learner":
        return found
    kinds = tuple(ground.bed.roles) or tuple(kinds_of(found.paper, ground.collection))
    return replace(found, paper=replace(found.paper, roles=kinds))


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
        collection, fingerprint = read_once(claim.bed)
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
        return Outcome(
            values=valued(claim, job.metrics, trial),
            reads=1,
            settings=resolved(found, arm, settings, dict(claim.training) | {"model": claim.encoder["text"]["name"]}),
            data=f"{claim.bed.set}:{fingerprint}",
        )


@dataclass(frozen=True)
class AdapterWork(Work):
    """Carries the jobs of an adapter's claim out: the same frozen vectors and labelled rows for every arm of a seed.

    What adapters choose they choose for each draw on the validation rows, so that there is no grid of the claim.
    """

    kind = "adapter"

    def carried_out(self, job: Job, own: systems.System, claim: Claim) -> Outcome:
        if job.stage == "tune" or claim.bed is None or claim.bed.prompts is None or claim.start is None:
            raise SettingsError(f"the claim of {self.slug} must name a bed with prompts and a start, and tunes nothing")
        tensors = frozen_vectors(claim, job.seed)
        if job.stage == "start":
            return Outcome()
        arm, ground = claim.all_arms[job.arm], ground_of(claim.bed, claim)
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


def frozen_vectors(claim: Claim, seed: int) -> dict[str, torch.Tensor]:
    """The vectors on which every adapter of a seed works, made when first asked for."""
    start = claim.start
    assert start is not None and claim.bed is not None
    found, ground = systems.find(start.system), ground_of(claim.bed, claim)
    path = start_file(claim, seed, "adaptation.py", "trial.py", "ground.py")
    if not path.exists():
        tensors = claims.freeze(
            ground, found, settings=start.settings, options=start.training, seed=seed, look=claim.views
        )
        training.save_tensors(path, tensors)
    return training.load_tensors(path)


@dataclass(frozen=True)
class AuditWork(Work):
    """Carries the jobs of an audit's claim out: one poisoned model a seed, which every arm repairs or leaves."""

    kind = "audit"

    def carried_out(self, job: Job, own: systems.System, claim: Claim) -> Outcome:
        start = claim.start
        if claim.bed is None or claim.bed.prompts is None or start is None:
            raise SettingsError(f"the claim of {self.slug} must name a bed with prompts, and a start")
        ground = ground_of(claim.bed, claim)
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
        path = start_file(claim, job.seed, "auditing.py", "trial.py", "ground.py")
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


@dataclass(frozen=True)
class SearchWork(Work):
    """Carries the jobs of a claim about search out: documents are learned from, and then asked for."""

    def carried_out(self, job: Job, own: systems.System, claim: Claim) -> Outcome:
        if job.stage == "start":
            return Outcome()
        assert claim.bed is not None
        arm, ground = claim.all_arms[job.arm], ground_of(claim.bed, claim)
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


def work_of(found: systems.System) -> type[Work]:
    """What carries out the claim of a system."""
    if isinstance(found.claim.bed, SearchBed):
        return SearchWork
    return WORK.get(found.paper.kind, LearnerWork)


WORK: Mapping[str, type[Work]] = {"adapter": AdapterWork, "audit": AuditWork, "decoder": DecoderWork}
"""What carries out the claims of systems that are no learners."""


@cache
def language_model(name: str) -> tuple[Any, Any]:
    """A language model and its tokenizer, loaded once a worker."""
    return decoding.load_language_model(name)


def resolved(found: systems.System, arm: Arm, settings: Any, training: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says of an arm: its system or control, the system's settings, and how it was trained."""
    return {
        "system": found.slug if arm.build is None else f"{found.slug}, {arm.build.__name__}",
        "settings": {each.name: getattr(settings, each.name) for each in fields(settings)},
        "training": dict(training),
    }


def peak_memory() -> float:
    """The largest resident size of this process, in MiB."""
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


_GROUNDS: dict[str, Ground] = {}


def ground_of(bed: Bed, claim: Claim) -> Ground:
    """The data of a bed, opened once a worker."""
    key = repr((bed, claim.encoder))
    if key not in _GROUNDS:
        _GROUNDS[key] = Ground.of(bed, opened(bed), claim.encoder)
    return _GROUNDS[key]


_COLLECTIONS: dict[str, tuple[Collection, str]] = {}


def read_once(bed: Bed) -> tuple[Collection, str]:
    """The data of a bed and their fingerprint, read once a worker."""
    key = repr(bed)
    if key not in _COLLECTIONS:
        collection = opened(bed)
        _COLLECTIONS[key] = collection, collection.fingerprint()
    return _COLLECTIONS[key]


@dataclass(frozen=True, kw_only=True)
class OwnBed(Bed):
    """A user's data, of which only the rows are used that `fit` would use.

    Args:
        systems: slugs of those that learn from them.
    """

    systems: tuple[str, ...] = ()


def opened(bed: Bed) -> Collection:
    collection = gather(bed.set, roles=dict(bed.columns) or None, label=bed.label_column)
    if isinstance(bed, OwnBed):
        for slug in bed.systems:
            collection, _ = rows_for(systems.find(slug), collection)
    return separated(collection if "test" in collection.splits else with_splits(collection, 0.3, 0))


def pretrained(claim: Claim, seed: int) -> dict[str, dict[str, torch.Tensor]] | None:
    """Encoders that every arm of a seed starts from, trained when first asked for."""
    start = claim.start
    if start is None or isinstance(start, SharedStart):
        return None
    assert claim.bed is not None
    found = systems.find(start.system)
    ground = ground_of(claim.bed, claim)
    path = start_file(claim, seed, "trial.py")
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


def start_file(claim: Claim, seed: int, *parts: str) -> Path:
    """Where what is trained once for all arms of a seed is kept; ``parts`` of the room of claims train it."""
    start, bed = claim.start, claim.bed
    assert start is not None and bed is not None
    found = systems.find(start.system)
    files = [Path(found.module.__file__ or ""), *(PACKAGE / "claims" / part for part in parts)]
    code = code_hash(files, encoder_parts(found.paper.roles, claim))
    data = ground_of(bed, claim).collection.fingerprint()[:12]
    name = "-".join(str(part) for part in (start.system, code, data, digest(start, claim), seed))
    return cache_folder() / "claims" / "starts" / f"{name}.safetensors"


def with_encoder(claim: Claim, name: str | None = None) -> Claim:
    """A claim with the encoder of its shared start: of the name that is given, or as it is pretrained."""
    if not isinstance(claim.start, SharedStart):
        return claim
    told = dict(claim.start.encoder) if name is None else {"name": name}
    return replace(claim, encoder={**claim.encoder, claim.start.kind: told})


def base_folder(start: SharedStart) -> Path:
    """Where the encoder of a shared start is kept, for ``run:FOLDER``; trained when first asked for."""
    import hashlib

    found = systems.find(start.system)
    files = [Path(found.module.__file__ or ""), PACKAGE / "claims" / "bases.py"]
    files += [path for name in start.sets if (path := set_file(name)) is not None]
    code = code_hash(files, [part_of(encoders.encoder_class(start.encoder["name"]))])
    collections = [gather(name) for name in start.sets]
    told = repr(sorted((name, value) for name, value in asdict(start).items() if name != "corpus"))
    told += "".join(collection.fingerprint() for collection in collections)
    name = f"{start.system}-{code}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    folder = cache_folder() / "claims" / "bases" / name
    if not (folder / "run.json").exists():
        encoders.save_tower(folder, claims.train_base(start, found, start.corpus(*collections)))
    return folder


def digest(start: Any, claim: Claim) -> str:
    import hashlib
    import inspect

    assert claim.bed is not None
    # A function is told by its source: how it prints differs from process to process.
    asked = "" if claim.bed.prompts is None else inspect.getsource(claim.bed.prompts)
    bed = replace(claim.bed, prompts=None)
    told = repr((sorted(asdict(start).items(), key=str), bed, claim.encoder, claim.views)) + asked
    return hashlib.sha256(told.encode()).hexdigest()[:12]


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
    return [role.split(":")[0] in ("image", "text", "array", "series", "audio") for role in trial.scored.spaces] == [
        True
    ]


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
