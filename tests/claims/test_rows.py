"""The stored rows, and the claims of all systems."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from unalike import systems
from unalike.claims import METRICS, read_row
from unalike.claims.harness import claim_problems, measured_arms
from unalike.claims.reasons import reason
from unalike.claims.rows import unfinished
from unalike.data import find_record
from unalike.records import Claim

RESULTS = Path(__file__).parents[2] / "results"
ROWS = sorted(RESULTS.glob("*.json"))
TESTED = [system for system in systems.all_systems() if system.claim.measures]


@pytest.mark.parametrize("system", TESTED, ids=lambda system: system.slug)
def test_the_claim_can_be_measured(system):
    claim: Claim = system.claim
    assert claim_problems(claim) == []
    for bed in (claim.bed, *(arm.bed for arm in claim.all_arms.values())):
        assert bed is None or find_record(bed.set.partition(":")[0])
    for arm in claim.all_arms.values():
        found = system if arm.system is None else systems.find(arm.system)
        found.settings(**arm.settings)
    for measure in claim.measures:
        if isinstance(measure.metric, str):
            assert measure.metric.partition("/")[0] in METRICS
        assert measured_arms(claim, measure)


@pytest.mark.parametrize("system", TESTED, ids=lambda system: system.slug)
def test_every_claim_that_can_be_measured_was(system):
    assert (RESULTS / f"{system.slug}.json").exists(), f"no row: unalike check {system.slug}"


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_a_stored_row_is_whole(path):
    row = read_row(path)
    assert row.slug == path.stem
    system = systems.find(row.slug)
    assert row.number == system.paper.number
    assert len(row.seeds) >= 3
    assert row.reads == (1,)
    assert row.results
    for result in row.results:
        assert result.verdict in ("holds", "fails", "open")
        low, high = result.interval
        assert low <= result.effect <= high
        assert all(len(values) == len(row.seeds) for values in result.values.values())
        assert all(math.isfinite(value) for values in result.values.values() for value in values)
        sign = 1 if result.better == "higher" else -1
        ends = sorted(sign * end - result.margin for end in (low, high))
        expected = "holds" if ends[0] > 0 else "fails" if ends[1] < 0 else "open"
        assert result.verdict == expected
    assert any(result.mechanism for result in row.results)


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_what_does_not_hold_has_a_written_reason(path):
    row = read_row(path)
    if unfinished(row.results):
        assert len(reason(RESULTS, row)) > 100, f"{unfinished(row.results)}: write results/reasons/{row.slug}.md"
