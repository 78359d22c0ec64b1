"""What is done with each kind of thing: how it is encoded, changed, shown, and described without a model.

The second of the two records of a kind; the first, `unalike.data.kinds`, says how data hold it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from unalike.data import Column, TextColumn
from unalike.registry import Registry
from unalike.views import ArrayViews, ClipViews, ImageViews, SeriesViews, SoundViews, TextViews, gentle

from .affine import Affine
from .base import Encoder, Prepared
from .clip_conv import ClipConv
from .convnet import ConvNet
from .dilated import DilatedConv
from .gridnet import GridNet
from .hugging_face import TransformersEncoder
from .hugging_face_images import TransformersImageEncoder
from .hugging_face_sound import PackedWaves, TransformersSoundEncoder
from .labels import LabelNames
from .mel_transformer import MelTransformer
from .mlp import MLP
from .ngrams import NgramEncoder
from .nodes import NodeMLP
from .packed import PackedImages
from .pixels import Pixels
from .sasrec import SASRec
from .sentences import SentenceTransformersEncoder
from .sound import PackedSound
from .text_transformer import TextTransformer
from .timm_models import TimmEncoder
from .vit import VisionTransformer

Prepare = Callable[[Column], Prepared]
"""Makes a column ready for an encoder."""

Changed = tuple[Column | None, Prepared]
"""Changed entries made ready for an encoder, and as a column where their kind is described by its column."""


def _gentle_numbers(encoder: Any, entries: Any, generator: torch.Generator) -> Any:
    return ArrayViews(corruption=0.3)(encoder.plain(entries), generator)


@dataclass(frozen=True, kw_only=True)
class KindUse:
    """What is done with one kind of thing.

    Args:
        encoders: by the name that chooses it the class of each encoder, the first the one that serves where none is
            named; None for a name that `build_encoder` opens itself.
        default: the name of the encoder that suits some columns and a side of pictures, where it is not always the
            first.
        floor: what scores call its vectors without a model.
        gentle: a gentle view of some entries, as their encoder wants it.
        at_once: entries that such a view is made of together.
        changed: makes of some rows of a column, prepared, what must find the rows it was made from, with what makes a
            column ready as a query of its encoder; None where nothing is asked for.
        changed_words: what scores call that.
        thumbnails: uint8 ``(B, 3, H, W)`` of some rows of a column, prepared, for pages to show; None where there is
            nothing to see.
        raw: of what vectors without a model are made: of prepared ``entries`` as they are, of ``pixels`` made small, or
            of the words of its ``column``.
        system: the system that learns from it alone, where the user names none.
    """

    encoders: Mapping[str, type[Encoder] | None] = field(default_factory=dict)
    default: Callable[[Sequence[Column], int | None], str] | None = None
    floor: str = "raw features"
    gentle: Callable[[Any, Any, torch.Generator], Any] = _gentle_numbers
    at_once: int = 512
    changed: Callable[[Column, Prepared, np.ndarray, Prepare, torch.Generator], Changed] | None = None
    changed_words: str = ""
    thumbnails: Callable[[Column, Prepared, np.ndarray], np.ndarray] | None = None
    raw: Literal["entries", "pixels", "column"] = "entries"
    system: str | None = None


def _gentle_image(encoder: Any, entries: Any, generator: torch.Generator) -> Any:
    return gentle(encoder.size)(entries, generator)


def _gentle_text(encoder: Any, entries: Any, generator: torch.Generator) -> Any:
    return TextViews(delete=0.3)(encoder.plain(entries), generator)


def _gentle_series(encoder: Any, entries: Any, generator: torch.Generator) -> Any:
    return SeriesViews(crop=(0.5, 0.9))(encoder.plain(entries), generator)


def _gentle_sound(encoder: Any, entries: Any, generator: torch.Generator) -> Any:
    return SoundViews(crop=(0.5, 0.9))(encoder.plain(entries), generator)


def _chosen_image(columns: Sequence[Column], size: int | None) -> str:
    """Small pictures keep their layout."""
    return "drawing" if size is not None and size <= 32 else "conv"


def _chosen_text(columns: Sequence[Column], size: int | None) -> str:
    """Short texts do without a transformer."""
    lengths = [len(text) for column in columns for text in _sample(column)]
    return "ngram" if not lengths or np.median(lengths) <= 100 else "transformer"


def _sample(column: Column, count: int = 500) -> list[str]:
    """Texts from all over a column."""
    rows = np.unique(np.linspace(0, len(column) - 1, min(count, len(column))).astype(int))
    return [text for i in rows.tolist() if (text := column[i]) is not None]


def _raw_pixels(size: int) -> ImageViews:
    """A view whose pixels are colours again, from 0 to 1."""
    return ImageViews(size, crop_scale=(0.4, 1.0), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def _bytes(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels * 255).round().clamp(0, 255).to(torch.uint8)


def _gentle_clip(encoder: Encoder, entries: torch.Tensor, generator: torch.Generator) -> Any:
    """One crop and one colour for all frames of a clip."""
    return encoder.plain(_bytes(ClipViews(_raw_pixels(entries.shape[-1]))(entries, generator)))


def _cropped(
    column: Column, prepared: Prepared, rows: np.ndarray, prepare: Prepare, generator: torch.Generator
) -> Changed:
    pixels = prepared.take(rows)
    changed = _bytes(_raw_pixels(pixels.shape[-1])(pixels, generator))
    return None, PackedImages(changed.contiguous().numpy(), np.ones(len(rows), bool))


def _shortened(
    column: Column, prepared: Prepared, rows: np.ndarray, prepare: Prepare, generator: torch.Generator
) -> Changed:
    texts = TextColumn([drop_words(str(column[int(row)]), generator) for row in rows])
    return texts, prepare(texts)


def _cut_out(
    column: Column, prepared: Prepared, rows: np.ndarray, prepare: Prepare, generator: torch.Generator
) -> Changed:
    """Half to all of some recordings, in one piece each."""
    seen = SoundViews(crop=(0.5, 0.9))(prepared.take(rows), generator)
    if isinstance(prepared.stored, PackedWaves):  # samples lose more by half precision than spectra do
        return None, PackedWaves(seen.numpy().astype(np.float32))
    return None, PackedSound(seen.numpy().astype(np.float16))


def drop_words(text: str, generator: torch.Generator) -> str:
    """A text without a third of its words, at least one word left."""
    words = text.split()
    keep = torch.rand(len(words), generator=generator) >= 1 / 3
    kept = [word for word, stays in zip(words, keep.tolist(), strict=True) if stays]
    return " ".join(kept or words[:1])


KIND_USES: Registry[str, KindUse] = {
    "image": KindUse(
        encoders={
            "conv": ConvNet,
            "grid": GridNet,
            "drawing": GridNet,
            "vit": VisionTransformer,
            "pixels": Pixels,
            "timm:NAME": TimmEncoder,
            "timm:NAME@FILE": TimmEncoder,
            "hf:FOLDER": TransformersImageEncoder,
        },
        default=_chosen_image,
        floor="raw pixels",
        raw="pixels",
        gentle=_gentle_image,
        changed=_cropped,
        changed_words="a cropped, recoloured picture finds its original",
        thumbnails=lambda column, prepared, rows: prepared.take(rows).numpy(),
        system="simclr",
    ),
    "text": KindUse(
        encoders={
            "ngram": NgramEncoder,
            "transformer": TextTransformer,
            "hf:FOLDER": TransformersEncoder,
            "st:FOLDER": SentenceTransformersEncoder,
            "run:FOLDER": None,
        },
        default=_chosen_text,
        floor="n-gram counts",
        gentle=_gentle_text,
        changed=_shortened,
        changed_words="a text with a third of its words gone finds its original",
        raw="column",
        system="simcse",
    ),
    "array": KindUse(encoders={"mlp": MLP, "affine": Affine}, system="scarf"),
    "clicks": KindUse(encoders={"sasrec": SASRec}, system="sasrec"),
    "series": KindUse(
        encoders={"dilated": DilatedConv, "affine": Affine},
        floor="raw values",
        gentle=_gentle_series,
        system="ts2vec",
    ),
    "points": KindUse(encoders={"affine": Affine}),
    "video": KindUse(encoders={"clip": ClipConv}, floor="mean frame", gentle=_gentle_clip, at_once=64, system="cvrl"),
    "audio": KindUse(
        encoders={"mel": MelTransformer, "hf:FOLDER": TransformersSoundEncoder},
        floor="mean spectrum",
        gentle=_gentle_sound,
        changed=_cut_out,
        changed_words="a part of a recording finds the whole",
        system="w2v-bert",
    ),
    "graph": KindUse(encoders={"nodes": NodeMLP, "smooth:STEPS": NodeMLP}),
    "labels": KindUse(encoders={"names": LabelNames}),
}
"""What is done with each kind; a kind without a record is held, but nothing learns from it."""


def use_of_kind(kind: str) -> KindUse:
    """The record of a kind; of one without a record what serves where nothing is said.

    Example:
        >>> from unalike.encoders.kinds import use_of_kind
        >>> use_of_kind("audio").floor, use_of_kind("points").floor
        ('mean spectrum', 'raw features')
    """
    return KIND_USES.get(kind, _NOTHING_SAID)


_NOTHING_SAID = KindUse()
