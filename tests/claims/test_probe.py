"""Probes: edits that cannot change a number leave a row current, edits that change the science turn it stale."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from unalike import systems
from unalike.checks import probing
from unalike.claims import probe as probes
from unalike.claims import read_row, trial
from unalike.claims.precise import in_float64
from unalike.claims.probe import Probe, claim_digest, compared, read_probe
from unalike.records import Arm
from unalike.settings import read_dataclass

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
ROW = "mochi"  # measured on a set that the package embeds

ARM = {
    "loss64": (1.5, 1.25),
    "weights64": {"encoder": (3.0, 4.0)},
    "vectors64": {"image": (0.1, 0.2)},
    "metrics64": {"accuracy": 0.5},
    "floors64": {"accuracy": {"chance": 0.1}},
    "choice64": (0.5, 0.4, 0.0),
    "loss32": (1.5, 1.25),
    "plan": {"stages": [(0, 8)], "order": ["abc"]},
}


def probe(**changes: object) -> Probe:
    where = changes.pop("where", {"torch": "2"})
    arm = json.loads(json.dumps(ARM | changes))
    return Probe(slug="a", code="0", claim="c", judged={"accuracy": (0.1, 0.0, 0.2)}, where=where, arms={"system": arm})


@pytest.mark.parametrize(
    ("changes", "state", "word"),
    [
        ({}, "current", ""),
        ({"loss64": (1.5 + 1e-12, 1.25)}, "current", ""),
        ({"loss64": (1.5, 1.25 + 1e-8)}, "stale", "step 2"),
        ({"loss64": (1.5,)}, "stale", "2 steps"),
        ({"weights64": {"encoder": (3.0, 4.001)}}, "stale", "encoder"),
        ({"vectors64": {"image": (0.1, 0.3)}}, "stale", "image"),
        ({"metrics64": {"accuracy": 0.501}}, "stale", "accuracy"),
        ({"metrics64": {"accuracy": 0.501}, "where": {"torch": "3"}}, "current", ""),
        ({"floors64": {"accuracy": {"chance": 0.0}}}, "stale", "floors"),
        ({"choice64": (-0.5, -0.4, 1.0)}, "stale", "choice"),
        ({"plan": {"stages": [(0, 9)], "order": ["abc"]}}, "stale", "stages"),
        ({"plan": {"stages": [(0, 8)], "order": ["abd"]}}, "stale", "order"),
        ({"loss32": (1.5 * (1 + 3e-7), 1.25)}, "current to rounding", "float32"),
        ({"loss32": (1.5 * (1 + 1e-4), 1.25)}, "stale", "float32"),
        ({"loss32": (1.5, 1.26)}, "stale", "float32"),
    ],
)
def test_what_a_difference_means(changes, state, word):
    found = compared(probe(), probe(**changes))
    assert found.state == state, found
    assert word in " ".join(found.reasons)


def test_a_claim_is_told_by_what_differs_from_the_defaults(monkeypatch):
    claim = systems.find("dcl").claim
    before = claim_digest(claim)
    assert claim_digest(replace(claim, sentence="In other words")) == before
    assert claim_digest(replace(claim, arms={**claim.arms, "another": Arm()})) != before
    assert claim_digest(replace(claim, training={**claim.training, "weight_decay": 0.5})) != before
    first, *others = claim.measures
    assert claim_digest(replace(claim, measures=(replace(first, margin=0.1), *others))) != before
    # A field that records get later, with a default, says nothing about claims that were written before.
    wider = dataclasses.make_dataclass("Arm", [("extra", int, 0)], bases=(Arm,), frozen=True, kw_only=True)
    old = claim.arms[next(iter(claim.arms))]
    told = {each.name: getattr(old, each.name) for each in dataclasses.fields(Arm)}
    arms = {**claim.arms, next(iter(claim.arms)): wider(**told)}
    assert claim_digest(replace(claim, arms=arms)) == before


def test_float64_holds_whatever_the_code_asks_for():
    with in_float64():
        layer = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))
        inputs = torch.ones(2, 4, dtype=torch.float32).float()
        kept = torch.zeros(3)
        kept[0] = layer(inputs.to(torch.float32)).sum().float()
        mixed = inputs @ torch.from_numpy(np.eye(4, dtype=np.float32))
        layer(inputs).sum().backward()
    assert inputs.dtype == kept.dtype == mixed.dtype == layer[0].weight.grad.dtype == torch.float64
    assert torch.ones(1).dtype == torch.float32


@pytest.mark.slow
def test_rounding_and_change_are_far_apart(tmp_path, monkeypatch):
    """Another number of threads is rounding; another weight decay is not, though it moves the loss by little."""
    row = read_row(RESULTS / f"{ROW}.json")

    def losses():
        return probing.arm_probe(systems.find(ROW), "baseline", row, tmp_path).loss64

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one = losses()
    torch.set_num_threads(2)
    two = losses()
    torch.set_num_threads(threads)
    assert probes.same(one, two, probes.EXACT)
    monkeypatch.setattr(trial, "COMMON", replace(trial.COMMON, weight_decay=1e-3))
    assert not probes.same(one, losses(), 100 * probes.EXACT)


# ruff: noqa: E501 (an edit a line)
EDITS = {
    # What cannot change a number.
    "a new kind of system": ("records.py", 'Literal["learner", ', 'Literal["oracle", "learner", ', "current"),
    "a new modality": ("records.py", '    "image", "text", ', '    "smell", "image", "text", ', "current"),
    "an optional field of an arm": ("records.py", "    bed: Bed | None = None\n", "    bed: Bed | None = None\n    new: int = 0\n", "current"),
    "an optional setting of training": ("training/settings.py", "    seed: int = 0\n", "    seed: int = 0\n    new: int = 0\n", "current"),
    "an optional hook of a learner": ("training/learner.py", "    frozen: tuple[str, ...] = ()\n", "    frozen: tuple[str, ...] = ()\n    new: int = 0\n", "current"),
    "the wording of an error": ("training/loop.py", "Lower the learning rate", "Please lower the learning rate", "current"),
    "a quoted annotation": ("training/loop.py", "def pick_device(name: str)", 'def pick_device(name: "str")', "current"),
    # What changes the science.
    "the sign of the tuning choice": ("checks/works/learner.py", "sign * measured(", "-sign * measured(", "stale"),
    "the worst point of the grid": ("claims/harness.py", "np.argmax(scores)", "np.argmin(scores)", "stale"),
    "another quantile of t": ("claims/verdict.py", "(1 + level) / 2, len(values)", "level, len(values)", "stale"),
    "floors set to nothing": ("checks/works/learner.py", "floor: measured(name, other)", "floor: 0.0", "stale"),
    "a learning rate one per cent higher": ("training/optimizers.py", "return training.learning_rate * ", "return 1.01 * training.learning_rate * ", "stale"),
    "another order of the rows": ("training/order.py", '"order": 1', '"order": 9', "stale"),
    "a wider view": ("views/presets.py", "crop_scale=(0.7", "crop_scale=(0.6", "stale"),
}  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The probe of one arm on the code that is here."""
    folder = tmp_path_factory.mktemp("results")
    shutil.copy(RESULTS / f"{ROW}.json", folder)
    told = run(ROOT / "src", folder, "keep")
    assert told == "kept", told
    return folder


SCRIPT = """
import sys
from pathlib import Path
from unalike.checks import probing
from unalike.claims import read_row, trial
from unalike.claims.probe import compared, read_probe
slug, folder, what = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
made = probing.make_probe(slug, read_row(folder / f"{slug}.json"), arms=["system"])
if what == "keep":
    made.save(folder)
    print("kept")
else:
    found = compared(read_probe(folder, slug), made)
    print(found.state, "|", "; ".join(found.reasons))
"""


def run(source: Path, folder: Path, what: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, ROW, str(folder), what], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_tells_itself(name, stored, tmp_path):
    file, before, after, expected = EDITS[name]
    source = tmp_path / "src"
    shutil.copytree(
        ROOT / "src" / "unalike", source / "unalike", ignore=shutil.ignore_patterns("embedded", "__pycache__")
    )
    (source / "unalike" / "data" / "embedded").symlink_to(ROOT / "src" / "unalike" / "data" / "embedded")
    path = source / "unalike" / file
    text = path.read_text(encoding="utf-8")
    assert before in text, f"{file} has no {before!r} any more: the edit must follow it"
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    told = run(source, stored, "compare")
    assert told.startswith(f"{expected} |"), told


def test_every_row_has_a_probe_of_its_claim():
    """The claim as data and what follows from the values are those of the probe."""
    for path in sorted(RESULTS.glob("*.json")):
        found = read_probe(RESULTS, path.stem)
        assert found is not None, f"{path.stem} has no probe: unalike check {path.stem}"
        assert found.claim == claim_digest(systems.find(path.stem).claim), path.stem
        assert probes.same(dict(found.judged), probing.judged(read_row(path)), 1e-10), path.stem
        assert read_dataclass(Probe, json.loads(json.dumps(dataclasses.asdict(found))), "probe") == found
