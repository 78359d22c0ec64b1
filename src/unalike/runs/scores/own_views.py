"""Without labels or second roles: how changed things find what they were made from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from unalike import encoders, evaluation, training, views
from unalike.data import TextColumn
from unalike.encoders.hugging_face_sound import PackedWaves
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
    generator = torch.Generator().manual_seed(0)
    column = collection[role]
    if column.kind == "image":
        pixels = scene.packed[role].take(rows)
        plain = views.ImageViews(
            size=pixels.shape[-1], crop_scale=(0.4, 1.0), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
        )
        changed = (plain(pixels, generator) * 255).round().clamp(0, 255).to(torch.uint8)
        asked: encoders.Prepared = encoders.PackedImages(changed.contiguous().numpy(), np.ones(len(rows), bool))
        raw_asked = evaluation.pixel_vectors(Pictures(asked), fit_on=Pictures(scene.packed[role]))
        what = "a cropped, recoloured picture finds its original"
    elif isinstance(column, TextColumn):
        texts = [drop_words(str(column[int(row)]), generator) for row in rows]
        asked = prepare_as(scene.learner.encoders["text"], TextColumn(texts), query_side(spec))
        raw_asked = evaluation.text_vectors(texts, fit_on=column)  # type: ignore[arg-type]
        what = "a text with a third of its words gone finds its original"
    elif column.kind == "audio":
        asked = cut_out(scene.packed[role], rows, generator)
        whole_rows = evaluation.described(scene.packed[role], np.arange(len(column)))
        raw_asked = evaluation.standard_vectors(evaluation.described(asked, np.arange(len(rows))), fit_on=whole_rows)
        what = "a part of a recording finds the whole"
    else:
        return []
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
