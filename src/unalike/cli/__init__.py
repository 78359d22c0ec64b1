"""The command line: `unalike.cli.main` is the entry point, and each command has a file of its own."""

from unalike.cli.main import main

__all__ = ["main"]
