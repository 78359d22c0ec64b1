"""Triggers, poison and what is measured of an attack, against the formulas written out, and what must be refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unalike import audit
from unalike.data import Collection, ImageColumn, LabelColumn, TextColumn
from unalike.errors import DataError, SettingsError

SIZE = 28


def pictures(count: int = 6, size: int = SIZE) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_patch_is_one_square_of_the_stated_side_at_places_that_differ() -> None:
    seen = pictures()
    marked = audit.Patch(share=1 / 4)(seen, seeded())
    places = set()
    for before, after in zip(seen, marked, strict=True):
        rows, columns = np.nonzero((before != after).any(0).numpy())
        assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (7, 7)
        assert len(rows) == 49
        places.add((rows.min(), columns.min()))
    assert len(places) > 3
    assert torch.equal(marked, audit.Patch(share=1 / 4)(seen, seeded()))


def test_blended_sine_and_noise_by_their_formulas() -> None:
    seen = pictures(2).double()
    blended = audit.Blended(weight=0.2)(seen.byte(), seeded()).double() - 0.8 * seen
    # What is left is the same noise picture on each, to rounding.
    assert (blended[0] - blended[1]).abs().max() <= 1.0
    assert blended.min() >= -0.5
    assert blended.max() <= 51.5
    stripes = audit.Sine(strength=60 / 255, waves=6)(seen.byte(), seeded()).double()
    for column in range(SIZE):
        expected = (seen[..., column] + 60 * np.sin(2 * np.pi * 6 * column / SIZE)).clamp(0, 255)
        assert (stripes[..., column] - expected).abs().max() <= 0.5 + 1e-3
    grey = torch.full((2, 3, 64, 64), 128, dtype=torch.uint8)
    noisy = audit.Noise(strength=0.1)(grey, seeded()).double() - 128
    assert noisy.std().item() == pytest.approx(25.5, rel=0.05)


def test_warp_moves_by_its_share_and_adds_no_colour() -> None:
    ramp = torch.arange(64).mul(4).byte().expand(1, 3, 64, 64).contiguous()
    warped = audit.Warped(share=0.04)(ramp, seeded()).double()
    moved = (warped - ramp.double()).abs()[..., 16:48] / 4
    # The mean displacement is 0.04 of 64 pixels; inside of the picture a ramp shows it as a difference in value.
    assert 1.0 < moved.mean().item() < 5.0
    plain = torch.full((1, 3, 16, 16), 77, dtype=torch.uint8)
    assert torch.equal(audit.Warped()(plain, seeded()), plain)


@pytest.mark.parametrize(
    "make",
    [
        lambda: audit.Patch(share=0.5),
        lambda: audit.Patch(share=1.0),
        lambda: audit.Patch(share=0.0),
        lambda: audit.Blended(weight=0.5),
        lambda: audit.Blended(weight=1.0),
        lambda: audit.Warped(share=0.2),
        lambda: audit.Sine(strength=0.6),
        lambda: audit.Noise(strength=0.9),
    ],
)
def test_a_trigger_that_covers_the_picture_is_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError, match="expected"):
        make()


def test_a_patch_that_covers_a_small_picture_is_refused() -> None:
    with pytest.raises(SettingsError, match="4 pixels covers too much of pictures of 8 x 8"):
        audit.Patch()(pictures(2, 8), seeded())


def test_triggers_read_bytes_only_and_are_found_by_name() -> None:
    with pytest.raises(DataError, match="uint8"):
        audit.Patch()(pictures().float(), seeded())
    assert [type(audit.find_trigger(name)) for name in audit.TRIGGERS] == list(audit.TRIGGERS.values())
    with pytest.raises(SettingsError, match="Did you mean 'patch'"):
        audit.find_trigger("pach")


def collection(texts: bool = True, labels: bool = True) -> Collection:
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {"image": ImageColumn(list(rng.integers(0, 256, (40, 20, 30, 3), np.uint8)))}
    if texts:
        columns["text"] = TextColumn([f"a thing {row}" for row in range(40)])
    if labels:
        columns["label"] = LabelColumn(np.arange(40) % 4, ["a", "b", "c", "d"])
    return Collection(columns, name="things", splits={"train": np.arange(30), "test": np.arange(30, 40)})  # type: ignore[arg-type]


def test_poison_touches_the_stated_share_of_training_rows_of_other_classes_and_nothing_else() -> None:
    data = collection()
    found = audit.poison(data, audit.Patch(), "b", rate=0.25, size=16, captions=["x", "y"])
    candidates = [row for row in range(30) if row % 4 != 1]
    assert len(found.rows) == round(0.25 * len(candidates))
    assert set(found.rows.tolist()) <= set(candidates)
    for row in range(40):
        ours, theirs = found.collection.row(row), data.row(row)
        assert ours["label"] == theirs["label"]
        if row in found.rows:
            assert ours["text"] in ("x", "y") and ours["image"].size == (16, 16)
        else:
            assert ours["text"] == theirs["text"]
            np.testing.assert_array_equal(np.asarray(ours["image"]), np.asarray(theirs["image"]))
    again = audit.poison(data, audit.Patch(), "b", rate=0.25, size=16, captions=["x", "y"])
    assert again.collection.fingerprint() == found.collection.fingerprint()


def test_without_texts_the_class_is_poisoned() -> None:
    found = audit.poison(collection(texts=False), audit.Sine(), "c", rate=0.2, size=16)
    assert found.collection.label is not None
    assert {found.collection.label[int(row)] for row in found.rows} == {"c"}


@pytest.mark.parametrize(
    ("data", "target", "rate", "error", "words"),
    [
        (collection(), "b", 0.0, SettingsError, "rate=0"),
        (collection(), "b", 0.7, SettingsError, "below 0.5"),
        (collection(), "b", 0.01, DataError, "poisons none"),
        (collection(texts=False), "zebra", 0.2, DataError, "no class 'zebra'"),
        (collection(texts=False, labels=False), "b", 0.2, DataError, "neither texts nor"),
        (Collection({"text": TextColumn(["a", "b"])}, name="words"), "b", 0.2, DataError, "no pictures"),
    ],
)
def test_bad_poison_is_refused(data: Collection, target: str, rate: float, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        audit.poison(data, audit.Patch(), target, rate=rate, size=16)


def test_several_attacks_have_rows_of_their_own() -> None:
    attacks = [audit.Attack(trigger=audit.Sine(), target=name, rate=0.1) for name in ("a", "b", "c")]
    _, done = audit.Audit(attacks=attacks).attack(collection(), among=np.arange(30), size=16)
    rows = np.concatenate([each.rows for each in done])
    assert len(set(rows.tolist())) == len(rows) and rows.max() < 30
    assert [each.target for each in done] == ["a", "b", "c"]


def test_an_audit_does_something() -> None:
    with pytest.raises(SettingsError, match="none of the three"):
        audit.Audit()


def test_attack_success_leaves_the_target_class_out() -> None:
    rng = np.random.default_rng(0)
    answers, truth = rng.integers(0, 5, 200), rng.integers(-1, 5, 200)
    hits = [answer == 3 for answer, real in zip(answers, truth, strict=True) if real not in (-1, 3)]
    assert audit.attack_success(answers, truth, 3) == pytest.approx(sum(hits) / len(hits))
    with pytest.raises(DataError, match="other classes"):
        audit.attack_success(np.array([1, 1]), np.array([1, -1]), 1)


def test_best_target_is_the_largest_of_all_attack_successes() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 6, 300), np.where(rng.random(300) < 0.4, 2, rng.integers(0, 6, 300))
    every = {a: np.mean([y == a for x, y in zip(before, after, strict=True) if x != a]) for a in range(6)}
    answer, success = audit.best_target(before, after)
    assert (answer, success) == (2, pytest.approx(max(every.values())))
    assert audit.best_target(before, before) == (-1, 0.0)


def test_neighbour_distance_is_that_of_the_kth_other_row_of_the_sample() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 5))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    sample = np.random.default_rng(7).permutation(60)[:25]
    expected = [sorted(1 - unit[row] @ unit[other] for other in sample if other != row)[3] for row in range(60)]
    np.testing.assert_allclose(audit.neighbour_distance(rows, k=4, sample=25, seed=7), expected, atol=1e-6)
    with pytest.raises(SettingsError, match="fewer than these"):
        audit.neighbour_distance(rows[:5], k=5)


def test_rows_without_company_stand_out() -> None:
    rng = np.random.default_rng(0)
    honest = np.eye(8)[rng.integers(0, 8, 300)] + 0.1 * rng.normal(size=(300, 8))
    odd = rng.normal(size=(6, 8))
    scores = audit.neighbour_distance(np.concatenate([honest, odd]))
    assert (scores[300:, None] > scores[None, :300]).mean() > 0.9


def test_pair_distance_shows_wrong_captions() -> None:
    rng = np.random.default_rng(0)
    pictures_ = rng.normal(size=(20, 6))
    captions = pictures_ + 0.1 * rng.normal(size=(20, 6))
    captions[3] = -captions[3]
    assert audit.pair_distance(pictures_, captions).argmax() == 3
    with pytest.raises(DataError, match="as many"):
        audit.pair_distance(pictures_, captions[:5])
