"""The harness: equal tuning for all arms, paired seeds, one look at the test split, a verdict for each measure."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from unalike.claims.metrics import metric_name
from unalike.claims.rows import Result, Row
from unalike.claims.workers import Job, Outcome, workers
from unalike.errors import RunError, SettingsError
from unalike.records import Arm, Claim, Measure, Paper, SharedStart

TUNING_SEED = 10_000
"""Settings are chosen at a seed that no result uses."""


def check(
    paper: Paper,
    claim: Claim,
    work: Callable[[Job], Outcome],
    *,
    code: str,
    versions: Mapping[str, str],
    seeds: int | None = None,
    jobs: int = 2,
    store: Path | None = None,
    tell: Callable[[int, int, Job, Outcome], None] = lambda done, total, job, outcome: None,
) -> Row:
    """Measure a claim.

    Every trial runs in a worker process of one thread, so that results do not depend on how many workers there are.

    Args:
        paper: of the system.
        claim: with a bed and measures.
        work: carries a job out in a worker; it can be pickled.
        code: hash of the code that the result depends on.
        versions: of the packages, for the row.
        seeds: how many; the claim's own unless given.
        jobs: workers.
        store: JSON lines of finished jobs; a check that was stopped goes on from there.
        tell: hears of each finished job.

    Raises:
        SettingsError: the claim cannot be measured as it stands; all problems at once.
        RunError: a worker died.
    """
    problems = claim_problems(claim)
    if problems:
        raise SettingsError(
            f"the claim of {paper.slug} cannot be measured:\n" + "\n".join(f"  - {problem}" for problem in problems)
        )
    count = claim.seeds if seeds is None else seeds
    if count < 2:
        raise SettingsError(f"seeds={count}: an interval needs at least 2")
    arms = claim.all_arms
    seen = list(range(count))
    tuning = [
        Job(stage="tune", arm=name, seed=TUNING_SEED, chosen=point)
        for name, arm in arms.items()
        if arm.like is None and name in used_arms(claim)
        for point in grid(claim, arm)
        if len(grid(claim, arm)) > 1
    ]
    learned = [*seen, TUNING_SEED] if tuning else seen
    starts = learned[:1] if isinstance(claim.start, SharedStart) else learned
    first = [Job(stage="start", arm="start", seed=seed) for seed in starts if claim.start is not None]
    total = len(first) + len(tuning) + count * len(used_arms(claim))
    done: dict[str, Outcome] = {}
    began = time.monotonic()

    def told(job: Job, outcome: Outcome) -> None:
        done[job.key] = outcome
        tell(len(done), total, job, outcome)

    with workers(work, jobs, store) as run:
        run(first, told)
        run(tuning, told)
        picked = {name: pick(claim, name, arms, tuning, done) for name in used_arms(claim)}
        scoring = [
            Job(
                stage="score",
                arm=name,
                seed=seed,
                chosen=picked[name],
                metrics=tuple(i for i, measure in enumerate(claim.measures) if name in measured_arms(claim, measure)),
                floors=seed == 0,
            )
            for seed in seen
            for name in used_arms(claim)
        ]
        run(scoring, told)
    peeked = [job for job in (*first, *tuning) if done[job.key].reads]
    if peeked:
        raise RunError(f"{len(peeked)} trials that choose settings opened the test split; this is a defect")
    outcomes = {(job.arm, job.seed): done[job.key] for job in scoring}
    results = [result(claim, number, measure, outcomes, seen) for number, measure in enumerate(claim.measures)]
    return Row(
        slug=paper.slug,
        number=paper.number,
        sentence=claim.sentence,
        baseline=claim.baseline,
        modality=paper.modality,
        measures=tuple(asdict(each) for each in results),
        seeds=tuple(seen),
        arms={name: outcomes[name, 0].settings for name in used_arms(claim)},
        tuning={
            name: {
                "points": [dict(job.chosen) for job in tuning if job.arm == name],
                "scores": [done[job.key].choice for job in tuning if job.arm == name],
                "chosen": dict(picked[name]),
            }
            for name in used_arms(claim)
            if picked[name]
        },
        code=code,
        # A set may be named with the one of its parts that is meant, SET:PART.
        data={outcome.data.rpartition(":")[0]: outcome.data.rpartition(":")[2] for outcome in outcomes.values()},
        reads=tuple(sorted({outcome.reads for outcome in outcomes.values()})),
        seconds={
            "all": round(time.monotonic() - began, 1),
            "work": round(sum(outcome.seconds for outcome in done.values()), 1),
            **{
                name: round(statistics.median(outcomes[name, seed].seconds for seed in seen), 2)
                for name in used_arms(claim)
            },
        },
        memory=round(max(outcome.memory for outcome in done.values()), 0),
        versions=versions,
        pictures={name: outcomes[name, 0].curves for name in used_arms(claim) if outcomes[name, 0].curves},
        tables={
            name: {each: tuple(outcomes[name, seed].table[each] for seed in seen) for each in outcomes[name, 0].table}
            for name in used_arms(claim)
            if outcomes[name, 0].table
        },
    )


def confirm(
    row: Row,
    claim: Claim,
    work: Callable[[Job], Outcome],
    *,
    code: str,
    jobs: int = 2,
    tell: Callable[[int, int, Job, Outcome], None] = lambda done, total, job, outcome: None,
) -> Row:
    """Take a row over to changed code that computes the same: every arm is repeated at the first seed.

    Floors that the row lacks, having been measured before there were any of its metrics, are added: they follow from
    the first seed and the test rows alone. ``confirmed`` lists the measures that got them.

    Args:
        row: what was measured on other code.
        claim, work, code, jobs, tell: as for `check`.

    Raises:
        SettingsError: the claim asks for something else than what was measured, or a repeated value differs in any
            bit; all differences are listed.
    """
    asked = [
        (each.name, metric_name(each.metric), each.arm, each.against, each.better, each.margin, each.mechanism)
        for each in claim.measures
    ]
    told = [
        (each.name, each.metric, each.arm, each.against, each.better, each.margin, each.mechanism)
        for each in row.results
    ]
    problems = [] if asked == told else ["the claim has other measures than the row"]
    names = used_arms(claim)
    if set(names) != set(row.arms):
        problems.append(f"the claim has the arms {', '.join(names)}, the row {', '.join(row.arms)}")
    jobs_of = {}
    for name in names if not problems else []:
        arm = claim.all_arms[name]
        points = grid(claim, claim.all_arms[arm.like] if arm.like is not None else arm)
        chosen = row.tuning.get(name, {}).get("chosen", {})
        tried = row.tuning.get(name, {}).get("points") or points
        if tried != points or chosen not in points:
            problems.append(f"{name}: the row chose {chosen} of {len(tried)} points; the claim's grid is another")
        wanted = tuple(i for i, measure in enumerate(claim.measures) if name in measured_arms(claim, measure))
        jobs_of[name] = Job(
            stage="score", arm=name, seed=row.seeds[0], chosen=chosen, metrics=wanted, floors=row.seeds[0] == 0
        )
    done: dict[str, Outcome] = {}

    def told_of(job: Job, outcome: Outcome) -> None:
        done[job.arm] = outcome
        tell(len(done), len(names), job, outcome)

    if not problems:
        with workers(work, jobs, None) as run:
            run(list(jobs_of.values()), told_of)
        problems = [text for name in names for text in differences(row, claim, name, done[name])]
    if problems:
        raise SettingsError(
            f"the row of {row.slug} cannot be taken over; unalike check {row.slug} measures it anew:\n"
            + "\n".join(f"  - {problem}" for problem in problems)
        )
    measures, added = [], list(row.confirmed.get("floors", ()))
    for number, each in enumerate(row.results):
        floors = floors_found(claim, number, done)
        if set(floors) - set(each.floors):
            added.append(each.name)
        measures.append({**row.measures[number], "floors": dict(floors)})
    confirmed = {"from": row.confirmed.get("from", row.code), "seed": row.seeds[0], "trials": len(names)}
    if added:
        confirmed["floors"] = tuple(added)
    return replace(row, code=code, confirmed=confirmed, measures=tuple(measures))


def floors_found(claim: Claim, number: int, outcomes: Mapping[str, Outcome]) -> Mapping[str, float]:
    """The floors of a measure: those of the first arm that it reads."""
    return outcomes[measured_arms(claim, claim.measures[number])[0]].floors.get(str(number), {})


def differences(row: Row, claim: Claim, arm: str, outcome: Outcome) -> Iterator[str]:
    """Where a repeated trial of the first seed is not what a row says, in words."""
    for number, result in enumerate(row.results):
        if arm not in result.values:
            continue
        before, now = result.values[arm][0], outcome.values[str(number)]
        if before != now:
            yield f"{result.name}, {arm}: {before} before, {now} now"
        if arm == measured_arms(claim, claim.measures[number])[0]:
            below = floors_found(claim, number, {arm: outcome})
            if any(below.get(name) != value for name, value in result.floors.items()):
                yield f"{result.name}, floors: {dict(result.floors)} before, {dict(below)} now"
    plain = json.loads(json.dumps(outcome.settings))
    if plain != json.loads(json.dumps(row.arms[arm])):
        yield f"{arm}: the settings were {row.arms[arm]} and are {plain}"
    name, _, fingerprint = outcome.data.rpartition(":")
    if row.data.get(name) != fingerprint:
        yield f"{arm}: the data have changed"


def claim_problems(claim: Claim) -> list[str]:
    """All that keeps a claim from being measured, in words."""
    problems = []
    if claim.bed is None or not claim.measures:
        return ["it names no bed and no measures: it has not been put to the test here"]
    arms = claim.all_arms
    for measure in claim.measures:
        wanted = [measure.arm] if isinstance(measure.against, (int, float)) else [measure.arm, measure.against]
        unknown = [name for name in wanted if name not in arms and measure.combine is None]
        if unknown:
            problems.append(f"{measure.name}: there is no arm {', '.join(unknown)}; there are {', '.join(arms)}")
        if measure.combine is not None and isinstance(measure.against, str):
            problems.append(f"{measure.name}: what combines arms is compared with a number, not with {measure.against}")
    points = {name: len(grid(claim, arm)) for name, arm in arms.items() if arm.like is None and not untaught(arm)}
    if len(set(points.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in points.items())
        problems.append(f"the arms are not tuned alike: points of their grids are {shown}")
    for name, arm in arms.items():
        if arm.like is not None and arm.like not in arms:
            problems.append(f"the arm {name} takes the tuning of {arm.like}, which is not there")
    return problems


def grid(claim: Claim, arm: Arm) -> list[dict[str, Any]]:
    """Every point of an arm's grid; one that is empty if it never learns."""
    values = {} if untaught(arm) else claim.tune if arm.tune is None else arm.tune
    return [dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())]


def untaught(arm: Arm) -> bool:
    """Whether an arm stays as it began, so that there is nothing to tune."""
    return arm.training.get("learning_rate") == 0.0


def measured_arms(claim: Claim, measure: Measure) -> list[str]:
    """The arms that a measure reads."""
    if measure.combine is not None:
        return list(claim.all_arms)
    return [measure.arm] + ([measure.against] if isinstance(measure.against, str) else [])


def used_arms(claim: Claim) -> list[str]:
    """The arms that any measure reads, in order."""
    wanted = {name for measure in claim.measures for name in measured_arms(claim, measure)}
    wanted |= {like for name in wanted if (like := claim.all_arms[name].like) is not None}
    return [name for name in claim.all_arms if name in wanted]


def pick(
    claim: Claim, name: str, arms: Mapping[str, Arm], tuning: Sequence[Job], done: Mapping[str, Outcome]
) -> Mapping[str, Any]:
    """The point of the grid with the best validation score; the earlier of equals."""
    like = arms[name].like
    source = name if like is None else like
    tried = [job for job in tuning if job.arm == source]
    if not tried:
        (only,) = grid(claim, arms[source])
        return only
    scores = [float(done[job.key].choice or 0.0) for job in tried]
    return tried[int(np.argmax(scores))].chosen


def result(
    claim: Claim, number: int, measure: Measure, outcomes: Mapping[tuple[str, int], Outcome], seeds: Sequence[int]
) -> Result:
    """What was measured of one measure."""
    arms = measured_arms(claim, measure)
    values = {name: tuple(outcomes[name, seed].values[str(number)] for seed in seeds) for name in arms}
    combined: tuple[float, ...] = ()
    if measure.combine is not None:
        combined = tuple(float(measure.combine({name: values[name][n] for name in arms})) for n in range(len(seeds)))
    return Result(
        name=measure.name,
        metric=metric_name(measure.metric),
        mechanism=measure.mechanism,
        timed=measure.timed,
        arm=measure.arm,
        against=measure.against,
        better=measure.better,
        margin=measure.margin,
        values=values,
        combined=combined,
        floors=floors_found(claim, number, {arm: outcomes[arm, 0] for arm in arms}),
    )
