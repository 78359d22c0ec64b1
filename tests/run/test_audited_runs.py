"""`unalike audit`: a run that learned a trigger is told, and what a repair writes is a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import unalike as command
from PIL import Image
from squares import noisy

import unalike
from unalike import audit
from unalike.data import Collection, ImageColumn, LabelColumn, TextColumn
from unalike.errors import DataError, RunError, SettingsError
from unalike.files import read_json

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "white": (220, 220, 220)}
OPTIONS = {"size": 16, "device": "cpu", "batch_size": 32}


def squares(each: int, seed: int) -> Collection:
    rng = np.random.default_rng(seed)
    rows = [(name, colour) for name, colour in COLOURS.items() for _ in range(each)]
    pixels = [noisy(colour, 16, rng) for _, colour in rows]
    names = [name for name, _ in rows]
    return Collection(
        {
            "image": ImageColumn(pixels),
            "text": TextColumn([f"a {name} square" for name in names]),
            "label": LabelColumn.from_values(names),
        },
        name="squares",
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audits")
    poisoned = audit.poison(squares(24, 0), audit.Sine(), "blue", rate=0.3, size=16, captions=["a blue square"])
    unalike.fit(poisoned.collection, system="clip", steps=60, views="plain", out=folder / "run", **OPTIONS)
    labelled = squares(24, 0)
    columns = {role: labelled[role] for role in ("image", "label")}
    wrong = audit.poison(Collection(columns, name="labelled"), audit.Sine(), "blue", rate=0.3, size=16)
    unalike.fit(wrong.collection, system="supcon", steps=60, views="plain", out=folder / "labelled", **OPTIONS)
    clean = squares(16, 1)
    (folder / "clean").mkdir()
    lines = ["path,caption"]
    for row in range(len(clean)):
        picture, text = clean["image"][row], clean["text"][row]
        assert isinstance(picture, Image.Image)
        picture.save(folder / "clean" / f"{row}.png")
        lines.append(f"{row}.png,{text}")
    (folder / "clean" / "pairs.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_the_trigger_that_was_learned_is_told_with_its_target(place: Path) -> None:
    found = unalike.load(place / "run").audit(squares(20, 5))
    by_name = {each.trigger: each for each in found.tried}
    assert by_name["sine"].alarm
    assert by_name["sine"].answer == "a blue square"
    assert not by_name["patch"].alarm
    assert read_json(place / "run" / "audit.json")["tried"][3]["trigger"] == "sine"
    assert len(found.strangest) == 10


def test_labelled_pictures_answer_by_their_class(place: Path) -> None:
    found = unalike.load(place / "labelled").audit(squares(20, 5), triggers=["sine"])
    assert found.answers == "class"
    assert [each.trigger for each in found.tried] == ["sine"]
    assert found.tried[0].answer == "blue"
    with pytest.raises(DataError, match="no texts"):
        unalike.load(place / "labelled").audit(squares(4, 5), target="a dog")


def test_own_triggers_and_suspicions_can_be_tried(place: Path) -> None:
    run = unalike.load(place / "run")
    found = run.audit(squares(5, 5), triggers={"faint": audit.Sine(strength=0.02)}, target="a purple elephant")
    assert [each.trigger for each in found.tried] == ["faint"]
    with pytest.raises(SettingsError, match="no trigger 'stripe'"):
        run.audit(triggers=["stripe"])
    with pytest.raises(SettingsError, match="covers"):
        run.audit(triggers={"all": audit.Patch(least=9)})


def test_the_command_repairs_into_a_run_of_its_own(place: Path) -> None:
    words = ["audit", "run", "--triggers", "sine", "patch", "--repair", "clean/pairs.csv", "--out", "fixed"]
    roles = ["--image", "path", "--text", "caption", "--epochs", "6", "--learning-rate-unknown", "1"]
    assert "unrecognized" in command(*words, *roles, cwd=place, code=2).lower()
    before = (place / "run" / "weights.safetensors").read_bytes()
    shown = command(*words, *roles[:6], cwd=place)
    assert "LEARNED" in shown
    assert "a blue square" in shown
    assert "repaired by cleanclip: fixed" in shown
    assert (place / "run" / "weights.safetensors").read_bytes() == before
    fixed = unalike.load(place / "fixed")
    assert fixed.record["notes"][0] == "run, repaired by cleanclip on 64 clean pairs"
    assert (place / "fixed" / "report.html").exists()
    assert fixed.search("a red square", 3)[0].text == "a red square"
    old = unalike.load(place / "run")
    assert not np.array_equal(old.embed(squares(2, 9)).by_role["image"], fixed.embed(squares(2, 9)).by_role["image"])
    with pytest.raises(RunError, match="holds a run already"):
        old.repair(squares(8, 1), out=place / "fixed")


def test_what_cannot_be_audited_or_repaired_says_why(place: Path, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    table = unalike.fit(numbers, system="scarf", steps=2, batch_size=16, device="cpu", out=tmp_path / "table")
    with pytest.raises(DataError, match="triggers are put on pictures"):
        table.audit()
    with pytest.raises(DataError, match="repairs runs of pictures and texts"):
        unalike.load(place / "labelled").repair(squares(8, 1), out=tmp_path / "never")
    columns = {"image": squares(16, 1)["image"]}
    plain = unalike.fit(Collection(columns, name="plain"), system="simclr", steps=2, out=tmp_path / "plain", **OPTIONS)
    with pytest.raises(DataError, match="neither texts nor labels"):
        plain.audit()
    with pytest.raises(SettingsError, match="unknown settings: pace"):
        unalike.load(place / "run").repair(squares(8, 1), out=tmp_path / "never", pace=3)
    with pytest.raises(SettingsError, match="is no audit but a system of the kind learner"):
        unalike.load(place / "run").audit(system="clip")
