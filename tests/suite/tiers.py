"""Which tests run: ``--tier fast``, ``--tier change`` or all of them.

fast
    What is marked ``fast``: one training of every system, and the plan of the house.
change
    All unit tests. Of the tests of systems those of systems that the change reaches, and of a sixth of the others. Of
    what is marked ``in_turn`` or ``slow`` (dear, and seldom broken) what the change reaches, and a sixth. Which sixth
    it is moves on with the commits, so that six pushes test everything.
all
    Everything.

A test concerns a system if it is given one (as ``system`` or ``slug``, or by its page), if its file is
tests/systems/test_SLUG.py, or if it bears ``@pytest.mark.systems("SLUG", ...)``. ``@pytest.mark.in_turn("FOLDER/",
"FILE", ...)`` names what else a dear test is for: it runs if any of these has changed.
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from suite import change

PARTS = 6


@dataclass(frozen=True)
class Choice:
    """What ``--tier change`` chose.

    base: the commit that last landed, None if it is not known; files: what differs from it; reached: the systems that
    these reach, all if nothing is known; turn: which sixth is tested besides.
    """

    base: str | None
    files: tuple[str, ...]
    reached: tuple[str, ...]
    turn: int

    @property
    def change(self) -> change.Change:
        return change.Change(self.base, tuple(self.files))


CHOICE = pytest.StashKey[Choice]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tier", choices=("fast", "change", "all"), default="all", help="which tests: see suite/tiers.py")
    parser.addoption("--turn", type=int, choices=range(PARTS), help="which sixth --tier change takes besides")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("tier") == "change":
        told = getattr(config, "workerinput", {}).get("choice")
        config.stash[CHOICE] = Choice(**told) if told else choose(config.getoption("turn"))


def choose(turn: int | None) -> Choice:
    found = change.found_change()
    turn = change.turn_of(parts=PARTS) if turn is None else turn
    return Choice(found.base, found.files, tuple(sorted(change.reached_systems(found))), turn)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Workers are told what was chosen, so that all choose alike."""
    if CHOICE in node.config.stash:
        node.workerinput["choice"] = asdict(node.config.stash[CHOICE])


def pytest_report_header(config: pytest.Config) -> list[str]:
    if CHOICE not in config.stash:
        return []
    chosen, slugs = config.stash[CHOICE], sorted(known_slugs())
    turn = [slug for slug in slugs if part_of(slug) == chosen.turn]
    shown = "all" if len(chosen.reached) == len(slugs) else ", ".join(chosen.reached) or "none"
    why = f"the change since {chosen.base[:10]} reaches" if chosen.base else "it is not known what has changed:"
    return [
        f"systems tested in full: {len({*chosen.reached, *turn})} of {len(slugs)}; {why} {shown}",
        f"in turn (part {chosen.turn + 1} of {PARTS}): {', '.join(turn)}",
    ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    tier = config.getoption("tier")
    if tier == "all":
        return
    kept, left = [], []
    for item in items:
        fast = item.get_closest_marker("fast") is not None
        (kept if (fast if tier == "fast" else runs(item, config.stash[CHOICE])) else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


def runs(item: pytest.Item, chosen: Choice) -> bool:
    """Whether a test is among those of ``--tier change``."""
    concerned = systems_of(item)
    marks = [mark for name in ("in_turn", "slow") for mark in item.iter_markers(name)]
    if not marks and not concerned:
        return True
    file = item.path.relative_to(change.ROOT).as_posix()
    if chosen.change.touches(file, *files_of(item), *(place for mark in marks for place in mark.args)):
        return True
    if not concerned:
        return part_of(file) == chosen.turn
    # Where nobody knows what has changed, what is dear waits for its turn.
    reached = () if marks and chosen.base is None else chosen.reached
    return any(slug in reached or part_of(slug) == chosen.turn for slug in concerned)


def part_of(name: str) -> int:
    """The sixth that a name belongs to; it stays the same when others come or go."""
    return zlib.crc32(name.encode()) % PARTS


def given_to(item: pytest.Item) -> dict[str, Any]:
    """What a test is given by ``parametrize``."""
    return item.callspec.params if hasattr(item, "callspec") else {}


def files_of(item: pytest.Item) -> list[str]:
    """The files of the repository that a test is given."""
    paths = [
        value for value in given_to(item).values() if isinstance(value, Path) and value.is_relative_to(change.ROOT)
    ]
    return [path.relative_to(change.ROOT).as_posix() for path in paths]


@cache
def known_slugs() -> frozenset[str]:
    from unalike import systems

    return frozenset(system.slug for system in systems.all_systems())


def systems_of(item: pytest.Item) -> set[str]:
    """The slugs of the systems that a test concerns; none of a unit test."""
    told = [value for name, value in given_to(item).items() if name in ("slug", "system")]
    given = {getattr(value, "slug", value) for value in told}
    given |= {Path(name).stem for name in files_of(item) if name.startswith("docs/systems/")}
    if found := given & known_slugs():
        return set(found)
    marked = {slug for mark in item.iter_markers("systems") for slug in mark.args}
    if marked or item.path.parent != change.ROOT / "tests" / "systems":
        return marked
    return {item.path.stem.removeprefix("test_").replace("_", "-")} & known_slugs()
