"""The hash of the code that a result depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from unalike import systems
from unalike.claims import code, code_hash


def file(slug: str) -> Path:
    return Path(systems.find(slug).module.__file__ or "")


@pytest.fixture
def changed(monkeypatch):
    """Reads files as they are, but for those whose content is put here."""
    contents: dict[Path, str] = {}
    read = Path.read_text

    def forget():
        code.outline.cache_clear()
        code.stub.cache_clear()

    def change(name: str, before: str, after: str) -> None:
        path = code.PACKAGE / name
        text = contents.get(path, read(path, encoding="utf-8"))
        assert before in text
        contents[path] = text.replace(before, after, 1)
        forget()

    monkeypatch.setattr(Path, "read_text", lambda path, **options: contents.get(path, read(path, **options)))
    yield change
    monkeypatch.undo()
    forget()


def parts(slug: str) -> set[str]:
    return {f"{path.relative_to(code.PACKAGE)}:{name}" for path, name in code.reached([file(slug)])}


def test_a_system_reaches_its_own_objective_and_no_other():
    found = parts("simclr")
    for expected in (
        "systems/image/simclr.py:build",
        "objectives/contrastive.py:nt_xent",
        "objectives/contrastive.py:coupled",
        "objectives/score.py:Sums",
        "views/presets.py:simclr",
        "encoders/heads.py:projector",
        "training/learner.py:Learner",
    ):
        assert expected in found, expected
    others = (
        "objectives/contrastive.py:decoupled",
        "objectives/metric.py",
        "systems/image/byol.py",
        "cli/",
        "views/text",
    )
    assert not [each for each in found if each.startswith(others)]
    assert "encoders/ema.py:EMATeacher" in parts("moco-v2")
    assert not [each for each in found if each.startswith("encoders/ema.py")]


def test_only_what_the_code_does_counts(changed):
    before = code_hash([file("simclr")])
    changed("objectives/contrastive.py", '"""NT-Xent: of all', '"""Of all')
    changed("objectives/contrastive.py", "\n\n\n", "\n\n\n# A remark.\n")
    assert code_hash([file("simclr")]) == before
    changed("objectives/contrastive.py", "views=2", "views=3")
    assert code_hash([file("simclr")]) != before


def test_a_neighbour_in_the_same_file_does_not_count(changed):
    simclr, dcl = code_hash([file("simclr")]), code_hash([file("dcl")])
    changed("objectives/contrastive.py", "(sums.negative - sums.mean).mean()", "(sums.negative + sums.mean).mean()")
    assert code_hash([file("simclr")]) == simclr
    assert code_hash([file("dcl")]) != dcl


def test_what_a_file_does_when_it_is_imported_counts(changed):
    before = code_hash([file("simclr")])
    changed("objectives/contrastive.py", "\n\n\n", "\n\nprint('loaded')\n\n")
    assert code_hash([file("simclr")]) != before


def test_a_constant_of_another_file_counts(changed):
    before = code_hash([file("simclr")])
    changed("views/color.py", "HUE", "HUES")
    assert code_hash([file("simclr")]) != before


def test_of_a_table_of_choices_only_what_was_chosen_counts(changed):
    from unalike.checks.depends import claim_code

    before = claim_code(systems.find("dcl"))
    changed("encoders/kinds.py", '"vit": VisionTransformer,', '"vit": VisionTransformer, "other": VisionTransformer,')
    changed("claims/metrics.py", '"tolerance": Metric(tolerance),', '"other": Metric(tolerance),')
    changed("encoders/vit.py", "self.pool = pool", "self.pool = 'mean'")
    assert claim_code(systems.find("dcl")) == before
    changed("encoders/gridnet.py", "self.instance = instance", "self.instance = True")
    after = claim_code(systems.find("dcl"))
    changed("claims/metrics.py", "k: int = 20", "k: int = 21")
    assert len({before, after, claim_code(systems.find("dcl"))}) == 3
