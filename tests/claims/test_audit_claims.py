"""Claims about audits: poison stays out of clean, validation and test rows, and every arm of a seed gets the same."""

from __future__ import annotations

import numpy as np

from unalike import audit, claims
from unalike.claims import Ground
from unalike.data import Collection, ImageColumn, LabelColumn, TextColumn
from unalike.records import Bed


def captions(collection: Collection, name: str) -> list[str]:
    return claims.captions_of(collection, name, text="text")


def ground() -> Ground:
    rng = np.random.default_rng(0)
    names = ["cat", "dog", "cow"]
    collection = Collection(
        {
            "image": ImageColumn(list(rng.integers(0, 256, (120, 16, 16, 3), np.uint8))),
            "text": TextColumn([f"{names[row % 3]} {row}" for row in range(120)]),
            "label": LabelColumn(np.arange(120) % 3, names),
        },
        name="farm",
        splits={"train": np.arange(90), "validation": np.arange(90, 105), "test": np.arange(105, 120)},
    )
    return Ground.of(Bed(set="farm", size=16, prompts=captions), collection, {})


def test_poison_is_in_the_rows_of_the_poisoned_model_alone() -> None:
    before = ground()
    attacks = [audit.Attack(trigger=audit.Sine(), target=name, rate=0.1) for name in ("cat", "dog")]
    scene = claims.poisoned_ground(before, audit.Audit(attacks=attacks), seed=3)
    learned = scene.ground.train
    assert set(learned.tolist()) | set(scene.clean.tolist()) == set(before.train.tolist())
    assert not set(learned.tolist()) & set(scene.clean.tolist())
    poisoned = np.concatenate([each.rows for each in scene.done])
    assert len(poisoned) == len(set(poisoned.tolist())) > 4
    assert set(poisoned.tolist()) <= set(learned.tolist())
    changed = [row for row in range(120) if before.collection["text"][row] != scene.ground.collection["text"][row]]
    assert changed == sorted(poisoned.tolist())
    for row in set(range(120)) - set(poisoned.tolist()):
        ours, theirs = (np.asarray(each.collection["image"][row]) for each in (before, scene.ground))
        np.testing.assert_array_equal(ours, theirs)
    # Poisoned rows are worded as rows of the target, and the names of classes are those of honest rows.
    for each in scene.done:
        assert {str(scene.ground.collection["text"][int(row)]).split()[0] for row in each.rows} == {each.target}
    assert all(
        text.split()[0] == name
        for name, texts in zip(("cat", "dog", "cow"), scene.names, strict=True)
        for text in texts
    )
    assert max(int(text.split()[1]) for texts in scene.names for text in texts) < 90


def test_the_same_seed_poisons_the_same_rows_and_another_does_not() -> None:
    attacks = [audit.Attack(trigger=audit.Patch(), target="cow", rate=0.1)]
    first, again, other = (claims.poisoned_ground(ground(), audit.Audit(attacks=attacks), seed=s) for s in (1, 1, 2))
    assert first.ground.collection.fingerprint() == again.ground.collection.fingerprint()
    assert first.done[0].rows.tolist() != other.done[0].rows.tolist()
