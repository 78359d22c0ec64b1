"""What metrics declare that they need says which floors the stored rows have, no more and no less."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unalike import systems
from unalike.checks import grounds
from unalike.claims import METRICS
from unalike.claims.code import normalized
from unalike.claims.harness import measured_arms
from unalike.claims.searches import FOUND
from unalike.errors import DataError
from unalike.records import Claim, Measure, SearchBed, needs_of

ROWS = sorted((Path(__file__).parents[2] / "results").glob("*.json"))
ONE_SPACE = ("image", "text", "array", "series", "audio")
"""Raw features of one role of these kinds are vectors that a metric can read."""


def spaces(system: systems.System, claim: Claim, arm: str) -> list[str]:
    """The kinds of the roles whose vectors an arm's trial has.

    Of a set that is not on this machine, one of each kind: the beds of several name them.
    """
    chosen = claim.all_arms[arm]
    bed = chosen.bed or claim.bed
    paper = (system if chosen.system is None else systems.find(chosen.system)).paper
    kinds = list(dict.fromkeys(role.split(":")[0] for role in paper.roles)) or list(bed.roles)
    found = []
    for kind in kinds:
        try:
            roles = bed.roles.get(kind) or grounds.opened(bed).roles(kind)
        except DataError:
            roles = [kind]
        found += [kind] * len(roles)
    return found


def expected(system: systems.System, claim: Claim, measure: Measure) -> set[str]:
    metric, kind = measure.metric, system.paper.kind
    if kind == "adapter":
        return {"raw pixels", "shuffled", "chance"}
    if kind != "learner":
        return set()
    if isinstance(claim.bed, SearchBed):
        if metric in FOUND:
            return {"BM25", "raw features", "chance"}
        return set() if "training" in needs_of(metric) else {"before training"}
    if isinstance(metric, str):
        classes = {"shuffled", "chance"} if METRICS[metric.partition("/")[0]].chance is not None else set()
        return {"raw features", "untrained encoder"} | classes
    if "training" in needs_of(metric):
        return set()
    one = "learner" not in needs_of(metric) and spaces(system, claim, measured_arms(claim, measure)[0])
    return {"untrained encoder"} | ({"raw features"} if one and one[0] in ONE_SPACE and len(one) == 1 else set())


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_every_stored_row_has_the_floors_that_its_metrics_declare(path: Path) -> None:
    system, stored = systems.find(path.stem), json.loads(path.read_text(encoding="utf-8"))["measures"]
    assert len(system.claim.measures) == len(stored)
    for measure, row in zip(system.claim.measures, stored, strict=True):
        assert set(row["floors"]) == expected(system, system.claim, measure), measure.name


def test_a_declaration_is_no_part_of_what_a_metric_computes() -> None:
    plain = "def one(trial): return trial.learner"
    assert normalized(f'@needs("learner")\n{plain}') == normalized(plain) != normalized(f"@cache\n{plain}")
