"""SBCL: warm-up, clusters anew during training, more parts for larger classes."""

from __future__ import annotations

import dataclasses
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_contract import ROWS, make, settings
from torch.nn.functional import normalize

from unalike import encoders, objectives, systems, training
from unalike.claims.trial import Side
from unalike.data import ArrayColumn

SYSTEM = systems.find("sbcl")
LABELS = np.array([0] * 16 + [1] * 4 + [2] * 4)
EARLY = dataclasses.replace(SYSTEM, settings=partial(SYSTEM.settings, first=1, refresh=2, least=4))


def made() -> tuple[training.Learner, training.Inputs]:
    """A learner that clusters soon, and a long tail of labels."""
    learner, inputs = make(EARLY)
    return learner, dataclasses.replace(inputs, labels=LABELS)


def test_frequent_classes_get_more_parts_of_equal_size() -> None:
    labels = torch.tensor([0] * 41 + [1] * 20 + [2] * 5 + [-1] * 2)
    vectors = normalize(torch.randn(68, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    codes = SYSTEM.module.parts(vectors, labels, 10)
    counts = [codes[labels == number].unique(return_counts=True)[1] for number in range(3)]
    assert [len(count) for count in counts] == [4, 2, 1]
    assert all(int(count.max() - count.min()) <= 1 for count in counts)
    assert int(codes.max()) == 6 and bool((codes[labels < 0] == -1).all())
    owners = [set(labels[codes == code].tolist()) for code in range(7)]
    assert all(len(owner) == 1 for owner in owners)


def test_clusters_begin_after_the_warm_up_and_are_made_anew() -> None:
    learner, inputs = made()
    codes = learner.modules["clusters"].codes
    seen = []
    for epoch in range(5):
        with torch.no_grad():
            for parameter in learner.modules["encoder"].parameters():
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(epoch)) * 0.5)
        learner.before_epoch(epoch, inputs)
        seen.append(codes.clone())
    assert bool((seen[0] == -1).all()) and bool((seen[1] >= 0).all())
    assert torch.equal(seen[1], seen[2]) and torch.equal(seen[3], seen[4])
    together = [code[:, None] == code for code in (seen[1], seen[3])]
    assert not torch.equal(*together)
    labels = torch.from_numpy(inputs.labels)
    for code in seen[1].unique():
        assert len(labels[seen[1] == code].unique()) == 1


@pytest.mark.parametrize("clustered", [False, True])
def test_the_loss_is_supcon_first_and_then_that_of_two_levels(clustered: bool) -> None:
    learner, inputs = made()
    if clustered:
        learner.before_epoch(1, inputs)
    learner.module.eval()
    rows = np.array([5, 17, 2, 8, 11, 0, 14, 20, 23])
    pair, labels, index = learner.views(inputs.batch(rows), torch.Generator().manual_seed(1))
    with torch.no_grad():
        modules = learner.modules
        z = [normalize(modules["projector"](modules["encoder"](view).vector).double(), dim=1) for view in pair]
        found = learner.loss((pair, labels, index))
        if clustered:
            heat = modules["heat"].values[torch.from_numpy(inputs.labels[rows])]
            codes = modules["clusters"].codes[torch.from_numpy(rows)]
            wanted = objectives.sbcl(*z, labels, codes, temperature=0.1, class_temperatures=heat, weight=0.25)
        else:
            wanted = objectives.sup_con(torch.cat(z), labels.repeat(2), temperature=0.1)
    assert float(found) == pytest.approx(float(wanted), rel=1e-4)


def test_a_run_with_clusters_gives_the_same_bits_again() -> None:
    states = []
    for _ in range(2):
        learner, inputs = made()
        training.train(learner, inputs, settings(SYSTEM, steps=10))
        states.append(learner.module.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert len(states[0]["clusters.codes"]) == ROWS and bool((states[0]["clusters.codes"] >= 0).all())


def test_the_control_never_clusters_and_balances_its_batches() -> None:
    learner, inputs = make(dataclasses.replace(EARLY, build=SYSTEM.module.balanced))
    tail = dataclasses.replace(inputs, labels=np.where(np.arange(ROWS) < 3, np.arange(ROWS), 0))
    order = learner.order(tail, 6, 0)
    assert all(sorted(np.bincount(tail.labels[rows]).tolist()) == [2, 2, 2] for rows in order.epoch(0))
    learner.before_epoch(3, inputs)
    assert bool((learner.modules["clusters"].codes == -1).all())


def test_subgroups_of_a_class_are_found_where_the_vectors_tell_them() -> None:
    told, untold = measured_of(apart=3.0), measured_of(apart=0.0)
    assert told == pytest.approx(1.0, abs=1e-6)
    assert abs(untold) < 0.25


class AsItIs(torch.nn.Module):
    """An encoder whose vectors are its entries."""

    def plain(self, entries: torch.Tensor) -> torch.Tensor:
        return entries

    def forward(self, entries: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(vector=entries)


def measured_of(apart: float) -> float:
    """The measure of a class of two subgroups that lie some distance apart, and of a smaller class of one."""
    fine = np.array([0] * 10 + [1] * 10 + [2] * 10)
    generator = np.random.default_rng(0)
    points = np.eye(4, dtype=np.float32)[[0] * 20 + [3] * 10] * 3
    points[10:20, 1] += apart
    points += 0.3 * generator.normal(size=points.shape).astype(np.float32)
    inputs = training.Inputs(
        {"array": encoders.build_encoder("mlp", [ArrayColumn(points)]).prepare(ArrayColumn(points))}
    )
    plain = AsItIs()
    classes = {"label": (fine == 2).astype(np.int64), "label:subgroup": fine}
    side = Side(np.arange(30), {"array": points}, classes, "label", inputs)
    learner = SimpleNamespace(modules={"encoder": plain})
    return SYSTEM.module.subgroups(SimpleNamespace(reference=side, learner=learner, seed=0))


def test_positives_are_even_where_parts_are_equally_large() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    reference = SimpleNamespace(labels=lambda: labels)
    supcon = SimpleNamespace(reference=reference, learner=SimpleNamespace(modules={}))
    # 29 and 9 others: mean 19, deviation 10.
    assert SYSTEM.module.spread_of_positives(supcon) == pytest.approx(10 / 19)
    clusters = SimpleNamespace(codes=torch.arange(4).repeat_interleave(10))
    cut = SimpleNamespace(reference=reference, learner=SimpleNamespace(modules={"clusters": clusters}))
    assert SYSTEM.module.spread_of_positives(cut) == 0
