"""The set of recorded games: what crosses no split, that it is the same again, and that the stick does what it says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from unalike.data import Collection, cache_folder, card, fetch, is_fetched, open_set
from unalike.data.clips import iter_frames
from unalike.data.sets import games
from unalike.data.sets.drawing import Draws
from unalike.errors import DataError, MissingExtra

CACHE = cache_folder()
"""The machine's own: tests have one each."""
RECORDINGS = {"train": 3, "validation": 1, "test": 2}
GAME = "zaxxon"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    folder = tmp_path_factory.mktemp("games")
    games.render(folder, [GAME], RECORDINGS)
    return games.open_set("games", folder)


def frames_of(collection: Collection, row: int) -> np.ndarray:
    return np.stack([np.asarray(frame) for frame in iter_frames(collection["video"][row])])


def nothing_crosses(collection: Collection) -> None:
    """No recording is in two splits, and no film of one is a film of another, whatever it is called."""
    assert collection.groups is not None
    groups = {split: set(collection.groups[rows].tolist()) for split, rows in collection.splits.items()}
    alike = collection["video"].distinct()
    films = {split: set(alike[rows].tolist()) for split, rows in collection.splits.items()}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        for held in (groups, films):
            assert not held[one] & held[other]
        assert groups[one] and groups[other]
    assert len(set(alike.tolist())) == len(collection), "no film twice"


def test_no_recording_crosses_a_split_and_each_shows_every_manner(made: Collection) -> None:
    nothing_crosses(made)
    assert made.groups is not None
    for split, rows in made.splits.items():
        assert len(rows) == RECORDINGS[split] * len(games.MANNERS)
        for group in set(made.groups[rows].tolist()):
            shown = [made["label"][int(row)] for row in rows if made.groups[row] == group]
            assert sorted(shown) == sorted(games.MANNERS)
    assert {made["label:game"][row] for row in range(len(made))} == {GAME}


@pytest.mark.skipif(not is_fetched("games", cache=CACHE), reason="games have not been made here")
def test_nothing_crosses_in_the_whole_set_and_the_card_counts_right() -> None:
    whole, stated = open_set("games", cache=CACHE), card("games")
    nothing_crosses(whole)
    assert {split: len(rows) for split, rows in whole.splits.items()} == dict(stated.splits)
    assert whole.groups is not None
    assert stated.counts["groups"] == len(set(whole.groups.tolist()))
    assert stated.counts["classes"] == len(games.MANNERS)
    # The same recording as the one that is played here.
    again = games.recording(GAME, Draws("games", GAME, "test", 0), set())
    row = whole.ids.index(f"{GAME}-test-0-up-and-down")
    np.testing.assert_array_equal(frames_of(whole, row)[..., 0], again["up and down"])


def test_films_are_kept_without_loss_and_the_same_again(made: Collection) -> None:
    again = games.recording(GAME, Draws("games", GAME, "train", 1), set())
    for manner, frames in again.items():
        row = made.ids.index(f"{GAME}-train-1-{manner.replace(' ', '-')}")
        kept = frames_of(made, row).astype(int)
        assert kept.shape == (games.FRAMES, games.SIDE, games.SIDE, 3)
        differs = np.abs(kept - frames[..., None].astype(int))
        assert differs[:, 0, 0].max() <= 1
        differs[:, 0, 0] = 0
        assert not differs.any()


def test_a_film_that_was_seen_does_not_come_again() -> None:
    seen: set[bytes] = set()
    first = games.recording(GAME, Draws("again"), seen)
    second = games.recording(GAME, Draws("again"), seen)
    assert len(seen) == 2 * len(games.MANNERS)
    assert not {film.tobytes() for film in first.values()} & {film.tobytes() for film in second.values()}


def test_the_window_holds_whom_the_stick_moves_and_trying_changes_nothing() -> None:
    console, other = games.Console("boxing", 3), games.Console("boxing", 3)
    for each in (console, other):
        each.wander(Draws("figure"), 12)
    at = console.figure()
    assert at is not None
    np.testing.assert_array_equal(console.hold("NOOP"), other.hold("NOOP"))
    # The player's boxer is the bright one, and alone in being so.
    rows, columns = np.nonzero(other.hold("NOOP")[40:180, 34:126] > 180)
    assert abs(at[0] - 40 - np.median(rows)) < 20 and abs(at[1] - 34 - np.median(columns)) < 20


def test_the_stick_goes_where_it_is_held() -> None:
    console = games.Console("boxing", 3)
    console.wander(Draws("figure"), 12)

    def boxer(stick: str) -> np.ndarray:
        shown = console.hold(stick, 12)
        return np.array([places.mean() for places in np.nonzero(shown[40:180, 34:126] > 180)])

    at = boxer("NOOP")
    for stick, way in (("RIGHT", (0, 1)), ("DOWN", (1, 0)), ("LEFT", (0, -1)), ("UP", (-1, 0))):
        moved = boxer(stick) - at
        assert moved @ np.array(way) > 1, stick
        at = at + moved
    for manner, quarters in games.MANNERS.items():
        assert set(quarters) <= set(games.STICK), manner
        assert {games.mirror(stick) for stick in quarters} <= set(games.STICK)
        assert [games.mirror(games.mirror(stick)) for stick in quarters] == list(quarters)


def test_a_game_without_anyone_to_move_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(games.Console, "figure", lambda self: None)
    with pytest.raises(DataError, match="zaxxon was played 50 times"):
        games.recording(GAME, Draws("nobody"), set())


def test_without_ale_py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "ale_py"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(MissingExtra, match=r"pip install 'unalike\[games\]'"):
        fetch("games", cache=tmp_path)
    assert not is_fetched("games", cache=tmp_path)
