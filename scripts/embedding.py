"""What the scripts that build embedded sets share: their sources, and how files and cards are written."""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.parquet as pq

from unalike.data.catalogue import EMBEDDED, find_record
from unalike.data.fetching import download, update_index
from unalike.data.unpack import unpack

CARDS = EMBEDDED.parent / "cards"


@contextmanager
def open_sources(name: str) -> Iterator[list[Path]]:
    """The unpacked archives of a set, each in a folder, downloaded and checked."""
    argparse.ArgumentParser(description=f"build the embedded set {name}").parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        root.chmod(0o755)  # apt downloads as a user of its own
        record = find_record(name)
        if "apt" in record.clients:
            update_index(root, ())
        folders = []
        for number, archive in enumerate(record.archives):
            path = download(archive, root / f"archive{number}", progress=print)
            unpack(path, root / f"source{number}")
            folders.append(root / f"source{number}")
        yield folders


def write_set(name: str, tables: Mapping[str, pa.Table], **measured: Any) -> None:
    """Write the tables, and put into the card what was counted and the files' checksums; its prose stays."""
    sums = {}
    for file, table in tables.items():
        # Pictures do not compress further, and a dictionary of distinct texts only costs.
        packed = [field.name for field in table.schema if not pa.types.is_binary(field.type)]
        repeated = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
        pq.write_table(
            table,
            EMBEDDED / file,
            compression={column: "zstd" if column in packed else "none" for column in table.column_names},
            compression_level=dict.fromkeys(packed, 19),
            use_dictionary=repeated,
            write_statistics=False,
        )
        sums[file] = hashlib.sha256((EMBEDDED / file).read_bytes()).hexdigest()
        print(f"{file}: {table.num_rows} rows, {(EMBEDDED / file).stat().st_size:,} bytes")
    path = CARDS / f"{name}.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    versions = {"pyarrow": pa.__version__, "pillow": PIL.__version__, "numpy": np.__version__}
    card |= measured | {"sha256": sums, "built_with": versions}
    path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=1))
