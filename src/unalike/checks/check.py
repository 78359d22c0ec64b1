"""Does a claim hold here? Has its trials run, and keeps the row with its probe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unalike import claims, systems
from unalike.checks.depends import claim_code
from unalike.checks.probing import keep_probes
from unalike.checks.works import work_of
from unalike.claims import Job, Outcome, Row
from unalike.files import cache_folder
from unalike.runs.layout import versions

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
    """Measure the claim of a system's paper and keep the row, with its probe.

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
        >>> from unalike.checks.check import check
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
        keep_probes([slug], results, jobs=min(1, jobs))
    return row


def confirm(
    slug: str,
    *,
    jobs: int = 2,
    results: Path,
    tell: Callable[[int, int, Job, Outcome], None] = lambda done, total, job, outcome: None,
) -> Row:
    """Repeat one seed of every arm of a stored row in full.

    Where each value has the same bits as before, the row says so (``confirmed``), and its probe is made anew. Measures
    without floors get those that there are.

    Raises:
        RunError: there is no row.
        SettingsError: the claim is another than the one that was measured, or a value differs.
    """
    found = systems.find(slug)
    row = claims.read_row(results / f"{slug}.json")
    code = claim_code(found)
    row = claims.confirm(row, found.claim, work_of(found)(slug), code=code, jobs=jobs, tell=tell)
    row.save(results)
    keep_probes([slug], results, jobs=min(1, jobs))
    return row
