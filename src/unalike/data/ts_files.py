"""Files of time series as aeon and sktime write them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from unalike.errors import DataError


def read_ts(path: Path) -> tuple[list[np.ndarray], list[str]]:
    """The cases of a ``.ts`` file of aeon or sktime, each float32 ``(channels, steps)``, and their classes.

    After the line ``@data`` each line is a case: channels parted by colons, steps by commas, the class at the end
    unless the head says ``@classLabel false``.

    Raises:
        DataError: it cannot be read as such, or its steps bear times.
    """
    try:
        lines = iter(path.read_text(encoding="utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a .ts file: {error}") from error
    labelled = True
    for line in lines:
        words = line.split("#")[0].lower().split()
        if words[:1] == ["@data"]:
            break
        if words[:2] == ["@timestamps", "true"]:
            raise DataError(f"{path} gives a time with each step; expected values alone (@timeStamps false)")
        if words[:2] in (["@classlabel", "false"], ["@targetlabel", "false"]):
            labelled = False
    else:
        raise DataError(f"{path} has no line @data, behind which a .ts file has its series")
    cases, labels = [], []
    for number, line in enumerate(filter(str.strip, lines)):
        *channels, label = line.strip().split(":") if labelled else (*line.strip().split(":"), "")
        if not channels:
            raise DataError(f"case {number} of {path} has no class behind its last colon; write @classLabel false")
        try:
            steps = [np.array(channel.replace("?", "nan").split(","), np.float32) for channel in channels]
        except ValueError as error:
            raise DataError(f"case {number} of {path} holds something else than numbers: {error}") from error
        longest = max(map(len, steps))
        cases.append(np.stack([np.pad(each, (0, longest - len(each)), constant_values=np.nan) for each in steps]))
        labels.append(label.strip())
    if not cases:
        raise DataError(f"{path} has no series behind @data")
    return cases, labels


def split_of(path: Path) -> str | None:
    """The split that the end of a file's name speaks of: ``GunPoint_TRAIN.ts``."""
    found = re.search(r"[_-](train|test)$", path.stem, re.IGNORECASE)
    return found[1].lower() if found else None
