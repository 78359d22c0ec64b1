"""FAISS indexes over unit vectors, with settings that find what is there."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from unalike.errors import MissingExtra, SettingsError

Kind = Literal["exact", "hnsw", "ivf"]


def build(vectors: np.ndarray, kind: Kind) -> Any:
    """A FAISS index over the inner product of unit vectors, which is their cosine.

    ``hnsw`` (Malkov and Yashunin, 2016) links each vector to 32 others and walks with a list of 128. ``ivf`` (Sivic
    and Zisserman, 2003; Jégou et al., 2011) sorts vectors into ``4 sqrt(N)`` cells and visits a tenth of them, at
    least eight: FAISS's own default of one cell loses much of what it should find.

    Args:
        vectors: ``(N, D)`` float32 of unit length.
        kind: ``"hnsw"`` or ``"ivf"``.

    Raises:
        MissingExtra: FAISS is not installed.
        SettingsError: another kind.
    """
    try:
        import faiss
    except ImportError:
        raise MissingExtra("faiss-cpu", "search") from None
    count, width = vectors.shape
    index: Any
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(width, 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 200
        index.hnsw.efSearch = 128
    elif kind == "ivf":
        # FAISS wants 39 vectors a cell to place its centres.
        cells = max(min(round(4 * math.sqrt(count)), count // 39), 1)
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, cells, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
        index.nprobe = min(max(cells // 10, 8), cells)
    else:
        raise SettingsError(f"got the kind of index {kind!r}; expected 'exact', 'hnsw' or 'ivf'")
    index.add(vectors)
    return index
