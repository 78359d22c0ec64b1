"""Every objective at the ends of what it may be given: finite, or refused; benchmarks/finite.py tries far more."""

from __future__ import annotations

import every_objective
import pytest

from unalike.errors import UnalikeError


@pytest.mark.parametrize("name", sorted(every_objective.OBJECTIVES))
def test_finite_or_refused(name: str) -> None:
    taken = 0
    for temperature in (1e-3, 0.1, 100.0):
        for kind in every_objective.KINDS:
            for count, dtype in ((2, "float32"), (12, "float32"), (12, "bfloat16")):
                try:
                    found = every_objective.evaluate(name, kind, count, 8, temperature, dtype, 0)
                except UnalikeError:
                    continue
                taken += 1
                assert found == "finite", f"{kind} rows, batch {count}, temperature {temperature}, {dtype}: {found}"
    assert taken, "refused everything"


def test_what_is_not_finite_is_noticed() -> None:
    every_objective.OBJECTIVES["broken"] = lambda a, b, y, t, g: (a * float("nan")).sum()
    try:
        assert "nan" in every_objective.evaluate("broken", "plain", 4, 4, 1.0, "float32", 0)
    finally:
        del every_objective.OBJECTIVES["broken"]
