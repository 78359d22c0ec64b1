"""Recorded play of two Atari games: the window shows whom the stick moves, and the class is how it is moved."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from unalike.data.collection import Collection
from unalike.data.media import ClipColumn
from unalike.data.sets.drawing import Draws, write_frames
from unalike.data.sets.stored import groups_of, label_of, splits_of, write_rows
from unalike.errors import DataError, MissingExtra

SIDE, FRAMES = 24, 32
WINDOW = 72
"""Pixels of the screen that a frame shows, three by three as one."""
SKIP = 4
"""Frames of the console for each frame of a film, as is usual for these games: a film takes two seconds."""
GAMES = ("journey_escape", "zaxxon")
"""Games that scroll, so that two moments of a film show another scene and the same manner; and whose figure goes all
ways at once and can be seen at this size."""
RECORDINGS: Mapping[str, int] = {"train": 60, "validation": 20, "test": 40}
"""Of each split how many recordings of each game; one shows every class once."""
MANNERS: Mapping[str, Sequence[str]] = {
    "still": ("NOOP",),
    "sideways": ("LEFT", "LEFT", "RIGHT", "RIGHT"),
    "up and down": ("UP", "UP", "DOWN", "DOWN"),
    "diagonal": ("UPLEFT", "UPLEFT", "DOWNRIGHT", "DOWNRIGHT"),
    "round": ("LEFT", "UP", "RIGHT", "DOWN"),
}
"""By class the quarters of a period; each goes on and on."""
PERIOD = (7.0, 10.0)
"""Least and greatest, in frames of a film."""
STICK = ("NOOP", "UP", "DOWN", "LEFT", "RIGHT", "UPLEFT", "UPRIGHT", "DOWNLEFT", "DOWNRIGHT", "FIRE")
FIELD = slice(20, 200)
"""Rows of the screen that are no edge of it."""


class Console:
    """An emulated console with one game in it.

    Args:
        game: its name, as ale-py has it.
        seed: of whatever is random in the game.

    Raises:
        MissingExtra: ale-py is not installed.
    """

    def __init__(self, game: str, seed: int) -> None:
        try:
            import ale_py.roms
        except ImportError as error:
            raise MissingExtra("ale-py, which plays the games,", "games") from error
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._actions = {name: getattr(ale_py.Action, name) for name in STICK}
        self._ale: Any = ale_py.ALEInterface()
        self._ale.setInt("random_seed", seed)
        self._ale.setFloat("repeat_action_probability", 0.0)
        self._ale.loadROM(ale_py.roms.get_rom_path(game))  # type: ignore[arg-type]
        self._ale.reset_game()

    @property
    def lives(self) -> int:
        """How many are left; -1 when the game is over."""
        return -1 if self._ale.game_over() else int(self._ale.lives())

    def hold(self, stick: str, frames: int = SKIP) -> np.ndarray:
        """Hold the stick for some frames, at least two.

        Returns:
            The brighter of the last two in grey, uint8 ``(210, 160)``: many games show a thing in every other frame.
        """
        for _ in range(frames - 1):
            self._ale.act(self._actions[stick])
        before = self._ale.getScreenGrayscale()
        self._ale.act(self._actions[stick])
        return np.maximum(before, self._ale.getScreenGrayscale())

    def wander(self, draws: Draws, times: int) -> None:
        """Hold the stick at random so many times; a game that ends begins anew."""
        for _ in range(times):
            self.hold(STICK[draws.whole(len(STICK))], 6)
            if self.lives < 0:
                self._ale.reset_game()

    def figure(self, frames: int = 11) -> tuple[int, int] | None:
        """Row and column of whom the stick moves: the middle of what differs between left and right, up and down.

        None where either makes no difference. All is tried from the moment that it is, which is as it was afterwards.
        """
        now, seen = self._ale.cloneState(), []
        for stick in ("LEFT", "RIGHT", "UP", "DOWN"):
            seen.append(self.hold(stick, frames)[FIELD].astype(int))
            self._ale.restoreState(now)
        differs = [np.abs(one - other) > 20 for one, other in (seen[:2], seen[2:])]
        if min(places.sum() for places in differs) < 20:
            return None
        rows, columns = np.nonzero(differs[0] | differs[1])
        return FIELD.start + int(np.median(rows)), int(np.median(columns))


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    render(made, GAMES, RECORDINGS)


def render(made: Path, games: Sequence[str], recordings: Mapping[str, int]) -> None:
    """Play and keep the set: recordings of each game for each split, no two films alike."""
    (made / "films").mkdir()
    table, seen = [], set()  # type: ignore[var-annotated]
    numbers = [(split, number) for split, count in recordings.items() for number in range(count)]
    for game, (split, number) in itertools.product(games, numbers):
        for manner, frames in recording(game, Draws("games", game, split, number), seen).items():
            recorded = f"{game}-{split}-{number}"
            path = f"films/{recorded}-{manner.replace(' ', '-')}.webp"
            write_frames(made / path, [Image.fromarray(frame).convert("RGB") for frame in frames])
            table.append((path, manner, game, split, recorded))
    video, label, game_of, split_of, group = (list(column) for column in zip(*table, strict=True))
    write_rows(
        made / "rows.parquet",
        {"video": video, "label": label, "game": game_of},
        groups=np.array(group),
        splits={split: np.flatnonzero(np.array(split_of) == split) for split in recordings},
    )


def recording(game: str, draws: Draws, seen: set[bytes]) -> dict[str, np.ndarray]:
    """One game played from its start, and of it one film of each manner, in a random order with other play between.

    Args:
        game: its name.
        draws: all that is random.
        seen: films that are not to come again; the new ones are added.

    Returns:
        By manner uint8 ``(FRAMES, SIDE, SIDE)``.
    """
    console, films = Console(game, draws.whole(2**31 - 1)), {}
    console.wander(draws, 10 + draws.whole(30))
    for manner in [list(MANNERS)[place] for place in draws.shuffled(len(MANNERS))]:
        for _ in range(50):
            console.wander(draws, 3 + draws.whole(5))
            shown = film(console, MANNERS[manner], draws)
            if shown is not None and shown.tobytes() not in seen:
                break
        else:
            raise DataError(f"{game} was played 50 times and shows nobody whom the stick moves all ways")
        films[manner] = shown
        seen.add(shown.tobytes())
    return films


def film(console: Console, quarters: Sequence[str], draws: Draws) -> np.ndarray | None:
    """The frames of one film; None where the stick moves nobody, or where a life is lost before it ends."""
    at, before = console.figure(), console.lives
    if at is None:
        return None
    top, left = (min(max(place - WINDOW // 2, 0), edge - WINDOW) for place, edge in zip(at, (210, 160), strict=True))
    period, phase, mirrored = draws.number(*PERIOD), draws.number(), draws.whole(2) == 1
    frames = []
    for time in range(FRAMES):
        stick = quarters[int((phase + time / period) * len(quarters)) % len(quarters)]
        shown = console.hold(mirror(stick) if mirrored else stick)[top : top + WINDOW, left : left + WINDOW]
        small = shown.reshape(SIDE, WINDOW // SIDE, SIDE, WINDOW // SIDE).astype(int).sum((1, 3))
        frames.append((small // (WINDOW // SIDE) ** 2).astype(np.uint8))
    return np.stack(frames) if console.lives >= before else None


def mirror(stick: str) -> str:
    """Left for right.

    Example:
        >>> mirror("UPLEFT"), mirror("RIGHT"), mirror("UP")
        ('UPRIGHT', 'LEFT', 'UP')
    """
    other = {"LEFT": "RIGHT", "RIGHT": "LEFT"}
    side = next((side for side in other if stick.endswith(side)), "")
    return stick.removesuffix(side) + other.get(side, "")


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    return Collection(
        {
            "video": ClipColumn(table["video"].to_pylist(), root=folder),
            "label": label_of(table, "label"),
            "label:game": label_of(table, "game"),
        },
        name=name,
        ids=[Path(path).stem for path in table["video"].to_pylist()],
        splits=splits_of(table),
        groups=groups_of(table),
    )
