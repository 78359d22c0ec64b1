"""Generated input, a little of it in each run; benchmarks/fuzz.py hands in thousands. What once failed comes first."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import surfaces
from hypothesis import HealthCheck, given, settings

KEPT = sorted(path for path in surfaces.CORPUS.rglob("*") if path.is_file())
FEW = {"objectives": 60, "run.json": 15, "queries": 20}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_once_failed(path: Path) -> None:
    name = path.parent.name
    surfaces.survive(name, surfaces.from_bytes(name, path.read_bytes()))


@pytest.mark.in_turn("src/unalike/data/", "src/unalike/files.py", "src/unalike/settings.py", "tests/surfaces.py")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(surfaces.SURFACES))
def test_only_our_own_errors_come_out(name: str) -> None:
    @settings(max_examples=FEW.get(name, 40), suppress_health_check=list(HealthCheck), deadline=None)
    @given(surfaces.SURFACES[name].inputs)
    def one(given_input: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            surfaces.survive(name, given_input)

    one()


def test_a_slow_input_is_noticed() -> None:
    with pytest.raises(surfaces.TooSlow), surfaces.limited(0.05):
        while True:
            pass
