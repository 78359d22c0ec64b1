"""Furniture of Sweet Home 3D: a model as points, a picture of it, and its name in many languages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unalike.data.collection import Collection
from unalike.data.columns import ArrayColumn
from unalike.data.media import StackColumn
from unalike.data.sets.stored import columns_of, groups_of, label_of, locale_of, splits_of, write_rows

POINTS = 2048
"""Points on the surface of each model."""


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    columns: dict[str, list] = {}
    clouds = []
    for path in sorted(sources[0].glob("usr/share/sweethome3d/furniture/*.sh3f")):
        with ZipFile(path) as catalogue:
            stated = _properties(catalogue)
            for number in sorted(int(key.split("#")[1]) for key in stated["en"] if key.startswith("model#")):
                model = stated["en"][f"model#{number}"].lstrip("/")
                clouds.append(_surface(*read_obj(catalogue.read(model)), POINTS))
                row: dict[str, object] = {
                    "id": stated["en"][f"id#{number}"],
                    "category": stated["en"][f"category#{number}"],
                    "image": catalogue.read(stated["en"][f"icon#{number}"].lstrip("/")),
                    "size": [float(stated["en"][f"{side}#{number}"]) for side in ("width", "depth", "height")],
                }
                for locale, found in stated.items():
                    row[f"text:{locale}"] = found.get(f"name#{number}") or None
                    row[f"tags:{locale}"] = found.get(f"tags#{number}") or None
                for column, entry in row.items():
                    columns.setdefault(column, []).append(entry)
    np.save(made / "points.npy", np.stack(clouds), allow_pickle=False)
    # Chairs that are only called "Chair" stay together.
    groups = np.unique([text.lower() for text in columns["text:en"]], return_inverse=True)[1]
    labels = np.unique(columns["category"], return_inverse=True)[1]
    kept = {column: pa.array(entries) for column, entries in columns.items()}
    write_rows(made / "rows.parquet", kept, groups=groups, labels=labels)


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    return Collection(
        {
            "points": StackColumn(np.load(folder / "points.npy", allow_pickle=False), kind="points"),
            **columns_of(table),
            "array": ArrayColumn(np.array(table["size"].to_pylist(), np.float32)),
            "label": label_of(table, "category"),
        },
        name=name,
        ids=table["id"].to_pylist(),
        splits=splits_of(table),
        groups=groups_of(table),
    )


def read_obj(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Corners float64 ``(V, 3)`` and triangles int64 ``(T, 3)`` of a Wavefront OBJ file; polygons become fans."""
    corners: list[list[bytes]] = []
    triangles: list[tuple[int, int, int]] = []
    for line in data.splitlines():
        if line.startswith(b"v "):
            corners.append(line.split()[1:4])
        elif line.startswith(b"f "):
            numbers = [int(part.split(b"/", 1)[0]) for part in line.split()[1:]]
            # Counted from one, or backwards from the last corner so far.
            first, *rest = [number - 1 if number > 0 else len(corners) + number for number in numbers]
            triangles += [(first, a, b) for a, b in pairwise(rest)]
    return np.array(corners, np.float64).reshape(-1, 3), np.array(triangles, np.int64).reshape(-1, 3)


def _surface(corners: np.ndarray, triangles: np.ndarray, count: int) -> np.ndarray:
    """Points spread evenly over a surface, float32 ``(count, 3)``, centred, the farthest one at distance 1.

    Always the same ones: they walk over the triangles by area, and within a triangle along an additive recurrence
    (M. Roberts, 2018, "The unreasonable effectiveness of quasirandom sequences").
    """
    a, b, c = (corners[triangles[:, side]] for side in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    steps = np.arange(count) + 0.5
    chosen = np.searchsorted(np.cumsum(area), steps / count * area.sum(), side="right").clip(max=len(area) - 1)
    u, v = (steps * 0.7548776662466927) % 1, (steps * 0.5698402909980532) % 1
    u, v = np.where(u + v > 1, (1 - u, 1 - v), (u, v))
    points = a[chosen] + u[:, None] * (b - a)[chosen] + v[:, None] * (c - a)[chosen]
    points -= (points.min(0) + points.max(0)) / 2
    return (points / np.linalg.norm(points, axis=1).max()).astype(np.float32)


def _properties(catalogue: ZipFile) -> dict[str, dict[str, str]]:
    """What the catalogue says of its models, by locale, from Java's properties files."""
    stated = {}
    for entry in catalogue.namelist():
        found = re.fullmatch(r"PluginFurnitureCatalog_?(\w*)\.properties", entry)
        if found and found[1] != "en_US":  # only a few tags
            text = catalogue.read(entry).decode("latin-1")
            pairs = re.findall(r"^(\w+#\d+)=([^\r\n]*)", text, flags=re.MULTILINE)
            stated[locale_of(found[1] or "en")] = {key: _unescaped(value) for key, value in pairs}
    return stated


def _unescaped(value: str) -> str:
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), value).replace("\\", "").strip()
