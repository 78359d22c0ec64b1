"""What each test costs in CPU seconds, and what it may cost.

CPU seconds of the process and of those that it started: on a shared machine the clock tells who else was there. Even
these vary, so that a test is held to three times what it may cost. A test of more than ten bears the mark ``slow``;
what tests of more than two take is stored in tests/budget.json:

    python -m pytest --store-budget tests/run
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

STORE = Path(__file__).parents[1] / "budget.json"
SLOW = 10.0
"""CPU seconds beyond which a test needs the mark ``slow``."""
SLACK = 3.0
"""How many times as much as it may a test can cost before anything is said."""
SMALL = 2.0
"""What tests cost that are not stored."""


def spent() -> float:
    """CPU seconds of this process, and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    began = spent()
    try:
        return (yield)
    finally:
        item.user_properties.append(("fixtures", spent() - began))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    began = spent()
    try:
        return (yield)
    finally:
        item.user_properties.append(("seconds", spent() - began))
        item.user_properties.append(("slow", item.get_closest_marker("slow") is not None))


@dataclass(eq=False)
class Ledger:
    """What the tests of a session cost.

    stored: what they may cost, by their ids; seconds: what they did; marked: those with the mark ``slow``; fixtures:
    CPU seconds of all fixtures.
    """

    stored: Mapping[str, float]
    seconds: dict[str, float] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)
    fixtures: float = 0.0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = dict(report.user_properties)
        if report.when == "call" and isinstance(seconds := told.get("seconds"), float):
            self.seconds[report.nodeid] = seconds
            self.fixtures += float(str(told.get("fixtures", 0.0)))
            if told["slow"]:
                self.marked.add(report.nodeid)

    def unmarked(self) -> list[str]:
        """Tests that need the mark by what is stored of them: what one run took on a shared machine is no reason."""
        return [
            f"{name}: {self.stored[name]:.0f} CPU seconds are stored"
            for name in sorted(self.seconds)
            if name not in self.marked and self.stored.get(name, 0.0) > SLOW
        ]

    def grown(self) -> list[str]:
        """Tests that took far more than they may."""
        return [
            f"{name}: {took:.0f} CPU seconds, {may:.0f} are stored"
            for name, took in sorted(self.seconds.items())
            if took > SLACK * (may := self.stored.get(name, SMALL if name not in self.marked else SLOW))
        ]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.seconds:
            return
        write = terminalreporter.write_line
        write(f"CPU seconds: {sum(self.seconds.values()):.0f} of the tests and {self.fixtures:.0f} of their fixtures")
        for line in self.grown():
            write(f"costs more than it did: {line}")
        for line in self.unmarked():
            write(f"needs the mark slow, or to be made cheaper: {line}", red=True)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.config.getoption("store_budget"):
            kept = {name: took for name, took in self.stored.items() if name not in self.seconds and exists(name)}
            kept |= {name: round(took, 1) for name, took in self.seconds.items() if took > SMALL}
            STORE.write_text(json.dumps(kept, indent=0, sort_keys=True) + "\n", encoding="utf-8")
        elif self.unmarked() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def exists(name: str) -> bool:
    """Whether the file of a test is still there."""
    return (STORE.parents[1] / name.partition("::")[0]).exists()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--store-budget", action="store_true", help="store in tests/budget.json what these tests cost")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        stored = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
        config.pluginmanager.register(Ledger(stored), "ledger")
