"""Claims about adapters: the frozen model never sees the shots, every arm gets the same ones, tests are opened once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from unalike import claims, systems
from unalike.checks import grounds, starts, works
from unalike.claims import Ground, Sealed, adaptation
from unalike.errors import SettingsError


@pytest.fixture(scope="module")
def ground() -> Ground:
    claim = systems.find("gda-clip").claim
    return grounds.ground_of(claim.bed, claim)


@pytest.fixture(scope="module")
def tensors(ground: Ground) -> dict[str, torch.Tensor]:
    """What a model would give that places classes a little apart."""
    _, pool = adaptation.divided(ground)
    codes = ground.labels.codes
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(codes.max() + 1, 16))
    vectors = centres[codes] + 1.5 * rng.normal(size=(len(codes), 16))
    made = {role: vectors.copy() for role in ("image:fluent", "image:google", "image:twitter")}
    made["image:fluent"][~ground.collection["image:fluent"].present] = np.nan
    names = adaptation.chosen_classes(ground, pool)
    known = [ground.labels.names.index(name) for name in names]
    looks = vectors[pool] + 0.1 * rng.normal(size=(3, len(pool), 16))
    return {
        **{f"vectors/{role}": torch.from_numpy(each) for role, each in made.items()},
        "looks": torch.from_numpy(looks),
        "texts": torch.from_numpy(centres[known]),
    }


def test_the_pool_shares_no_row_and_no_group_with_the_frozen_model(ground: Ground) -> None:
    start, pool = adaptation.divided(ground)
    assert sorted([*start.train, *pool]) == sorted(ground.train)
    groups = ground.collection.groups
    assert not set(groups[start.train]) & set(groups[pool])
    assert not set(groups[pool]) & set(groups[np.concatenate([ground.validation, ground.test])])


def test_thawed_rows_are_of_classes_with_enough_to_draw(ground: Ground, tensors: dict[str, torch.Tensor]) -> None:
    sealed = Sealed(ground.test)
    frozen = claims.thaw(ground, tensors, sealed)
    assert sealed.reads == 1
    # Whatever the order in the file: the style that labelled rows are in comes first, the unseen one last.
    assert list(frozen.vectors) == ["image:google", "image:twitter", "image:fluent"]
    assert np.bincount(frozen.codes[frozen.pool]).min() >= adaptation.MOST
    assert frozen.looks.shape[1] == len(frozen.pool)
    assert (frozen.codes[frozen.test] >= 0).all()
    assert set(frozen.test) <= set(ground.test)


def test_accuracy_grows_with_shots_and_falls_to_chance_where_classes_are_permuted(
    ground: Ground, tensors: dict[str, torch.Tensor]
) -> None:
    found = systems.find("gda-clip")
    settings = found.settings()
    frozen = claims.thaw(ground, tensors, Sealed(ground.test))
    trial = claims.Adaptation(
        arm="system", seed=0, build=lambda: found.build(settings), frozen=frozen, settings=settings, draws=3
    )
    chance = 1 / (frozen.codes.max() + 1)
    assert trial.accuracy(16, names=False) > trial.accuracy(1, names=False) > chance
    assert trial.accuracy(1) > trial.accuracy(1, names=False)
    assert 0 < trial.accuracy(16, "image:fluent") < 1
    assert trial.shuffled().accuracy(16) < 2 * chance
    again = replace(trial, scratch={})
    assert again.accuracy(4, names=False) == trial.accuracy(4, names=False)
    assert replace(trial, seed=1, scratch={}).accuracy(4, names=False) != trial.accuracy(4, names=False)


def test_the_start_is_kept_under_a_name_that_another_process_finds(ground: Ground) -> None:
    claim = systems.find("gda-clip").claim
    name = starts.start_file(claim, 0, "adaptation.py").name
    assert "0x" not in starts.digest(claim.start, claim)
    assert name == starts.start_file(replace(claim), 0, "adaptation.py").name
    longer = replace(claim, start=replace(claim.start, training={"steps": 1}))
    assert name != starts.start_file(longer, 0, "adaptation.py").name


def test_a_claim_without_start_or_prompts_is_refused() -> None:
    claim = systems.find("gda-clip").claim
    for broken in (replace(claim, start=None), replace(claim, bed=replace(claim.bed, prompts=None))):
        with pytest.raises(SettingsError, match="must name a bed with prompts and a start"):
            works.AdapterWork("gda-clip", broken)(claims.Job(stage="score", arm="system", seed=0))
