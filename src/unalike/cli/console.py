"""Where commands print: ``out`` is standard output, ``err`` standard error."""

from __future__ import annotations

import sys

from rich.console import Console

# Lines are broken where a terminal ends; a file or another program gets them whole.
out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
err = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
