"""Tables at every width of a terminal, and whole where there is none."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from unalike import cli, systems
from unalike.cli.console import out
from unalike.cli.tables import Column, Listing, broken, shortened
from unalike.data.catalogue import CATALOGUE


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, width: int, *words: str) -> list[str]:
    """What a command prints on a terminal of some width."""
    page = io.StringIO()
    # The commands hold this console by name, so it becomes another one in place.
    terminal = Console(file=page, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr(out, "__dict__", vars(terminal))
    cli.main(list(words))
    return [re.sub(r"\x1b\[\d*m", "", line) for line in page.getvalue().splitlines()]


@pytest.mark.parametrize("width", [76, 80, 100, 120, 200])
def test_every_system_has_one_line(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    heading, *lines = on_a_terminal(monkeypatch, width, "systems")
    known = systems.all_systems()
    shown = lines[: len(known)]
    assert [each.slug for each in known] == [line[4:].split()[0] for line in shown]
    assert max(map(cell_len, [heading, *shown])) <= width
    assert ("paper" in heading) == (width >= 100)
    assert all(line == line.rstrip() for line in shown)


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture) -> None:
    cli.main(["systems"])
    lines = capsys.readouterr().out.splitlines()
    assert not any("…" in line for line in lines)
    for each in systems.all_systems():
        (line,) = [line for line in lines if line[4:].split()[:1] == [each.slug]]
        assert line.endswith(f"{each.paper.title} ({each.paper.year})")
    cli.main(["data"])
    lines = capsys.readouterr().out.splitlines()
    for record in CATALOGUE:
        assert any(line.startswith(record.name) and record.title in line for line in lines)


def test_every_set_has_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (80, 120):
        heading, *lines = on_a_terminal(monkeypatch, width, "data")
        assert [line.split()[0] for line in lines[: len(CATALOGUE)]] == [record.name for record in CATALOGUE]
        assert max(map(cell_len, [heading, *lines[: len(CATALOGUE)]])) <= width


@pytest.mark.parametrize("width", [72, 80, 120])
def test_a_row_fits_and_says_all_that_it_says(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    wide = on_a_terminal(monkeypatch, 400, "systems", "dcl")
    narrow = on_a_terminal(monkeypatch, width, "systems", "dcl")
    assert " ".join(" ".join(wide).split()) == " ".join(" ".join(narrow).split())
    begins = next(number for number, line in enumerate(narrow) if line.startswith("Measured on"))
    assert all(cell_len(line) <= width + 1 for line in narrow[begins:])


def test_the_widest_column_is_narrowed_first_and_no_further_than_allowed() -> None:
    listing = Listing([Column("id"), Column("short", least=4), Column("long", least=6)])
    listing.add("a/very/long/path.png", "12345678", "x" * 40)
    assert listing.lines(40)[1] == "a/very/long/path.png  12345678  " + "x" * 7 + "…"
    assert listing.lines(10)[1] == "a/very/long/path.png  123…  xxxxx…"


def test_wide_letters_count_twice() -> None:
    listing = Listing([Column("text", least=4), Column("n", right=True)])
    listing.add("猫が魚を食べる", "1")
    listing.add("cat", "10")
    assert all(cell_len(line) == 12 for line in listing.lines(12)[1:])
    assert cell_len(shortened("猫が魚を食べる", 6)) <= 6


def test_lists_go_on_in_the_next_line() -> None:
    text = "raw pixels 0.44, untrained encoder 0.33, chance 0.10"
    for width in range(len(text), 24, -1):
        lines = broken(text, width)
        assert " ".join(lines) == text
        assert max(map(len, lines)) <= width
    assert broken(text, len(text)) == [text]
    assert broken("", 10) == [""]


def test_options_of_a_recipe_show_it(capsys: pytest.CaptureFixture) -> None:
    def told(*words: str) -> str:
        with pytest.raises(SystemExit):
            cli.main([*words, "--help"])
        return " ".join(re.sub("[│╭╰─╮╯]", " ", capsys.readouterr().out).split())

    text = told("fit")
    assert "{None}" not in text
    assert "--epochs INT Passes over the data. (default: the recipe's)" in text
    text = told("fit", "--system", "clan")
    recipe = systems.find("clan").recipe
    assert recipe is not None
    assert f"--epochs INT Passes over the data. (default: {recipe.epochs})" in text
    assert "--optimizer {adamw,sgd,lars}" in text
