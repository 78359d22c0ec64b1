"""Checkpoints: safetensors and JSON, written aside and renamed, so that a kill at any moment leaves the last one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.optim import Optimizer

from unalike.errors import RunError
from unalike.files import (
    checksum,
    disk_errors,
    read_json,
    sync_folder,
    write_atomically,
    write_bytes,
    write_json,
)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], *, note: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors, atomically."""
    owned = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    # Serialised first, written by us: an error of the disk then comes as such, with the path and the bytes.
    write_bytes(path, save(owned, metadata=dict(note or {})))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read safetensors; nothing in the file is executed.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise RunError(f"{path} is missing") from None
    except (safetensors.SafetensorError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}") from error


def load_module(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put tensors into a module of exactly their names and shapes."""
    try:
        module.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        raise RunError(f"{path} does not fit the model that run.json describes: {error}") from error


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as flat names: ``"<parameter number>.<entry>"``."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value) for number, entry in state.items() for name, value in entry.items()
    }


def load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Inverse of `optimizer_tensors`."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    # Fused optimisers walk over raw memory: state must lie in the order of its parameter (channels last or not).
    for parameter, entry in optimizer.state.items():
        for name, value in entry.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                entry[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds: the step it stands after, and the tensors of model, optimiser and average."""

    step: int
    path: Path
    tensors: Mapping[str, dict[str, Tensor]]


class Checkpoints:
    """The checkpoints of a run, newest kept and one before it.

    Args:
        folder: where they lie; each is a folder named by its step.
        keep: how many to keep.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep

    def steps(self) -> list[int]:
        """The steps of all checkpoints, oldest first."""
        return sorted(int(p.name) for p in self.folder.glob("[0-9]*") if p.is_dir() and p.name.isdigit())

    def save(self, step: int, tensors: Mapping[str, Mapping[str, Tensor]]) -> Path:
        """Write a checkpoint for ``step``; older ones beyond ``keep`` go.

        Raises:
            RunError: the disk is full; the earlier checkpoints are untouched.
        """
        target, aside = self.folder / f"{step:09d}", self.folder / f".{step:09d}.part"
        size = sum(t.numel() * t.element_size() for group in tensors.values() for t in group.values())
        with disk_errors(target, size):
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            try:
                sums = {}
                for name, group in tensors.items():
                    path = aside / f"{name}.safetensors"
                    save_tensors(path, group)
                    sums[path.name] = checksum(path)
                write_json(aside / "state.json", {"step": step, "checksums": sums})
                if target.exists():
                    shutil.rmtree(target)
                aside.rename(target)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
            sync_folder(self.folder)
        for old in self.steps()[: -self.keep]:
            shutil.rmtree(self.folder / f"{old:09d}", ignore_errors=True)
        return target

    def load(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; None if there is no checkpoint at all.

        Raises:
            RunError: there are checkpoints, but each is damaged; the message names what is wrong with each.
        """
        wrong = []
        for step in reversed(self.steps()):
            path = self.folder / f"{step:09d}"
            try:
                state = read_json(path / "state.json")
                tensors = {}
                for name, expected in state["checksums"].items():
                    if checksum(path / name) != expected:
                        raise RunError(f"{path / name} was changed after it was written (its checksum differs)")
                    tensors[Path(name).stem] = load_tensors(path / name)
                return Checkpoint(int(state["step"]), path, tensors)
            except (RunError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
                wrong.append(f"  - {path}: {error}")
        if wrong:
            raise RunError("no checkpoint of this run can be read:\n" + "\n".join(wrong))
        return None


def _write_lines(lines: list[str], path: Path) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def truncate_lines(path: Path, key: str, most: int) -> None:
    """Drop the JSON lines whose ``key`` is above ``most``, and a last line that was cut short."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            if int(row[key]) <= most:
                kept.append(line)
        except (json.JSONDecodeError, KeyError, TypeError, ValueError):
            break
    write_atomically(path, partial(_write_lines, kept))
