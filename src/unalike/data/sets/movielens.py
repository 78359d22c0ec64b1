"""MovieLens-100k: films as rows; ratings, people and facts about films as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from unalike.data import events
from unalike.data.collection import Collection
from unalike.data.columns import ArrayColumn, TextColumn
from unalike.data.sets.stored import groups_of, splits_of, write_rows

TABLES = {"movielens": {"ratings": "ratings.parquet", "people": "people.parquet", "facts": "facts.parquet"}}

GENRES = (
    *("Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    folder = sources[0] / "recbole/dataset_example/ml-100k"
    films, people, ratings = (_read(folder / f"ml-100k.{part}") for part in ("item", "user", "inter"))
    films = films.sort_by("item_id")
    genres = [[genre for genre in (listed or "").split() if genre in GENRES] for listed in films["class"].to_pylist()]
    columns = {
        "id": films["item_id"].cast(pa.string()).combine_chunks(),
        "title": films["movie_title"].combine_chunks(),
        "year": films["release_year"].combine_chunks(),
        "genres": genres,
    }
    # The set lists some films twice.
    named = [
        f"{title} {year}" for title, year in zip(columns["title"].to_pylist(), columns["year"].to_pylist(), strict=True)
    ]
    write_rows(made / "rows.parquet", columns, groups=np.unique(named, return_inverse=True)[1])
    row = {film: number for number, film in enumerate(films["item_id"].to_pylist())}
    person = {user: number for number, user in enumerate(sorted(people["user_id"].to_pylist()))}
    rated = pa.table(
        {
            "person": pa.array([person[user] for user in ratings["user_id"].to_pylist()], pa.int32()),
            "film": pa.array([row[film] for film in ratings["item_id"].to_pylist()], pa.int32()),
            "rating": ratings["rating"].cast(pa.int8()),
            "time": ratings["timestamp"].cast(pa.int64()),
        }
    )
    pq.write_table(rated, made / "ratings.parquet", compression="zstd")
    pq.write_table(people.sort_by("user_id").drop_columns(["user_id"]), made / "people.parquet", compression="zstd")
    facts = _read(folder / "ml-100k.kg")
    links = _read(folder / "ml-100k.link")
    entity = dict(zip(links["entity_id"].to_pylist(), links["item_id"].to_pylist(), strict=True))
    heads = [row.get(entity.get(head, -1)) for head in facts["head_id"].to_pylist()]
    pq.write_table(facts.append_column("film", pa.array(heads, pa.int32())), made / "facts.parquet", compression="zstd")


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    listed = table["genres"].to_pylist()
    genres = np.array([[genre in film for genre in GENRES] for film in listed], np.float32)
    return Collection(
        {"text": TextColumn(table["title"]), "array": ArrayColumn(genres)},
        name=name,
        ids=table["id"].to_pylist(),
        splits=splits_of(table),
        groups=groups_of(table),
    )


def open_clicks(name: str, folder: Path, *, user: str, item: str, time: str | None = None) -> Collection:
    """The ratings as clicks, whatever they are: a film that somebody rated is one that they chose."""
    titles = pq.read_table(folder / "rows.parquet")["title"]
    films = pa.table({"film": np.arange(len(titles)), "title": titles})
    table = pq.read_table(folder / "ratings.parquet")
    return events.open_clicks(table, user=user, item=item, time=time, items=films, name=name)


def _read(path: Path) -> pa.Table:
    """A tab-separated file of RecBole, whose columns are named ``name:type``."""
    table = pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
    )
    return table.rename_columns([column.split(":")[0] for column in table.column_names])
