"""Symile and its baseline: losses against loops, independent shuffles, missing modalities, what pairs cannot see."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from test_contract import make
from torch.nn.functional import cross_entropy, normalize

from unalike import encoders, systems, training
from unalike.data import ArrayColumn, StackColumn
from unalike.errors import DataError

SYMILE, PAIRS = systems.find("symile"), systems.find("audioclip")
KINDS = ("image", "text", "audio")


def seen_by(system: systems.System, *, drop: float = 0.3, missing: bool = False, seed: int = 3):
    """A learner in evaluation mode, what it sees of a batch of 16 rows, and its vectors by row in float64."""
    learner, inputs = make(system)
    if missing:
        inputs = training.Inputs(inputs.prepared, {"audio": np.arange(len(inputs)) % 2 == 0, "text": np.arange(24) > 3})
    towers = {kind: learner.encoders[kind] for kind in KINDS}
    task = training.Task(encoders=towers, roles={kind: (kind,) for kind in KINDS}, rows=24, steps=4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = system.build(system.settings(drop=drop), task)
    learner.module.eval()
    assert learner.views is not None and learner.loss is not None
    seen = learner.views(inputs.batch(np.arange(16)), torch.Generator().manual_seed(seed))
    shown = seen[0] if system is SYMILE else seen
    vectors = {}
    for kind, each in shown.items():
        found = learner.module["heads"][kind](towers[kind](each.entries).vector)
        vectors[kind] = dict(zip(each.rows.tolist(), normalize(found.double(), dim=-1), strict=True))
    return learner, seen, vectors


@pytest.mark.parametrize("missing", [False, True])
def test_loss_with_missing_modalities_equals_loops(missing: bool) -> None:
    learner, seen, vectors = seen_by(SYMILE, missing=missing)
    assert any(len(found) < 16 for found in vectors.values()), "nothing is missing, so that nothing is tested"
    absent = {kind: normalize(learner.module["absent"].vectors[kind].double(), dim=0) for kind in KINDS}
    rows = [[vectors[kind].get(row, absent[kind]) for row in range(16)] for kind in KINDS]
    scale = learner.module["scale"]().double()
    generator = torch.Generator().manual_seed(seen[1])
    total = torch.zeros((), dtype=torch.float64)
    for anchor in range(3):
        one, other = (number for number in range(3) if number != anchor)
        orders = [torch.randperm(16, generator=generator).tolist() for _ in range(2)]
        assert orders[0] != orders[1], "the two others must be shuffled each on its own"
        for i in range(16):
            scores = []
            for j in range(16):
                first, second = (i, i) if i == j else (orders[0][j], orders[1][j])
                scores.append(scale * (rows[anchor][i] * rows[one][first] * rows[other][second]).sum())
            total = total + torch.stack(scores).logsumexp(0) - scores[i]
    assert learner.loss(seen).item() == pytest.approx((total / 48).item(), rel=1e-5)


def test_all_negatives_are_every_pair_of_the_others() -> None:
    settings = SYMILE.settings(negatives="all", drop=0.0)
    learner, inputs = make(SYMILE)
    towers = dict(learner.encoders)
    task = training.Task(encoders=towers, roles={kind: (kind,) for kind in KINDS}, rows=24, steps=4)
    learner = SYMILE.build(settings, task)
    learner.module.eval()
    seen = learner.views(inputs.batch(np.arange(5)), torch.Generator().manual_seed(0))
    rows = [normalize(learner.module["heads"][k](towers[k](seen[0][k].entries).vector).double(), dim=-1) for k in KINDS]
    scale = learner.module["scale"]().double()
    total = torch.zeros((), dtype=torch.float64)
    for anchor in range(3):
        a, b, c = rows[anchor], *(rows[other] for other in range(3) if other != anchor)
        scores = scale * torch.einsum("id,jd,kd->ijk", a, b, c)
        total = total + (scores.flatten(1).logsumexp(1) - scores[range(5), range(5), range(5)]).mean()
    assert learner.loss(seen).item() == pytest.approx((total / 3).item(), rel=1e-5)


def test_pairs_are_compared_where_a_row_has_both() -> None:
    learner, seen, vectors = seen_by(PAIRS, missing=True)
    scale = learner.module["scale"]().double()
    losses = []
    for one, other in combinations(KINDS, 2):
        both = sorted(set(vectors[one]) & set(vectors[other]))
        scores = scale * torch.stack([vectors[one][r] for r in both]) @ torch.stack([vectors[other][r] for r in both]).T
        right = torch.arange(len(both))
        losses.append((cross_entropy(scores, right) + cross_entropy(scores.T, right)) / 2)
    assert learner.loss(seen).item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


def test_what_is_dropped_is_drawn_for_each_modality_by_itself_and_again_by_the_same_seed() -> None:
    _, first, _ = seen_by(SYMILE, seed=5)
    _, again, _ = seen_by(SYMILE, seed=5)
    _, other, _ = seen_by(SYMILE, seed=6)
    rows = [{kind: each.rows.tolist() for kind, each in seen[0].items()} for seen in (first, again, other)]
    assert rows[0] == rows[1] != rows[2]
    assert first[1] == again[1] != other[1]
    assert len({tuple(each) for each in rows[0].values()}) > 1
    learner, inputs = make(SYMILE)
    counts = np.zeros(3)
    for seed in range(60):
        seen, _ = learner.views(inputs.batch(np.arange(24)), torch.Generator().manual_seed(seed))
        counts += [24 - len(each.rows) for each in seen.values()]
    assert np.abs(counts / (60 * 24) - SYMILE.settings().drop).max() < 0.04


def test_a_query_is_the_product_and_what_it_lacks_is_the_learned_vector() -> None:
    learner, _ = make(SYMILE)
    a, b = (normalize(torch.randn(2, 256, generator=torch.Generator().manual_seed(s)), dim=1) for s in (0, 1))
    absent = learner.module["absent"]
    both = training.joined_vectors(learner, {"text": a, "audio": b}, "image")
    torch.testing.assert_close(both, a * b)
    torch.testing.assert_close(training.joined_vectors(learner, {"text": a}, "image"), a * absent("audio"))
    gap = b.clone()
    gap[1] = 0  # stands for a missing entry
    found = training.joined_vectors(learner, {"text": a, "audio": gap}, "image")
    torch.testing.assert_close(found, a * torch.stack([b[0], absent("audio")]))
    pairs, _ = make(PAIRS)
    torch.testing.assert_close(
        training.joined_vectors(pairs, {"text": a, "audio": b}, "image"), normalize(a + b, dim=1)
    )


@pytest.mark.parametrize("system", [SYMILE, PAIRS], ids=lambda system: system.slug)
def test_a_modality_that_no_row_of_a_batch_has(system: systems.System) -> None:
    learner, inputs = make(system)
    only = training.Inputs(inputs.prepared, {"audio": np.arange(24) == 20, "text": np.arange(24) >= 0})
    for rows in (np.arange(8), np.arange(16, 24)):  # none, and a single one
        loss = learner.loss(learner.views(only.batch(rows), torch.Generator().manual_seed(0)))
        assert torch.isfinite(loss)
        loss.backward()


@pytest.mark.parametrize("system", [SYMILE, PAIRS], ids=lambda system: system.slug)
def test_one_modality_alone_is_refused(system: systems.System) -> None:
    learner, _ = make(system)
    task = training.Task(encoders={"text": learner.encoders["text"]}, roles={"text": ("text",)}, rows=24, steps=4)
    with pytest.raises(DataError, match="two or more modalities; given: text"):
        system.build(system.settings(), task)


def on_exclusive_or(system: systems.System, batch: int = 64, **settings: object) -> float:
    """Accuracy, among the four, of predicting one pair of bits from two others of which it is the exclusive or."""
    generator = np.random.default_rng(0)
    first, second = generator.integers(0, 4, (2, 512))

    def bits(numbers: np.ndarray) -> np.ndarray:
        return ((numbers[:, None] >> np.arange(2)) & 1).astype(np.float32)

    columns = {
        "array": ArrayColumn(bits(second)),
        "points": StackColumn(bits(first)[:, :, None], kind="points"),
        "series": StackColumn(bits(first ^ second)[:, None], kind="series"),
    }
    towers = {kind: encoders.build_encoder("affine", each, width=8) for kind, each in columns.items()}
    inputs = training.Inputs({kind: towers[kind].prepare(each) for kind, each in columns.items()})
    task = training.Task(encoders=towers, roles={kind: (kind,) for kind in columns}, rows=512, steps=120)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = system.build(system.settings(output=8, drop=0.0, **settings), task)
    chosen = training.Training(steps=120, batch_size=batch, learning_rate=0.01, device="cpu")
    training.train(learner, inputs, chosen.resolved(system.recipe, 512))
    with torch.no_grad():
        spaces = {kind: learner.embed(kind, inputs.prepared[kind].take(np.arange(512))) for kind in columns}
        asked = training.joined_vectors(learner, {kind: spaces[kind] for kind in ("points", "series")}, "array")
    places = [int(np.flatnonzero(second == number)[0]) for number in range(4)]
    return float(np.mean((asked @ spaces["array"][places].T).argmax(1).numpy() == second))


@pytest.mark.slow
def test_the_joint_score_learns_an_exclusive_or_and_pairs_cannot() -> None:
    assert on_exclusive_or(SYMILE) > 0.95
    assert on_exclusive_or(SYMILE, batch=16, negatives="all") > 0.95
    assert on_exclusive_or(PAIRS) < 0.6
