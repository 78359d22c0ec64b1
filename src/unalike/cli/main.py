"""The entry point of the command line. Torch is imported only by the commands that compute."""

from __future__ import annotations

import difflib
import importlib
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.markup import escape

from unalike.cli.arguments import Command, parse
from unalike.cli.console import err, out
from unalike.errors import SettingsError, UnalikeError

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Train": ("fit", "adapt"),
    "Use a run": ("predict", "search", "embed", "cluster", "score", "sample", "export"),
    "Evaluate a run": ("evaluate", "report", "audit"),
    "Compare systems": ("compare", "check"),
    "Language models": ("generate",),
    "Systems and data": ("systems", "data"),
}
"""The commands by purpose, as the help lists them."""

COMMANDS = tuple(name for names in GROUPS.values() for name in names)


def command(name: str) -> type[Command]:
    """The command of a name, from its file.

    Raises:
        SettingsError: there is none; the message says what was probably meant.

    Example:
        >>> command("search").__name__
        'Search'
    """
    if name not in COMMANDS:
        raise SettingsError(what_was_meant(name))
    found: type[Command] = getattr(importlib.import_module(f"unalike.cli.{name}"), name.capitalize())
    return found


def what_was_meant(word: str) -> str:
    """What to tell a user who typed something else in place of a command."""
    if word.startswith("-"):
        return f"the command comes first, its options after it; given: {word}. One of: {', '.join(COMMANDS)}"
    if near := difflib.get_close_matches(word, COMMANDS, n=1):
        return f"there is no command {word!r}. Did you mean unalike {near[0]}? There are: {', '.join(COMMANDS)}"
    if Path(word).exists():
        verb = "search" if (Path(word) / "run.json").exists() else "fit"
        return f"there is no command {word!r}. Did you mean unalike {verb} {word}? There are: {', '.join(COMMANDS)}"
    return f"there is no command {word!r}; there are: {', '.join(COMMANDS)}"


def show_version() -> None:
    """Versions of the package and of what it computes with."""
    import torch

    from unalike import __version__, objectives

    out.print(f"unalike {__version__} (torch {torch.__version__}, scores by {objectives.backend()})")


def show_help() -> None:
    """All commands by purpose, and how to start."""
    out.print("usage: unalike COMMAND [OPTIONS]\n\nContrastive learning for every modality.")
    for purpose, names in GROUPS.items():
        out.print(f"\n{purpose}:", style="bold")
        for name in names:
            first = re.split(r"[.;](?:\s|$)", " ".join((command(name).__doc__ or "").split()))[0]
            line = textwrap.fill(f"  {name:<10}{first}.", out.width, subsequent_indent=" " * 12)
            out.print(line, markup=False, soft_wrap=True)
    out.print(
        "\nStart here:\n"
        "  unalike fit photos/                         train on a folder of images\n"
        "  unalike search runs/photos-simclr cat.jpg   find the images most similar to one\n"
        "  unalike data                                list real datasets to try\n\n"
        "unalike COMMAND --help explains a command; unalike --version shows versions."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of ``unalike`` and ``python -m unalike``.

    Args:
        arguments: the words after ``unalike``; those of the process unless given.

    Raises:
        SystemExit: something went wrong and was said: code 2 for what the user can mend, 130 when stopped by a signal,
            141 when nobody reads the output.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["help"] and len(words) > 1:
        words = [*words[1:], "--help"]
    try:
        if not words:
            show_help()
            raise SettingsError("give a command, such as unalike fit photos/")
        if words[0] in ("-h", "--help", "help"):
            show_help()
        elif words[0] in ("-V", "--version", "version"):
            show_version()
        else:
            asked, roles = parse(command(words[0]), words[0], words[1:])
            asked.execute(roles)
    except UnalikeError as error:
        err.print(f"[red]error:[/red] {escape(str(error))}")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        err.print("stopped")
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(141) from None
