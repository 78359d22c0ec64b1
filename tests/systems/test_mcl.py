"""MCL: fresh encoders, clusters intersected from stage to stage, batches from one cluster, vectors side by side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from test_contract import make, trained
from torch.nn.functional import cross_entropy, normalize

from unalike import encoders, systems, training
from unalike.claims import Ground, Trial, run_trial
from unalike.data import Collection, ImageColumn, LabelColumn
from unalike.records import Bed
from unalike.systems.image import mcl
from unalike.training import Training

SYSTEM = systems.find("mcl")


def test_loss_of_each_stage_is_nt_xent_of_its_own_tower() -> None:
    learner, inputs = make(SYSTEM)
    batch = inputs.batch(np.arange(10))
    learner.module.eval()
    losses = []
    for number, stage in enumerate(learner.stages):
        pair = stage.views(batch, torch.Generator().manual_seed(1))
        tower, head = learner.module[f"tower_{number}"], learner.module[f"projector_{number}"]
        assert stage.loss is not None
        with torch.no_grad():
            z = torch.cat([normalize(head(tower(v).vector).double(), dim=1) for v in pair])
            scores = (z @ z.T / 0.2).fill_diagonal_(-torch.inf)
            expected = cross_entropy(scores, torch.cat([torch.arange(10) + 10, torch.arange(10)]))
            losses.append(float(stage.loss(pair)))
            assert losses[-1] == pytest.approx(float(expected), rel=2e-5)
    assert len(set(losses)) == 3  # each tower has initial weights of its own


def test_a_stage_moves_its_own_tower_only() -> None:
    learner, inputs = make(SYSTEM)
    marks: list[dict[str, torch.Tensor]] = []
    listener = training.Listener(
        on_step=lambda step, total, row: marks.append(
            {name: value.detach().clone() for name, value in learner.module.named_parameters()}
        )
    )
    settings = Training(steps=9, batch_size=8, device="cpu").resolved(SYSTEM.recipe, len(inputs))
    training.train(learner, inputs, settings, listener=listener)
    for number, (start, end) in enumerate([(0, 2), (3, 5), (6, 8)]):
        moved = {n.split(".")[0] for n, v in marks[end].items() if not torch.equal(v, marks[start][n])}
        assert moved == {f"tower_{number}", f"projector_{number}"}


def test_later_stages_draw_each_batch_from_one_cluster_of_all_earlier_stages() -> None:
    learner, inputs = make(SYSTEM)
    codes = learner.module["clusters"].codes
    kept: list[torch.Tensor] = []
    stages = []
    for stage in learner.stages:
        own = stage.begin

        def begin(inputs: training.Inputs, own=own) -> None:  # type: ignore[no-untyped-def]
            if own is not None:
                own(inputs)
            kept.append(codes.clone())

        stages.append(replace(stage, begin=begin))
    settings = Training(steps=9, batch_size=8, device="cpu").resolved(SYSTEM.recipe, len(inputs))
    watched = training.Learner(modules=learner.modules, encoders=learner.encoders, stages=tuple(stages))
    training.train(watched, inputs, settings)
    none, first, both = kept
    assert (none == -1).all()
    assert len(set(first.tolist())) == 2
    assert 2 < len(set(both.tolist())) <= 4
    for part in set(both.tolist()):  # the second partition only divides the first one
        assert len(set(first[both == part].tolist())) == 1
    assert learner.stages[0].order is None
    order = learner.stages[2].order
    assert order is not None
    assert all(len(set(both[rows].tolist())) == 1 for rows in order(inputs, 8, 0).epoch(5))


def test_the_result_is_all_towers_side_by_side() -> None:
    learner, _ = trained(SYSTEM)
    assert learner.encoders["image"].width == 3 * learner.modules["tower_0"].width
    pictures = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    learner.module.eval()
    with torch.no_grad():
        found = learner.embed("image", pictures)
        plain = learner.encoders["image"].plain(pictures)
        towers = [normalize(learner.module[f"tower_{n}"](plain).vector, dim=1) for n in range(3)]
    torch.testing.assert_close(found @ found.T, sum(tower @ tower.T for tower in towers) / 3)


def probe(trial: Trial, tower: encoders.Encoder, label: str | None) -> float:
    """A logistic regression on standardised vectors of one tower, written out."""
    vectors = []
    for side in (trial.reference, trial.scored):
        with torch.no_grad():
            pictures = side.inputs.prepared["image"].take(np.arange(len(side)))
            vectors.append(normalize(tower.eval()(tower.plain(pictures)).vector, dim=1).numpy())
    mean, deviation = vectors[0].mean(0), vectors[0].std(0) + 1e-8
    model = LogisticRegression(C=0.1, max_iter=1000)
    model.fit((vectors[0] - mean) / deviation, trial.reference.labels(label))
    return float(model.score((vectors[1] - mean) / deviation, trial.scored.labels(label)))


def test_controls_and_measures_of_the_claim() -> None:
    rng = np.random.default_rng(0)
    pictures = ImageColumn(list(rng.integers(0, 255, (90, 16, 16, 3), np.uint8)))
    data = Collection(
        {
            "image": pictures,
            "label": LabelColumn(np.arange(90) % 2, ["0", "1"]),
            "label:subgroup": LabelColumn(np.arange(90) % 3, ["a", "b", "c"]),
        },
        name="noise",
        splits={"train": np.arange(60), "validation": np.arange(60, 75), "test": np.arange(75, 90)},
    )
    ground = Ground.of(Bed(set="noise", size=16), data, {"image": {"name": "grid", "widths": (4, 8), "width": 6}})
    widths = {}
    for build in (mcl.build, mcl.independent, mcl.one_wide):
        trial = run_trial(
            ground, SYSTEM, build=build, settings={}, options={"steps": 9, "batch_size": 8}, seed=0, test=None
        )
        widths[build.__name__] = trial.scored.vectors().shape[1]
        if build is not mcl.one_wide:
            first, *_, last = trial.learner.encoders["image"].members
            last.load_state_dict(first.state_dict())
            assert mcl.change_of_digit(trial) == mcl.change_of_emoji(trial) == 0
            torch.nn.init.zeros_(
                first.norm.weight
            )  # now the first encoder tells nothing, and names the commonest class
            first.norm.bias.data.fill_(1.0)
            shares = [np.bincount(trial.scored.labels(label)).max() / 15 for label in (None, "subgroup")]
            assert mcl.change_of_digit(trial) == pytest.approx(probe(trial, last, None) - shares[0])
            assert mcl.change_of_emoji(trial) == pytest.approx(probe(trial, last, "subgroup") - shares[1])
    assert widths == {"build": 18, "independent": 18, "one_wide": 18}
