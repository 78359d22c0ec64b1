"""The layout of a run directory: which files it has, how they are sealed, and where a new one goes."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

import unalike
from unalike.data import Collection
from unalike.errors import RunError
from unalike.files import checksum, read_json, read_sealed
from unalike.runs.spec import Spec
from unalike.training import Checkpoints

FORMAT = 1
"""Version of the layout of a run directory."""
SEALED = (
    "weights.safetensors",
    "vectors.safetensors",
    "items.parquet",
    "scores.json",
    "metrics.jsonl",
    "times.json",
    "report.html",
)


def sealed(folder: Path) -> dict[str, str]:
    """The checksums of the files that a finished run consists of."""
    names = [name for name in SEALED if (folder / name).exists()]
    for part in ("assets", "samples"):
        files = (path for path in (folder / part).rglob("*") if path.is_file())
        names += sorted(path.relative_to(folder).as_posix() for path in files)
    return {name: checksum(folder / name) for name in names}


def begun(collection: Collection, spec: Spec) -> dict[str, Any]:
    """The record of a run that has just begun."""
    return {
        "format": FORMAT,
        "state": "training",
        "spec": spec.to_json(),
        "data": {"name": collection.name, "rows": len(collection), "fingerprint": collection.fingerprint()},
        "versions": versions(),
    }


def read_record(folder: Path) -> dict[str, Any]:
    """The content of a run's ``run.json``.

    Raises:
        RunError: it is missing, damaged, changed, or of a newer version.
    """
    path = folder / "run.json"
    content = read_json(path)
    if isinstance(content, dict) and isinstance(content.get("format"), int) and content["format"] > FORMAT:
        raise RunError(
            f"{folder} was written by a newer unalike (format {content['format']}, this one reads {FORMAT}): upgrade"
        )
    record = read_sealed(path)
    if record.get("format") != FORMAT:
        raise RunError(f"{path} is no run of this version of unalike (format {FORMAT})")
    return record


def new_folder(out: str | Path | None, name: str) -> Path:
    """A run directory that does not exist yet."""
    if out is not None:
        folder = Path(out)
        if (folder / "run.json").exists():
            raise RunError(
                f"{folder} holds a run already: unalike fit --resume {folder} goes on with it, or take another --out"
            )
        if folder.exists() and (not folder.is_dir() or any(path.suffix != ".part" for path in folder.iterdir())):
            raise RunError(f"{folder} exists and is no empty folder: take another --out")
    else:
        folder = Path("runs") / name
        number = 2
        while folder.exists():
            folder, number = Path("runs") / f"{name}-{number}", number + 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the run directory {folder}: {error.strerror}") from error
    return folder


def newest_checkpoint(folder: Path) -> int:
    """The step of a run's newest checkpoint, 0 if there is none.

    Raises:
        RunError: it says another step than its folder's name.
    """
    steps = Checkpoints(folder / "checkpoints").steps()
    if not steps:
        return 0
    path = folder / "checkpoints" / f"{steps[-1]:09d}"
    try:
        said = read_json(path / "state.json")["step"]
    except (RunError, KeyError, TypeError):
        return steps[-1]  # the loop goes on from the checkpoint before it
    if said != steps[-1]:
        raise RunError(
            f"{path / 'state.json'} was changed after it was written: it says step {said}. Remove {path}; the run then "
            "goes on from the checkpoint before it"
        )
    return steps[-1]


def versions() -> dict[str, str]:
    """What a run was made with."""
    return {
        "unalike": unalike.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
    }
