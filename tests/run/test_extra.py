"""What a system must know of each row beside its entries: a column is named for it, and a missing one is an error."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import unalike
from unalike import systems
from unalike.errors import DataError


@pytest.fixture
def seen(monkeypatch):
    """SCARF as a system that must know each row's client and time; what it was told of the data and of its batches."""
    module, told = systems.find("scarf").module, []
    build = module.build

    def watched(settings, task):
        learner = build(settings, task)
        views = learner.views
        learner.views = lambda batch, generator: told.append(batch.extra) or views(batch, generator)
        told.append(dict(task.extra))
        return learner

    monkeypatch.setattr(module, "PAPER", dataclasses.replace(module.PAPER, extra=("client", "time")))
    monkeypatch.setattr(module, "build", watched)
    return told


def test_named_columns_reach_every_batch_and_the_run_is_loaded_as_it_was_built(tmp_path, seen):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 2)).round(3)
    lines = [f"{a},{b},{'abc'[n % 3]},{n}" for n, (a, b) in enumerate(rows)]
    (tmp_path / "wards.csv").write_text("a,b,ward,hour\n" + "\n".join(lines) + "\n")
    roles = {"array": "a,b", "label:client": "ward", "array:time": "hour"}
    options = {"system": "scarf", "steps": 2, "batch_size": 8, "holdout": 0.2}
    run = unalike.fit(tmp_path / "wards.csv", roles=roles, out=tmp_path / "run", **options)
    task, *batches = seen
    assert task == {"client": 3}
    assert len(batches) == 2
    for batch in batches:
        assert batch["client"].shape == batch["time"].shape == (8,)
        assert (batch["time"].long() % 3).tolist() == batch["client"].tolist()
    assert run.spec.roles == {"array": ("array",)}  # the time is nothing that it learns from
    assert json.loads((tmp_path / "run" / "run.json").read_text())["task"]["extra"] == {"client": 3}
    seen.clear()
    unalike.load(tmp_path / "run").untrained()
    assert seen == [{"client": 3}]
    with pytest.raises(DataError, match="does not tell time of its rows"):
        unalike.fit(
            tmp_path / "wards.csv", roles={"array": "a,b", "label:client": "ward"}, out=tmp_path / "b", **options
        )
    assert not (tmp_path / "b").exists()
