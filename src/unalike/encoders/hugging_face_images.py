"""Image models of transformers that lie on this machine. Nothing is ever downloaded."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from unalike.data import Column, Failure, ImageColumn, iter_decoded
from unalike.errors import DataError, SettingsError
from unalike.views.image import IMAGENET_MEAN, IMAGENET_STD

from .base import Encoded
from .image import ImageEncoder
from .model_folders import model_folder, one_tower, opened_again, readable, require_transformers, saved_files, vector_of
from .packed import IN_MEMORY, PackedImages
from .seeding import seeded
from .timm_models import Restandardise

ImagePooling = Literal["own", "first", "mean"]
"""How patches become a vector: the one that the model gives (a projection, a trained pooler), the first (its class
token), or their mean."""

CLOSE = 1e-3
"""How near to the processor's own pixels those made here are, when a folder is opened."""


class ShapedImages(PackedImages):
    """Pictures of one size, as bytes, with what a user should know of how they were made."""

    def __init__(
        self,
        pixels: np.ndarray,
        present: np.ndarray,
        failures: Mapping[int, Failure] | None = None,
        *,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(pixels, present, failures)
        self.notes = tuple(notes)


class TransformersImageEncoder(ImageEncoder):
    """An image model of transformers, on pictures as its own processor cuts and scales them.

    Args:
        folder: where ``save_pretrained`` put the model and its processor.
        pooling: how patches become a vector; without it the model's own vector if it was trained, else the class
            token, else the mean.
        frozen: keep the weights as they are.

    Raises:
        MissingExtra: transformers is not installed.
        SettingsError: the folder holds no model of images, or its processor gives no squares of three colours.
    """

    suited_rate = 2e-5

    def __init__(self, folder: str | Path, *, pooling: ImagePooling | None = None, frozen: bool = False) -> None:
        transformers = require_transformers()
        path = model_folder(folder, "config.json")
        model_folder(folder, "preprocessor_config.json")
        with seeded(0), readable(path):  # a pooler that the folder does not hold is drawn at random
            model, told = transformers.AutoModel.from_pretrained(
                path, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
            processor = transformers.AutoImageProcessor.from_pretrained(path, local_files_only=True)
        drawn = any("pooler" in name for name in told["missing_keys"])
        self._set(model, processor, pooling, frozen, drawn)

    def _set(self, model: Any, processor: Any, pooling: ImagePooling | None, frozen: bool, drawn: bool) -> None:
        if pooling not in (None, *get_args(ImagePooling)):
            raise SettingsError(f"patches are pooled by {', '.join(get_args(ImagePooling))}; given: {pooling!r}")
        name = type(processor).__name__
        with readable(Path(name)):
            probe = _pixels(processor, Image.new("RGB", (50, 40), (200, 100, 50)), whole=True)
        if probe.ndim != 3 or probe.shape[0] != 3 or probe.shape[1] != probe.shape[2]:
            raise SettingsError(f"{name} makes {tuple(probe.shape)} of a picture; hf: reads squares of three colours")
        super().__init__(size=int(probe.shape[1]), width=1)
        self.config_of_model: Any = model.config
        self.model: Any = one_tower(model, "image")
        self._processor = processor
        self.restandardise = _restandardise(processor)
        self._compare(name)
        self.pretrained = True
        self._classes = any(
            n.rpartition(".")[2] in ("cls_token", "class_embedding") for n, _ in model.named_parameters()
        )
        training = model.training
        with torch.no_grad():
            model.eval()
            zeros = torch.zeros(1, 3, self.size, self.size)
            found = self._found(zeros)
            own = hasattr(model, "get_image_features") or getattr(found, "pooler_output", None) is not None
            self.pooling: ImagePooling = pooling or (
                "own" if own and not drawn else "first" if self._classes else "mean"
            )
            if self.pooling == "own" and not own:
                raise SettingsError(f"{type(model).__name__} gives no vector of its own: choose pooling='mean'")
            self.width = self(zeros).vector.shape[1]
            model.train(training)
        if frozen:
            self.freeze()

    def _compare(self, name: str) -> None:
        """Refuse a processor that does more to pixels than to cut, to scale and to standardise them."""
        picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8))
        whole = _pixels(self._processor, picture, whole=True)
        ours = self.restandardise(self.plain(torch.from_numpy(self._shaped(picture))[None]))[0]
        apart = float((torch.as_tensor(whole) - ours).abs().max())
        if not apart <= CLOSE:
            raise SettingsError(f"the pixels of {name} cannot be made here: they differ by {apart:.2g}")

    def _shaped(self, picture: Image.Image) -> np.ndarray:
        """uint8 ``(3, S, S)``: a picture cut and scaled."""
        return np.ascontiguousarray(np.clip(np.rint(_pixels(self._processor, picture)), 0, 255).astype(np.uint8))

    def prepare(self, column: Column, *, cache: Path | None = None) -> ShapedImages:
        if not isinstance(column, ImageColumn):
            raise DataError(f"{type(self).__name__} reads pictures; given: a column of the kind {column.kind!r}")
        note = (
            f"hf: {type(self._processor).__name__} makes pictures {self.size} pixels wide, and"
            f" {type(self.model).__name__} pools by {self.pooling!r}"
        )
        return pack_shaped(column, self.size, self._shaped, notes=[note])

    def _found(self, pixels: Tensor) -> Any:
        if hasattr(self.model, "get_image_features"):
            return self.model.get_image_features(pixel_values=pixels)
        return self.model(pixel_values=pixels)

    def forward(self, inputs: Tensor) -> Encoded:
        if inputs.shape[-2:] != (self.size, self.size):  # a view of another size
            inputs = nn.functional.interpolate(
                inputs, (self.size, self.size), mode="bilinear", align_corners=False, antialias=True
            )
        found = self._found(self.restandardise(inputs))
        if hasattr(self.model, "get_image_features"):
            return Encoded(vector_of(found))
        states = found.last_hidden_state
        patches = states.flatten(2).transpose(1, 2) if states.dim() == 4 else states
        registers = getattr(self.model.config, "num_register_tokens", 0) or 0
        tokens = patches[:, 1 + registers :] if self._classes else patches
        mask = tokens.new_ones(tokens.shape[:2]).bool()
        if self.pooling == "own":
            return Encoded(found.pooler_output.flatten(1), tokens, mask)
        return Encoded(patches[:, 0] if self.pooling == "first" else tokens.mean(1), tokens, mask)

    @property
    def token_width(self) -> int:
        sizes = getattr(self.model.config, "hidden_sizes", None)
        return int(sizes[-1] if sizes else self.model.config.hidden_size)

    def config(self) -> dict[str, Any]:
        return {"name": "hf-image", "pooling": self.pooling, "frozen": self.frozen}

    def assets(self) -> dict[str, bytes]:
        return saved_files(self.config_of_model, self._processor)

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        options.pop("seed", None)  # the weights are there, and so is the size
        return cls(given, **options)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], assets: Mapping[str, bytes]) -> Self:
        model, processor = opened_again(assets, "AutoImageProcessor")
        encoder = cls.__new__(cls)
        encoder._set(model, processor, drawn=False, **settings)
        return encoder


def pack_shaped(
    column: ImageColumn,
    size: int,
    shape: Callable[[Image.Image], np.ndarray],
    *,
    notes: Sequence[str] = (),
    in_memory: int = IN_MEMORY,
) -> ShapedImages:
    """Every picture of a column as some function makes it uint8 ``(3, size, size)``.

    Args:
        column: the pictures.
        size: side of the results, in pixels.
        shape: is called in several threads.
        notes: what a user should know of them.
        in_memory: largest number of bytes that is held in memory; more goes to a file that vanishes with the process.
    """
    sizes = (len(column), 3, size, size)
    failures: dict[int, Failure] = {}
    with tempfile.TemporaryFile() as file:
        if math.prod(sizes) > in_memory:
            file.truncate(math.prod(sizes))
            pixels: np.ndarray = np.memmap(file, np.uint8, "r+", shape=sizes)
        else:
            pixels = np.zeros(sizes, np.uint8)
        for row, picture in iter_decoded(column, then=shape):
            if isinstance(picture, Failure):
                failures[row] = picture
            elif picture is not None:
                pixels[row] = picture
    present = column.present.copy()
    present[list(failures)] = False
    return ShapedImages(pixels, present, failures, notes=notes)


def _pixels(processor: Any, picture: Image.Image, *, whole: bool = False) -> np.ndarray:
    """A picture ``(3, S, S)`` as a processor makes it: cut and scaled alone, or ready for the model."""
    options = {} if whole else {"do_rescale": False, "do_normalize": False}
    found = processor(images=picture, return_tensors="pt", **options)["pixel_values"]
    return np.asarray(found[0], np.float32)


def _restandardise(processor: Any) -> nn.Module:
    """From ImageNet's means and deviations, in which all pictures come, to what a processor makes of bytes."""
    scale = processor.rescale_factor if processor.do_rescale else 1.0
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else ([0.0] * 3, [1.0] * 3)
    return Restandardise(
        [s0 * 255 * scale / s for s0, s in zip(IMAGENET_STD, std, strict=True)],
        [(m0 * 255 * scale - m) / s for m0, m, s in zip(IMAGENET_MEAN, mean, std, strict=True)],
    )
