"""The command as a user types it: in this process, or in one of its own where that is what is tested."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

from unalike.cli import main

WIDE = {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
"""The environment of a command: a wide page, one thread."""


def unalike(*words: str | Path, cwd: Path, code: int = 0) -> str:
    """Run a command in this process; return what it printed, errors last."""
    printed, errors = io.StringIO(), io.StringIO()
    ended: object = 0
    with (
        contextlib.chdir(cwd),
        mock.patch.dict(os.environ, WIDE),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main([str(word) for word in words])
        except SystemExit as stop:
            ended = stop.code or 0
    told = printed.getvalue() + errors.getvalue()
    assert ended == code, told
    return told


def in_a_process(*words: str | Path, cwd: Path, code: int = 0) -> str:
    """Run ``python -m unalike`` in a process of its own; return what it printed, errors last."""
    done = subprocess.run(
        [sys.executable, "-m", "unalike", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | WIDE,
        timeout=240,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr
