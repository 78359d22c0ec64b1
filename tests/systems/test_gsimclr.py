"""G-SimCLR: an autoencoder of its own, clusters of its vectors, batches without two pictures of one cluster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_contract import make
from torch.nn.functional import cross_entropy, normalize

from unalike import systems, training
from unalike.checks import grounds
from unalike.claims import Ground, run_trial
from unalike.errors import SettingsError
from unalike.records import Bed
from unalike.systems.image import gsimclr
from unalike.training import Training

SYSTEM = systems.find("gsimclr")


def built(**settings: object) -> tuple[training.Learner, training.Inputs]:
    return make(replace(SYSTEM, build=lambda own, task: gsimclr.build(replace(own, **settings), task)))  # type: ignore[arg-type]


def test_losses_of_both_stages_are_their_formulas() -> None:
    learner, inputs = built()
    first, second = learner.stages
    batch = inputs.batch(np.arange(10))
    learner.module.eval()
    parts = learner.module
    spoilt, clean = first.views(batch, torch.Generator().manual_seed(1))
    assert torch.equal(clean, learner.encoders["image"].plain(batch.role("image")))
    assert float((spoilt - clean).std()) == pytest.approx(gsimclr.Settings().noise, rel=0.05)
    pair = second.views(batch, torch.Generator().manual_seed(1))
    assert first.loss is not None
    assert second.loss is not None
    with torch.no_grad():
        guess = parts["decoder"](parts["reader"](spoilt).vector)
        assert float(first.loss((spoilt, clean))) == pytest.approx(float(((guess - clean) ** 2).double().mean()))
        z = torch.cat([normalize(parts["projector"](parts["encoder"](v).vector).double(), dim=1) for v in pair])
        scores = (z @ z.T / 0.1).fill_diagonal_(-torch.inf)
        expected = cross_entropy(scores, torch.cat([torch.arange(10) + 10, torch.arange(10)]))
        assert float(second.loss(pair)) == pytest.approx(float(expected), rel=2e-5)


def test_the_autoencoder_learns_first_and_leaves_the_encoder_alone() -> None:
    learner, inputs = built()
    before = {name: value.clone() for name, value in learner.module.state_dict().items()}
    options = {"steps": 20, "batch_size": 8, "device": "cpu", "learning_rate": 3e-3}
    alone = replace(learner.stages[0], share=1.0)
    auto = training.Learner(modules=learner.modules, encoders=learner.encoders, stages=(alone,))
    losses: list[float] = []
    listener = training.Listener(on_step=lambda step, total, row: losses.append(row["loss"]))
    training.train(auto, inputs, Training(**options).resolved(SYSTEM.recipe, len(inputs)), listener=listener)  # type: ignore[arg-type]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    for name, value in learner.module.state_dict().items():
        if name.startswith(("encoder.", "projector.", "clusters.")):
            assert torch.equal(value, before[name]), name
    assert any(not torch.equal(v, before[n]) for n, v in learner.module.state_dict().items() if n.startswith("reader."))


def test_clusters_are_those_of_the_autoencoder_and_no_batch_has_two_of_one() -> None:
    learner, inputs = built(clusters=9)
    training.train(learner, inputs, Training(steps=12, batch_size=8, device="cpu").resolved(SYSTEM.recipe, len(inputs)))
    codes = learner.module["clusters"].codes
    assert set(codes.tolist()) == set(range(9))
    make_order = learner.stages[1].order
    assert make_order is not None
    for rows in make_order(inputs, 8, 0).epoch(3):
        assert len(rows) == 8
        assert len(set(codes[rows].tolist())) == 8


def test_batches_beyond_the_number_of_clusters_are_refused_before_anything_is_trained() -> None:
    learner, inputs = built(clusters=6)
    with pytest.raises(SettingsError, match="give clusters=8 or more, or batch_size=6 or less"):
        training.train(
            learner, inputs, Training(steps=12, batch_size=8, device="cpu").resolved(SYSTEM.recipe, len(inputs))
        )


def test_false_negatives_are_counted_in_the_batches_that_the_learner_draws() -> None:
    bed = Bed(set="digits", size=16, rows=400)
    ground = Ground.of(bed, grounds.opened(bed), {"image": {"name": "grid", "widths": (8, 16), "width": 16}})
    rates, probes = {}, {}
    for build in (gsimclr.build, gsimclr.simclr):
        trial = run_trial(
            ground,
            SYSTEM,
            build=build,
            settings={"clusters": 10},
            options={"steps": 60, "batch_size": 10},
            seed=0,
            test=None,
            look="gentle",
        )
        rates[build.__name__] = gsimclr.false_negatives(trial)
        probes[build.__name__] = gsimclr.probe_of_the_head(trial)
    assert rates["simclr"] == pytest.approx(0.1, abs=0.02)  # ten classes, about equally frequent
    assert 0 < rates["build"] < 0.9 * rates["simclr"]
    assert all(0.1 < value <= 1 for value in probes.values())
