"""Folders with models of other libraries: opened on this machine only, and kept with a run without their weights."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from unalike.errors import MissingExtra, RunError, SettingsError, UnalikeError

SHAPES = ".shapes.json"
"""What stands behind the name of a file of weights whose shapes alone were kept."""


def require_transformers() -> Any:
    """The package transformers, which is imported only where a model needs it.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra("transformers", "text") from error
    return transformers


@contextmanager
def without_bars() -> Iterator[None]:
    """No bars of progress from transformers meanwhile: what is read and written here takes a moment."""
    logging = require_transformers().utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Say which folder it was, whatever a damaged model leads to."""
    try:
        yield
    except UnalikeError:
        raise
    except Exception as error:  # these packages raise nothing more special
        raise SettingsError(f"the model in {folder} cannot be read: {type(error).__name__}: {error}") from error


def model_folder(folder: str | Path, needed: str) -> Path:
    """The path of a folder with a saved model.

    Raises:
        SettingsError: there is no such folder, or the file that must be in it is not.
    """
    path = Path(folder).expanduser()
    if not (path / needed).is_file():
        raise SettingsError(
            f"{folder} is no folder with a saved model ({needed} is missing). Models are read from this machine only: "
            "save one there first, or give its path"
        )
    return path


def files_in(folder: Path, *, shapes_of_weights: bool = False) -> dict[str, bytes]:
    """The files of a folder by their paths in it.

    Args:
        folder: is not changed.
        shapes_of_weights: of each file of weights take the names and shapes of its tensors alone: the caller keeps
            the weights with all others.
    """
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if shapes_of_weights and path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 (no mapping)
            found[name + SHAPES] = json.dumps(shapes).encode()
        else:
            found[name] = path.read_bytes()
    return found


@contextmanager
def unpacked(assets: Mapping[str, bytes]) -> Iterator[Path]:
    """A folder with the files that `files_in` took, while it is needed; kept shapes become tensors of zeros.

    Raises:
        RunError: a file would lie outside of the folder, or shapes are damaged.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, content in assets.items():
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise RunError(f"the run holds a file {path!r} that points out of its folder; it is not opened")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            if path.endswith(SHAPES):
                _write_zeros(folder / path.removesuffix(SHAPES), content)
            else:
                (folder / path).write_bytes(content)
        yield folder


def _write_zeros(path: Path, shapes: bytes) -> None:
    try:
        tensors = {key: torch.zeros(tuple(shape)) for key, shape in json.loads(shapes).items()}
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise RunError(f"the shapes of {path.name} that the run holds are damaged: {error}") from error
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})


def one_tower(model: Any, kind: str) -> Any:
    """A model of transformers without its tower for another kind of input, if it has two: that would only cost memory.

    Args:
        model: is changed.
        kind: what is read, ``"text"`` or ``"image"``.
    """
    if hasattr(model, "get_text_features") and hasattr(model, "get_image_features"):
        other = ("vision_model", "visual_projection") if kind == "text" else ("text_model", "text_projection")
        for name in (*other, "logit_scale", "logit_bias"):
            if hasattr(model, name):
                delattr(model, name)
    return model


def vector_of(found: Any) -> Tensor:
    """The vectors ``(B, D)`` that a model of two towers gives: as such, or as the pooled output of a tower."""
    vector: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return vector
