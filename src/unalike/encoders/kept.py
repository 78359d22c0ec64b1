"""The encoder that a run has trained, as the start of another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch

from unalike.errors import DataError, RunError
from unalike.files import checksum, damaged, read_sealed, write_bytes, write_sealed

from .base import Encoder

WEIGHTS = "weights.safetensors"

Restore = Callable[[Mapping[str, Any], Mapping[str, bytes]], Encoder]
"""From what `Encoder.config` and `Encoder.assets` told to an encoder whose weights are yet to be loaded."""


def read_tower(folder: Path, kind: str, *, restore: Restore) -> Encoder:
    """The encoder of one kind that a run has trained.

    Args:
        folder: a run directory, or what `save_tower` wrote.
        kind: of the columns that it reads.
        restore: makes an encoder of its record and its files (`restore_encoder`).

    Raises:
        RunError: the folder holds no finished run, or a file of it was changed.
        DataError: the run has no encoder of this kind.
    """
    path = folder / "run.json"
    if not path.exists():
        raise RunError(f"{folder} is no run directory: it has no run.json. unalike fit DATA --out {folder} makes one")
    record = read_sealed(path)
    if record.get("state") != "done":
        raise RunError(f"{folder} is unfinished: unalike fit --resume {folder} goes on with it")
    with damaged(path):
        if kind not in record["towers"]:
            raise DataError(f"{folder} has no encoder for the kind {kind!r}; it has {', '.join(record['towers'])}")
        names = {name: f"assets/{kind}.{name}" for name in record["assets"].get(kind, ())}
        for name in (WEIGHTS, *names.values()):
            if not (folder / name).is_file() or checksum(folder / name) != record["checksums"][name]:
                raise RunError(f"{folder / name} is missing or was changed after it was written")
        encoder = restore(
            record["encoders"][kind], {name: (folder / file).read_bytes() for name, file in names.items()}
        )
        begins = record["towers"][kind] + "."
        tensors = safetensors.torch.load_file(folder / WEIGHTS)
        own = {name.removeprefix(begins): value for name, value in tensors.items() if name.startswith(begins)}
        encoder.load_state_dict(own)
    encoder.pretrained = True
    return encoder


def save_tower(folder: Path, encoder: Encoder) -> None:
    """Write an encoder alone, in the form in which a run keeps its own, for ``run:FOLDER``.

    Raises:
        RunError: the disk is full or the place cannot be written.

    Example:
        >>> from unalike.encoders import NgramEncoder, load_tower, save_tower
        >>> save_tower(tmp / "tower", NgramEncoder(buckets=100, width=8))
        >>> load_tower(tmp / "tower", "text").width
        8
    """
    tensors = {f"encoder.{name}": value.contiguous() for name, value in encoder.state_dict().items()}
    write_bytes(folder / WEIGHTS, safetensors.torch.save(tensors))
    assets = encoder.assets()
    for name, content in assets.items():
        write_bytes(folder / "assets" / f"{encoder.kind}.{name}", content)
    files = [WEIGHTS, *(f"assets/{encoder.kind}.{name}" for name in assets)]
    record: Mapping[str, Any] = {
        "state": "done",
        "encoders": {encoder.kind: encoder.config()},
        "assets": {encoder.kind: sorted(assets)},
        "towers": {encoder.kind: "encoder"},
        "checksums": {name: checksum(folder / name) for name in files},
    }
    write_sealed(folder / "run.json", record)
