"""Which tests run for a change, and what they may cost."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from suite import change, tiers
from suite.budget import SLACK, SLOW, Ledger
from suite.change import Change, found_change, reached_systems, turn_of

from unalike import systems

ROOT = Path(__file__).parents[1]
SLUGS = {system.slug for system in systems.all_systems()}
IDENTITY = ["-c", "user.name=A", "-c", "user.email=a@example.org"]


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *IDENTITY, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One commit on main, another on a branch."""
    monkeypatch.delenv("UNALIKE_TEST_BASE", raising=False)
    git(tmp_path, "init", "--initial-branch", "main")
    for branch, name in (("main", "landed.py"), ("work", "mine.py")):
        git(tmp_path, "checkout", "-B", branch)
        (tmp_path / name).write_text("one = 1\n")
        git(tmp_path, "add", name)
        git(tmp_path, "commit", "-m", name)
    return tmp_path


def test_a_change_is_what_differs_from_where_the_branch_left_main(checkout: Path) -> None:
    assert found_change(checkout).files == ("mine.py",)
    (checkout / "landed.py").write_text("one = 2\n")
    (checkout / "new.py").write_text("")
    assert found_change(checkout).files == ("landed.py", "mine.py", "new.py")
    git(checkout, "stash", "--include-untracked")
    git(checkout, "checkout", "main")
    assert found_change(checkout) == Change(None)
    (checkout / "landed.py").write_text("one = 3\n")
    assert found_change(checkout).files == ("landed.py",)


def test_a_base_can_be_named_and_without_one_nothing_is_known(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("UNALIKE_TEST_BASE", "work")
    assert found_change(checkout) == Change(None)
    monkeypatch.setenv("UNALIKE_TEST_BASE", "nowhere")
    with pytest.raises(ValueError, match="UNALIKE_TEST_BASE=nowhere is no commit"):
        found_change(checkout)
    monkeypatch.delenv("UNALIKE_TEST_BASE")
    git(checkout, "branch", "-D", "main")
    assert found_change(checkout) == Change(None)
    plain = tmp_path_factory.mktemp("plain")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(plain.parent))
    assert found_change(plain) == Change(None)


def test_the_turn_moves_on_with_the_commits(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert turn_of(checkout) == 2
    git(checkout, "commit", "--allow-empty", "-m", "more")
    assert turn_of(checkout) == 3
    shallow = tmp_path_factory.mktemp("shallow")
    git(shallow, "clone", "--depth", "1", f"file://{checkout}", "copy")
    assert turn_of(shallow / "copy") in range(6)


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch):
    """The systems that are reached if the base had had another text in a file of the package."""

    def reached(name: str, here: str, before: str) -> set[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert here in text
        monkeypatch.setattr(change, "git", lambda *words, root=None: text.replace(here, before))
        return reached_systems(Change("base", (name,)))

    return reached


def test_a_change_reaches_the_systems_that_use_what_is_changed(edited) -> None:
    objectives = "src/unalike/objectives/contrastive.py"
    assert edited(objectives, "(sums.negative - sums.mean).mean()", "sums.negative.mean()") >= {"dcl"}
    assert not edited(objectives, "(sums.negative - sums.mean).mean()", "sums.negative.mean()") & {"simclr", "clip"}
    assert edited(objectives, "views=2", "views=3") >= {"simclr", "slip"}
    assert edited("src/unalike/systems/image/dcl.py", "def build", "def built") == {"dcl"}
    assert edited("src/unalike/encoders/sasrec.py", "class SASRec", "class SAS") == {"sasrec", "cl4srec", "mclrec"}
    learners = {system.slug for system in systems.all_systems(kind="learner")}
    assert edited("src/unalike/training/loop.py", "total += value", "total -= value") >= learners
    assert not edited("src/unalike/training/loop.py", '"""The training loop.', '"""A loop.')
    assert not edited("src/unalike/search/index.py", "class ", "class Other")


@pytest.mark.parametrize(
    ("files", "base"),
    [
        (("pyproject.toml",), "base"),
        (("tests/suite/change.py",), "base"),
        (("src/unalike/objectives/native/kernel.c",), "base"),
        ((), None),
    ],
)
def test_what_concerns_all_reaches_all(files: tuple[str, ...], base: str | None) -> None:
    assert reached_systems(Change(base, files)) == SLUGS


def test_an_import_from_elsewhere_is_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    path, text = ROOT / "src/unalike/x.py", "from unalike.{} import f\ndef g(): return f()\n"
    one, other, same = (change.meanings(path, text.format(name)) for name in ("a", "b", "a"))
    assert one["g"] != other["g"]
    assert one == same


class Item(SimpleNamespace):
    """As much of a test as the choice looks at."""

    def __init__(self, file: str, marks: tuple[pytest.MarkDecorator, ...] = (), **given: object) -> None:
        super().__init__(path=ROOT / file, marks=[mark.mark for mark in marks], callspec=SimpleNamespace(params=given))

    def iter_markers(self, name: str):
        return (mark for mark in self.marks if mark.name == name)

    def get_closest_marker(self, name: str):
        return next(self.iter_markers(name), None)


def test_what_a_test_is_about() -> None:
    about = tiers.systems_of
    assert about(Item("tests/systems/test_contract.py", system=systems.find("dcl"))) == {"dcl"}
    assert about(Item("tests/run/test_run.py", slug="dcl")) == {"dcl"}
    assert about(Item("tests/run/test_run.py", name="clip")) == set()
    assert about(Item("tests/docs/test_pages.py", page=ROOT / "docs/systems/ft.md")) == {"ft"}
    assert about(Item("tests/docs/test_pages.py", page=ROOT / "docs/pairs.md")) == set()
    assert about(Item("tests/systems/test_whitenedcse.py")) == {"whitenedcse"}
    assert about(Item("tests/systems/test_queues.py", (pytest.mark.systems("ft", "mochi"),))) == {"ft", "mochi"}


def test_every_file_of_tests_of_systems_says_which() -> None:
    for path in (ROOT / "tests" / "systems").glob("test_*.py"):
        named = path.stem.removeprefix("test_").replace("_", "-") in SLUGS
        text = path.read_text(encoding="utf-8")
        assert named or "mark.systems(" in text or '"slug"' in text or path.stem == "test_contract", path.name


def test_what_runs_for_a_change() -> None:
    turn = tiers.part_of("ft")
    other = next(slug for slug in sorted(SLUGS) if tiers.part_of(slug) not in (turn, tiers.part_of("dcl")))
    chosen = tiers.Choice("base", ("tests/run/test_run.py", "src/unalike/cli/x.py"), ("dcl",), turn)

    def runs(*parts: object, choice: tiers.Choice = chosen, **given: object) -> bool:
        return tiers.runs(Item(*parts, **given), choice)  # type: ignore[arg-type]

    contract, pages = "tests/systems/test_contract.py", "tests/docs/test_pages.py"
    assert runs("tests/data/test_images.py")
    assert [runs(contract, slug=slug) for slug in ("dcl", "ft", other)] == [True, True, False]
    assert runs("tests/run/test_run.py", slug=other), "the test itself has changed"
    dear, watching = (pytest.mark.in_turn,), (pytest.mark.in_turn("src/unalike/cli/"),)
    files = [f"tests/data/test_{number}.py" for number in range(60)]
    assert 0 < sum(runs(file, dear) for file in files) < 30
    assert all(runs(file, watching) for file in files)
    unknown = tiers.Choice(None, (), tuple(sorted(SLUGS)), turn)
    assert runs(contract, choice=unknown, slug=other)
    assert not runs(pages, dear, choice=unknown, slug=other)
    assert runs(pages, dear, choice=unknown, slug="ft")


def test_six_turns_test_everything() -> None:
    for slug in SLUGS:
        choices = [tiers.Choice("base", (), (), turn) for turn in range(tiers.PARTS)]
        assert sum(tiers.runs(Item("tests/systems/test_contract.py", slug=slug), each) for each in choices) == 1  # type: ignore[arg-type]


def test_a_slow_test_without_its_mark_is_held_against_the_run() -> None:
    ledger = Ledger({"grew": 4.0, "stored": SLOW + 1, "honest": SLOW + 1})
    ledger.seconds = {"grew": SLACK * 4 + 1, "stored": 1.0, "honest": 40.0, "noisy": SLACK * SLOW - 1, "new": 31.0}
    ledger.marked = {"honest"}
    assert [line.partition(":")[0] for line in ledger.unmarked()] == ["stored"]
    assert [line.partition(":")[0] for line in ledger.grown()] == ["grew", "honest", "new", "noisy"]
