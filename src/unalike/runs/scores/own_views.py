"""Without labels or second roles: how changed things find what they were made from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from unalike import encoders, evaluation, training, views
from unalike.data import Column, TextColumn
from unalike.encoders.hugging_face_sound import PackedWaves
from unalike.encoders.text import Side
from unalike.evaluation import Relevance, Score
from unalike.runs.pairs import prepare_as, query_side
from unalike.runs.same import things
from unalike.runs.scores.scene import MOST_QUERIES, RAW, Pictures, Scene
from unalike.runs.spec import Spec


def own_views(scene: Scene, main: Sequence[str], spec: Spec) -> list[Score]:
    """Without labels or second roles: a changed picture or text must find the one it was made from."""
    collection = scene.collection
    if len(main) != 1 or len(collection) < 3 or collection.label is not None:
        return []
    (role,) = main
    rows = collection.splits.get("test", np.arange(len(collection)))
    rows = rows[scene.present(role)[rows]][:MOST_QUERIES]
    if len(rows) < 3:
        return []
    column = collection[role]
    made = changed(column, scene.packed[role], scene.learner.encoders[column.kind], rows, query_side(spec))
    if made is None:
        return []
    what, asked = made
    if column.kind == "image":
        raw_asked = evaluation.pixel_vectors(Pictures(asked), fit_on=Pictures(scene.packed[role]))
    elif isinstance(column, TextColumn):
        raw_asked = evaluation.text_vectors(shortened(column, rows), fit_on=column)  # type: ignore[arg-type]
    else:
        whole_rows = evaluation.described(scene.packed[role], np.arange(len(column)))
        raw_asked = evaluation.standard_vectors(evaluation.described(asked, np.arange(len(rows))), fit_on=whole_rows)
    vectors = scene.embed(column.kind, asked)
    whole = np.flatnonzero(scene.present(role))
    held = things(collection, [role])[role]
    relevance = Relevance.from_groups(held[rows], held[whole])
    found = evaluation.retrieval(vectors, scene.spaces[""][role][whole], relevance, measures=["recall@1"])
    raw = next(space[role] for name, space in scene.spaces.items() if name in RAW.values() and role in space)
    floor = evaluation.retrieval(raw_asked, raw[whole], relevance, measures=["recall@1"])
    value = found.mean("recall@1")
    return [
        Score(
            f"{what}, R@1",
            value,
            {"chance": found.chance["recall@1"], RAW[column.kind]: floor.mean("recall@1")},
            n=len(rows),
            reading=f"{100 * value:.0f}% find their original first, among {len(whole):,}.",
            interval=evaluation.bootstrap_interval(found.values["recall@1"]),
        )
    ]


def changed(
    column: Column, prepared: encoders.Prepared, encoder: encoders.Encoder, rows: np.ndarray, side: Side | None = None
) -> tuple[str, encoders.Prepared] | None:
    """Some rows of a column, each changed at random but always alike, and what these are expected to find.

    None where it is not known how things of this kind may be changed. Texts are read as those of a ``side``.
    """
    generator = torch.Generator().manual_seed(0)
    if column.kind == "image":
        pixels = prepared.take(rows)
        plain = views.ImageViews(
            size=pixels.shape[-1], crop_scale=(0.4, 1.0), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
        )
        seen = (plain(pixels, generator) * 255).round().clamp(0, 255).to(torch.uint8)
        asked = encoders.PackedImages(seen.contiguous().numpy(), np.ones(len(rows), bool))
        return "a cropped, recoloured picture finds its original", asked
    if isinstance(column, TextColumn):
        asked_texts = prepare_as(encoder, TextColumn(shortened(column, rows)), side)
        return "a text with a third of its words gone finds its original", asked_texts
    if column.kind == "audio":
        return "a part of a recording finds the whole", cut_out(prepared, rows, generator)
    return None


def shortened(column: TextColumn, rows: np.ndarray) -> list[str]:
    """Some texts of a column without a third of their words."""
    generator = torch.Generator().manual_seed(0)
    return [drop_words(str(column[int(row)]), generator) for row in rows]


def cut_out(prepared: encoders.Prepared, rows: np.ndarray, generator: torch.Generator) -> encoders.PackedSound:
    """Half to all of some recordings, in one piece each."""
    seen = views.SoundViews(crop=(0.5, 0.9))(prepared.take(rows), generator)
    whole = prepared.whole if isinstance(prepared, training.Rows) else prepared
    if isinstance(whole, PackedWaves):  # samples lose more by half precision than spectra do
        return PackedWaves(seen.numpy().astype(np.float32))
    return encoders.PackedSound(seen.numpy().astype(np.float16))


def drop_words(text: str, generator: torch.Generator) -> str:
    """A text without a third of its words, at least one word left."""
    words = text.split()
    keep = torch.rand(len(words), generator=generator) >= 1 / 3
    kept = [word for word, stays in zip(words, keep.tolist(), strict=True) if stays]
    return " ".join(kept or words[:1])
