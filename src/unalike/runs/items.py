"""What a run remembers of its rows, so that a search or a report needs the data no more."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from unalike import encoders
from unalike.data import ClicksColumn, Collection, Column, LabelColumn, LabelsColumn
from unalike.data.roles import kind_of
from unalike.errors import RunError
from unalike.files import write_atomically

THUMBNAIL = 64
"""Side of a remembered picture in pixels."""
MOST_THUMBNAILS = 100_000
"""Beyond this many pictures none are remembered: the run would outgrow its model by far."""


@dataclass(frozen=True)
class Items:
    """The rows of a run: id, split, labels, first text, and a small picture for each picture role."""

    table: pa.Table

    def __len__(self) -> int:
        return self.table.num_rows

    @cached_property
    def ids(self) -> list[str]:
        return self.table["id"].to_pylist()

    @cached_property
    def columns(self) -> dict[str, list[str | None]]:
        """The labels and the texts, as lists."""
        names = [name for name in self.table.column_names if kind_of(name) in ("text", "label")]
        return {name: self.table[name].to_pylist() for name in names}

    def labels(self, role: str = "label") -> list[str | None]:
        """Class names of a label role, None where unknown or without such a role."""
        return self.columns.get(role, [None] * len(self))

    @property
    def label_roles(self) -> list[str]:
        return [name for name in self.table.column_names if kind_of(name) == "label"]

    @property
    def texts(self) -> list[str | None]:
        return self.columns.get("text", [None] * len(self))

    def texts_of(self, role: str) -> list[str | None]:
        """The texts of a role, where they are remembered: the other side of a pair; else those that name the rows."""
        return self.columns.get(role, self.texts)

    @cached_property
    def histories(self) -> list[list[int] | None]:
        """For a run that learned from clicks the items of each user by number; None where a row is only a part."""
        if "history" not in self.table.column_names:
            return [None] * len(self)
        return self.table["history"].to_pylist()

    @cached_property
    def label_sets(self) -> list[list[str] | None]:
        """For a run that learned sets of labels those of each row; None where it has none."""
        if "labels" not in self.table.column_names:
            return [None] * len(self)
        return self.table["labels"].to_pylist()

    @cached_property
    def splits(self) -> np.ndarray:
        return np.asarray(self.table["split"].to_pylist(), dtype=object)

    def picture(self, row: int, role: str | None = None) -> Image.Image | None:
        """The small picture of a row, of one role or of the first that has one."""
        roles = [n.removeprefix("picture ") for n in self.table.column_names if n.startswith("picture ")]
        for each in roles if role is None else [r for r in roles if r == role]:
            content = self.table[f"picture {each}"][row].as_py()
            if content is not None:
                return Image.open(io.BytesIO(content), formats=["WEBP"]).convert("RGB")
        return None

    def save(self, path: Path) -> None:
        write_atomically(path, partial(pq.write_table, self.table, compression="zstd"))

    @classmethod
    def load(cls, path: Path) -> Items:
        """Raises RunError where the file is missing or damaged."""
        try:
            # One file needs no dataset; with pyarrow.dataset would come pandas, which takes longer than a search.
            return cls(pq.ParquetFile(path).read())
        except FileNotFoundError:
            raise RunError(f"{path} is missing") from None
        except (pa.ArrowInvalid, OSError) as error:
            raise RunError(f"{path} is damaged: {error}") from error

    @classmethod
    def of(
        cls,
        collection: Collection,
        split_of: Sequence[str],
        text_role: str | None,
        pictures: Mapping[str, encoders.Prepared],
        answers: Sequence[str] = (),
    ) -> Items:
        """Remember the rows of a collection.

        Args:
            collection: the rows.
            split_of: the split of each row.
            text_role: whose texts name the rows.
            pictures: prepared roles of pictures.
            answers: roles of texts that a search finds beside.
        """
        columns: dict[str, pa.Array] = {"id": pa.array(collection.ids), "split": pa.array(list(split_of))}
        for role in collection.roles("label"):
            column = collection[role]
            assert isinstance(column, LabelColumn)
            columns[role] = pa.array([column[row] for row in range(len(column))], pa.string())
        for name, told in (("text", text_role), *((role, role) for role in answers if role != text_role)):
            if told is not None:
                texts = collection[told]
                columns[name] = pa.array([texts[row] for row in range(len(texts))], pa.string())
        labels = next((collection[role] for role in collection.roles("labels")), None)
        if isinstance(labels, LabelsColumn):
            columns["labels"] = pa.array([labels[row] for row in range(len(labels))], pa.list_(pa.string()))
        clicks = collection.columns.get("clicks")
        if isinstance(clicks, ClicksColumn):
            columns["history"] = pa.array(clicks.complete(), pa.list_(pa.int64()))
            columns["text"] = pa.array([last_items(clicks, row) for row in range(len(clicks))], pa.string())
        if len(collection) * len(pictures) <= MOST_THUMBNAILS:
            for role, prepared in pictures.items():
                columns[f"picture {role}"] = pa.array(thumbnails(collection[role], prepared), pa.binary())
        return cls(pa.table(columns))


def last_items(clicks: ClicksColumn, row: int, count: int = 3) -> str:
    """The last items that a row knows, in words."""
    return ", ".join(clicks.title(int(item)) for item in clicks.history(row)[-count:])


def is_shown(role: str) -> bool:
    """Whether there is a picture to see of what a role holds."""
    return encoders.use_of_kind(kind_of(role)).thumbnails is not None


def thumbnails(column: Column, prepared: encoders.Prepared) -> list[bytes | None]:
    """Each entry of a column as a small WebP, None where the row has none."""
    found: list[bytes | None] = []
    present, show = column.present, encoders.use_of_kind(column.kind).thumbnails
    assert show is not None
    for start in range(0, len(prepared), 512):
        rows = np.arange(start, min(start + 512, len(prepared)))
        for row, pixels in zip(rows, show(column, prepared, rows), strict=True):
            if not present[row]:
                found.append(None)
                continue
            picture = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
            picture.thumbnail((THUMBNAIL, THUMBNAIL))
            stream = io.BytesIO()
            picture.save(stream, "WEBP", quality=80)
            found.append(stream.getvalue())
    return found
