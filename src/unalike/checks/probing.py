"""Makes the probe of a row on the code that is here, and tells from it whether the row is current."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from unalike import systems, training, views
from unalike.checks.depends import claim_code
from unalike.checks.grounds import forget, ground_of
from unalike.checks.works import work_of
from unalike.checks.works.base import Work, split
from unalike.checks.works.learner import LearnerWork, reading
from unalike.checks.works.search import SearchWork
from unalike.claims import Job, Row, Scale, read_row, searches, trial
from unalike.claims.harness import TUNING_SEED, grid, measured_arms, pick, used_arms
from unalike.claims.precise import in_float64
from unalike.claims.probe import (
    ArmProbe,
    Probe,
    Verdict,
    claim_digest,
    compared,
    digest_rows,
    judged,
    machine,
    read_probe,
    rounded,
)
from unalike.claims.workers import begin_worker
from unalike.data.roles import kind_of
from unalike.errors import DataError
from unalike.records import Arm, Claim
from unalike.settings import read_dataclass

SAMPLE = 8
"""Rows whose vectors a probe keeps."""


@dataclass
class Seen:
    """What a probe takes from the trials of one arm."""

    losses: list[float] = field(default_factory=list)
    weights: dict[str, tuple[float, ...]] = field(default_factory=dict)
    vectors: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def watch(self, found: Any) -> None:
        """Look at a finished trial."""
        learner = getattr(found, "learner", None)
        if learner is not None:
            self.weights = {name: sums(module) for name, module in learner.modules.items()}
        for role, rows in found.sample(SAMPLE).items():
            direction = np.random.default_rng(0).standard_normal(rows.shape[1])
            self.vectors[role] = tuple(np.asarray(rows, np.float64) @ direction)


def sums(module: Any) -> tuple[float, ...]:
    """The sum and the sum of squares of all parameters and buffers of a module."""
    tensors = [each.double() for each in module.state_dict().values() if not each.is_complex()]
    return (sum(float(each.sum()) for each in tensors), sum(float(each.square().sum()) for each in tensors))


def make_probe(slug: str, row: Row, arms: Sequence[str] | None = None) -> Probe:
    """The probe of a row on the code that is here, in this process.

    Args:
        slug: the system.
        row: its row.
        arms: of some arms alone.

    Raises:
        SettingsError: the claim cannot be measured any more.
        DataError: its data have not been fetched.
    """
    found = systems.find(slug)
    with tempfile.TemporaryDirectory() as folder:
        made = {name: arm_probe(found, name, row, Path(folder)) for name in arms or used_arms(found.claim)}
    forget()
    return Probe(
        slug=slug,
        code=probed_code(found),
        claim=claim_digest(found.claim),
        judged=rounded(judged(row)),
        where=machine(),
        arms={name: rounded(plain(each)) for name, each in made.items()},
    )


def plain(probe: ArmProbe) -> dict[str, Any]:
    """An arm's probe without what is empty."""
    return {name: value for name, value in vars(probe).items() if value not in ((), {})}


def probed_code(found: systems.System) -> str:
    """What tells cheaply that a probe need not be made again: the code that a claim reaches, the kernels, torch."""
    import hashlib

    from unalike.objectives import native

    sources = sorted(Path(native.__file__).parent.glob("*.[ch]"))
    told = [claim_code(found), *(each.read_text(encoding="utf-8") for each in sources), repr(sorted(machine().items()))]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:16]


def arm_probe(found: systems.System, name: str, row: Row, folder: Path) -> ArmProbe:
    """One arm of a claim in miniature, in float64, and the beginning of it in float32."""
    claim = found.claim
    arm = claim.all_arms[name]
    chosen = row.tuning.get(name, {}).get("chosen", {})
    wanted = tuple(n for n, measure in enumerate(claim.measures) if name in measured_arms(claim, measure))
    probed = tuple(n for n in wanted if not claim.measures[n].timed)
    scale = Scale(folder=folder / "float64", **found.paper.probe)
    small = scale.claim(claim)
    work = work_of(found)
    asked = Job(stage="score", arm=name, seed=row.seeds[0], chosen=scale.point(chosen), metrics=probed, floors=True)
    seen = Seen()
    with in_float64():
        carried = work(found.slug, small, scale, seen.watch)
        if claim.start is not None:
            with training.recording() as recorder:
                carried(Job(stage="start", arm="start", seed=asked.seed))
            seen.losses += recorder.losses
        with training.recording() as recorder:
            outcome = carried(asked)
        seen.losses += recorder.losses
        choice = choices(claim, small, scale, name, work(found.slug, small, scale))
    forget()
    single = replace(scale, folder=folder / "float32")
    carried = work(found.slug, single.claim(claim), single)
    if claim.start is not None:
        carried(Job(stage="start", arm="start", seed=asked.seed))
    with training.recording(most=2) as recorder:
        carried(replace(asked, metrics=(), floors=False))
    named = [each.name for each in claim.measures]
    return ArmProbe(
        loss64=tuple(seen.losses),
        weights64=seen.weights,
        vectors64=seen.vectors,
        metrics64={named[int(number)]: value for number, value in outcome.values.items()},
        floors64={named[int(number)]: dict(value) for number, value in outcome.floors.items()},
        choice64=choice,
        loss32=tuple(recorder.losses),
        plan=plan(found, claim, small, scale, name, arm, chosen, row.seeds[0], work),
    )


def choices(claim: Claim, small: Claim, scale: Scale, name: str, work: Work) -> tuple[float, ...]:
    """The validation scores of the first two points of an arm's grid, and which of them is chosen."""
    arm = claim.all_arms[name]
    points = grid(claim, arm)
    if arm.like is not None or len(points) < 2:
        return ()
    jobs = [Job(stage="tune", arm=name, seed=TUNING_SEED, chosen=scale.point(point)) for point in points[:2]]
    done = {job.key: work(job) for job in jobs}
    chosen = pick(claim, name, claim.all_arms, jobs, done)
    return (*(float(done[job.key].choice or 0.0) for job in jobs), float([job.chosen for job in jobs].index(chosen)))


class Unprepared:
    """Stands for prepared rows where only their number counts."""

    def take(self, rows: Any) -> NoReturn:
        raise NeedsRows


class NeedsRows(Exception):
    """An order of batches asked for the rows themselves."""


def plan(
    found: systems.System,
    claim: Claim,
    small: Claim,
    scale: Scale,
    name: str,
    arm: Arm,
    chosen: Mapping[str, Any],
    seed: int,
    work: type[Work],
) -> dict[str, Any]:
    """What an arm's trial of full size would do (rows, steps, stages, learning rates, order); nothing is trained."""
    bed = arm.bed or claim.bed
    assert bed is not None
    if found.paper.kind == "decoder":
        return {"training": sorted_options(claim.training), "rows": bed.rows or 0}
    ground = ground_of(bed, claim)
    parts = {part: digest_rows(getattr(ground, part)) for part in ("train", "validation", "test")}
    if work not in (LearnerWork, SearchWork):
        return {"rows": parts, "training": sorted_options({**claim.training, **arm.training, **chosen})}
    own = reading(found if arm.system is None else systems.find(arm.system), ground)
    settings, options = split(own, claim, arm, chosen)
    searched = work is SearchWork
    kinds = ["text"] if searched else list(dict.fromkeys(kind_of(role) for role in own.paper.roles))
    roles = ground.roles(kinds)
    tiny = ground_of(bed, small, scale)
    towers = {kind: tiny.build(kind, roles[kind], 0) for kind in kinds}
    packed: Any = {role: Unprepared() for kind in kinds for role in roles[kind]}
    extra = own.paper.extra
    inputs = training.inputs_of(ground.collection, packed, roles, ground.train, label=bed.label, extra=extra)
    recipe = searches.COMMON if searched else trial.COMMON
    resolved = training.Training(**{"device": "cpu", "seed": seed, **options}).resolved(recipe, len(inputs))
    learner = training.assemble(
        partial(arm.build or own.build, read_dataclass(own.settings, settings, f"settings of {own.slug}")),
        towers,
        roles,
        inputs,
        resolved,
        view=None if searched else views.chosen(claim.views, bed.size),
        classes=0 if searched else trial.class_count(ground),
    )
    spans = training.plan(learner, inputs, resolved)
    return {
        "rows": parts,
        "stages": [(span.start, span.stop) for span in spans],
        "learning rates": [rate for span in spans for rate in rates(span, resolved)],
        "order": [digest for span in spans for digest in orders(span)],
    }


def sorted_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(options.items()))


def rates(span: Any, options: training.Training) -> list[float]:
    """The learning rate at nine places of a stage."""
    places = np.linspace(0, span.steps - 1, 9).round().astype(int)
    return [span.rate(span.start + int(place), options) for place in places]


def orders(span: Any) -> list[str]:
    """Digests of the rows of a stage's first and last epoch, as far as they follow from the row numbers alone."""
    length = len(span.order)
    last = span.first_epoch + max(0, -(-span.steps // length) - 1)
    found = []
    for number in dict.fromkeys((span.first_epoch, last)):
        try:
            found.append(digest_rows(np.concatenate(list(span.order.epoch(number)))))
        except NeedsRows:
            found.append("by the rows themselves")
        except DataError:
            # Such as clusters, which only the stages before it make.
            found.append("by what training finds")
    return found


def status(slug: str, results: Path, *, again: bool = False) -> Verdict:
    """Whether the row of a system is current; its probe is made again where the code that it reaches has changed.

    Args:
        slug: the system.
        results: folder of the rows.
        again: make the probe whether the code has changed or not.

    Raises:
        RunError: there is no row.
    """
    known = {system.slug for system in systems.all_systems()}
    row = read_row(results / f"{slug}.json")
    before = read_probe(results, slug)
    if slug not in known:
        return Verdict("stale", (f"there is no system {slug} any more",))
    if before is None:
        return Verdict("stale", ("it has no probe: measured on code that cannot be compared with today's",))
    found = systems.find(slug)
    if not again and before.code == probed_code(found):
        changed = judged_differences(before, row)
        return Verdict("stale", changed) if changed else Verdict("current")
    return compared(before, make_probe(slug, row))


def judged_differences(before: Probe, row: Row) -> tuple[str, ...]:
    return compared(before, replace(before, judged=rounded(judged(row)))).reasons


def statuses(
    slugs: Sequence[str],
    results: Path,
    *,
    again: bool = False,
    jobs: int = 2,
    tell: Callable[[str, Verdict], None] = lambda slug, verdict: None,
) -> dict[str, Verdict]:
    """The status of several rows, each in a worker process of one thread.

    Args:
        slugs, results, again: as for `status`.
        jobs: worker processes.
        tell: hears of each.
    """
    return by_worker(partial(_status, results=results, again=again), slugs, jobs, tell)


def _status(slug: str, results: Path, again: bool) -> Verdict:
    return status(slug, results, again=again)


def keep_probes(
    slugs: Sequence[str], results: Path, *, jobs: int = 2, tell: Callable[[str, Any], None] = lambda slug, path: None
) -> dict[str, Path]:
    """Make probes of rows that have just been measured on the code that is here, and keep them beside the rows."""
    return by_worker(partial(_keep, results=results), slugs, jobs, tell)


def _keep(slug: str, results: Path) -> Path:
    return make_probe(slug, read_row(results / f"{slug}.json")).save(results)


def by_worker(work: Callable[[str], Any], slugs: Sequence[str], jobs: int, tell: Callable[[str, Any], None]) -> Any:
    found: dict[str, Any] = {}
    if jobs < 1 or not slugs:
        for slug in slugs:
            tell(slug, found.setdefault(slug, work(slug)))
        return found
    with workers(jobs) as pool:
        for slug, each in zip(slugs, pool.map(work, slugs), strict=True):
            found[slug] = each
            tell(slug, each)
    return found


@contextlib.contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each that end with this one."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=begin_worker) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
