"""SupReMix: how targets reach the loss, and what a user sees of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_contract import make
from torch import Tensor
from torch.nn.functional import normalize

import unalike
from unalike import objectives, systems
from unalike.cli.arguments import take_roles
from unalike.errors import DataError, SettingsError

SYSTEM = systems.find("supremix")


def test_the_loss_sees_both_views_and_their_targets_in_levels() -> None:
    learner, inputs = make(SYSTEM)
    inputs = dataclasses.replace(inputs, targets=np.linspace(-20, 30, 24, dtype=np.float32))
    rows = np.array([3, 20, 7, 8, 23, 0])
    learner.module.eval()
    pair, targets, generator = learner.views(inputs.batch(rows), torch.Generator().manual_seed(1))
    expected = np.round(rows / 23 * 100)
    assert targets.tolist() == expected.tolist()
    state = generator.get_state()
    with torch.no_grad():
        z = [normalize(learner.module["projector"](learner.encoders["image"](view).vector), dim=1) for view in pair]
        s = SYSTEM.settings()
        reference = objectives.supremix(
            torch.cat(z),
            torch.tensor([*expected, *expected]),
            temperature=s.temperature,
            window=s.window,
            mixtures=s.mixtures,
            beta=s.beta,
            generator=torch.Generator().set_state(state),
        )
        assert float(learner.loss((pair, targets, generator))) == pytest.approx(float(reference), rel=1e-5)


def test_targets_that_do_not_differ_are_refused() -> None:
    learner, inputs = make(SYSTEM)
    same = dataclasses.replace(inputs, targets=np.full(24, 7, np.float32))
    with pytest.raises(DataError, match=r"every target is 7\.0"):
        learner.views(same.batch(np.arange(4)), torch.Generator().manual_seed(1))


def test_the_controls_learn_too() -> None:
    for build in (SYSTEM.module.supcon_on_levels, SYSTEM.module.regression):
        learner, inputs = make(dataclasses.replace(SYSTEM, build=build))
        seen = learner.views(inputs.batch(np.arange(24)), torch.Generator().manual_seed(1))
        loss: Tensor = learner.loss(seen)
        loss.backward()
        assert all(parameter.grad is not None for parameter in learner.parameters)


def test_regression_is_the_absolute_error_of_both_views() -> None:
    learner, inputs = make(dataclasses.replace(SYSTEM, build=SYSTEM.module.regression))
    learner.module.eval()
    pair, targets = learner.views(inputs.batch(np.arange(8)), torch.Generator().manual_seed(1))
    assert targets.tolist() == [0, 17, 33, 50, 67, 83, 100, 0]
    with torch.no_grad():
        errors = [
            learner.module["head"](learner.encoders["image"](v).vector).flatten() - (targets / 50 - 1) for v in pair
        ]
        assert torch.allclose(learner.loss((pair, targets)), torch.cat(errors).abs().mean(), atol=1e-6)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 24 pictures that get brighter with age; two ages are missing."""
    folder = tmp_path_factory.mktemp("faces")
    lines = ["path,age"]
    for number in range(24):
        Image.new("RGB", (16, 16), (10 * number, 128, 60)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{'' if number in (4, 9) else 20 + 2.5 * number}")
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")
    return folder / "faces.csv"


def test_a_table_with_a_target_is_learned_from(faces: Path, tmp_path: Path) -> None:
    roles = {"image": "path", "array:target": "age"}
    run = unalike.fit(faces, system="supremix", roles=roles, steps=3, batch_size=8, size=16, out=tmp_path / "run")
    (error,) = [score for score in run.scores if score.name.startswith("the target from image")]
    assert {"always the median", "untrained encoder", "raw pixels"} == set(error.floors)
    assert 0 <= error.value < 60 and not error.higher_is_better
    assert "2 of 24 rows have no target and are left out" in run.record["notes"]
    assert run.embed(faces, roles={"image": "path"}).vectors.shape[0] == 24


def test_a_missing_target_is_told(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"supremix learns to predict a number .* --target COLUMN"):
        unalike.fit(faces, system="supremix", roles={"image": "path"}, steps=3, out=tmp_path / "run")


def test_a_target_is_never_learned_from_as_a_feature(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b,age\n" + "".join(f"{i},{i % 5},{i * 3}\n" for i in range(20)))
    roles = {"array": "a,b", "array:target": "age"}
    run = unalike.fit(table, system="scarf", roles=roles, steps=2, batch_size=8, out=tmp_path / "run")
    assert run.spec.roles == {"array": ("array",)}


def test_the_command_line_takes_a_target() -> None:
    words = ["faces.csv", "--image", "path", "--target=age", "--system", "supremix"]
    assert take_roles(words) == (["faces.csv", "--system", "supremix"], {"image": "path", "array:target": "age"})
    with pytest.raises(SettingsError, match="--target needs the name of a column"):
        take_roles(["faces.csv", "--target"])
