"""The map of the space: every item a point, laid out in two dimensions, with what the pointer shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from unalike.report.inputs import Item, Projection
from unalike.report.neighbours import normalised
from unalike.report.pictures import Thumbnails, sprite
from unalike.report.wording import clean, percent

_GRID = 10_000  # places are whole numbers up to this, which is finer than a screen
_NEAR = 5


def lay_out(vectors: np.ndarray, projection: Projection, seed: int) -> tuple[np.ndarray, str]:
    """Two coordinates for each row, and one sentence on what they are worth.

    Args:
        vectors: float32 ``(N, D)``, N at least 3.
        projection: ``pca``, or ``tsne`` after 50 principal components.
        seed: of t-SNE.

    Example:
        >>> places, _ = lay_out(np.eye(5, dtype=np.float32), "pca", 0)
        >>> places.shape
        (5, 2)
    """
    from sklearn.decomposition import PCA

    components = min(50, *vectors.shape)
    if components < 2 or not np.ptp(vectors, axis=0).any():
        line = np.zeros((len(vectors), 2))
        line[:, 0] = vectors[:, 0]
        return line, "All vectors lie on one line or in one point: there is nothing to unfold."
    pca = PCA(components, svd_solver="full")
    reduced = pca.fit_transform(vectors)
    if projection == "pca" or len(vectors) < 10:
        share = float(pca.explained_variance_ratio_[:2].sum())
        return reduced[:, :2], (
            f"Principal components: these two directions hold {percent(share)} of the variance; "
            "what overlaps here may be far apart in the others."
        )
    from sklearn.manifold import TSNE

    tsne = TSNE(2, init="pca", perplexity=min(30, (len(vectors) - 1) / 3), random_state=seed)
    return tsne.fit_transform(reduced), (
        "t-SNE: it keeps neighbours together; sizes of groups and distances between far ones mean little."
    )


def payload(
    items: Sequence[Item],
    rows: np.ndarray,
    places: Sequence[tuple[str, str, np.ndarray]],
    vectors: np.ndarray,
    thumbnails: Thumbnails,
    *,
    tile: int,
    quality: int,
    words: int,
) -> dict[str, Any]:
    """What the page's script draws the map from, ready for JSON.

    Args:
        items: everything that was sampled.
        rows: which of them are on the map.
        places: for each layout its name, its sentence and the coordinates ``(len(rows), 2)``.
        vectors: float32 ``(N, D)`` of all items.
        thumbnails: the pictures of all items.
        tile: side of a picture in pixels; 0 for a map without pictures.
        quality: of the pictures, up to 100.
        words: characters kept of each text.
    """
    shown = [items[int(row)] for row in rows]
    pictures = [thumbnails[int(row)] if tile else None for row in rows]
    held = [picture for picture in pictures if picture is not None]
    slots, taken = [], 0
    for picture in pictures:
        slots.append(-1 if picture is None else taken)
        taken += picture is not None
    address, columns = sprite(held, tile=tile, quality=quality) if held else ("", 0)
    return {
        "count": len(shown),
        "layouts": [
            {"name": name, "note": note, "x": _whole(place[:, 0]), "y": _whole(place[:, 1])}
            for name, note, place in places
        ],
        "shapes": _coloured("shape", [item.base for item in shown]),
        "colours": _colourings(shown),
        "id": [clean(item.id, words) for item in shown],
        "text": ["" if item.text is None else clean(item.text, words) for item in shown],
        "near": _near(vectors[rows]).tolist(),
        "slot": slots,
        "sprite": address,
        "columns": columns,
        "tile": tile,
    }


def _whole(values: np.ndarray) -> list[int]:
    spread = float(np.ptp(values)) or 1.0
    return np.rint(_GRID * (values - values.min()) / spread).astype(int).tolist()


def _coloured(name: str, values: Sequence[str | None]) -> dict[str, Any]:
    """Classes by frequency, so that the commonest get the distinct colours, and the class of each point."""
    counts = Counter(value for value in values if value is not None)
    order = {value: code for code, (value, _) in enumerate(counts.most_common())}
    return {
        "name": clean(name, 40),
        "names": [clean(value, 60) for value in order],
        "counts": [counts[value] for value in order],
        "codes": [-1 if value is None else order[value] for value in values],
    }


def _colourings(items: Sequence[Item]) -> list[dict[str, Any]]:
    facets = list(dict.fromkeys(name for item in items for name in item.facets))[:6]
    candidates: list[tuple[str, list[str | None]]] = [
        ("label", [item.label for item in items]),
        *((name, [item.facets.get(name) for item in items]) for name in facets),
        ("kind", [item.kind for item in items]),
    ]
    telling = [(name, values) for name, values in candidates if len(set(values)) > 1]
    return [_coloured(name, values) for name, values in telling or candidates[-1:]]


def _near(vectors: np.ndarray) -> np.ndarray:
    """The nearest other points of each point in the whole space, int ``(n, k)``."""
    unit = normalised(vectors)
    k = min(_NEAR, len(unit) - 1)
    near = np.empty((len(unit), k), dtype=np.int64)
    for start in range(0, len(unit), 512):
        scores = unit[start : start + 512] @ unit.T
        own = np.arange(len(scores))
        scores[own, own + start] = -np.inf
        order = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        ranked = np.argsort(-np.take_along_axis(scores, order, axis=1), axis=1, kind="stable")
        near[start : start + 512] = np.take_along_axis(order, ranked, axis=1)
    return near
