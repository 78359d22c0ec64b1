"""Time series out of the wheels of aeon and sktime: classified sets, and recordings with marked anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq

from unalike.data.cases import series_column
from unalike.data.collection import Collection
from unalike.data.media import StackColumn
from unalike.data.sets.stored import groups_of, label_of, splits_of, write_rows
from unalike.data.ts_files import read_ts
from unalike.errors import SettingsError

FOLDERS = {"aeon": "aeon/datasets/data", "sktime": "sktime/datasets/data"}

DATASETS = {
    "aeon": (
        *("GunPoint", "JapaneseVowels", "ItalyPowerDemand", "OSULeaf", "ArrowHead", "BasicMotions", "ACSF1"),
        "PickupGestureWiimoteZ",
    ),
    "sktime": ("PLAID",),
}

RECORDINGS = {
    "aeon": {
        "daphnet": "Daphnet_S06R02E0/S06R02E0.csv",
        "internal-bleeding": "KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_TEST.csv",
        "internal-bleeding-train": "KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_TRAIN.csv",
    },
    "sktime": {"mitdb": "mitdb/mitdb.csv"},
}

TABLES = {name: {part: f"{part}.parquet" for part in parts} for name, parts in RECORDINGS.items()}


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    folder = sources[0] / FOLDERS[name]
    for dataset in DATASETS[name]:
        cases = {split: read_ts(folder / dataset / f"{dataset}_{split.upper()}.ts") for split in ("train", "test")}
        values = series_column([case for listed, _ in cases.values() for case in listed], name).values
        np.save(made / f"{dataset}.npy", values, allow_pickle=False)
        ids = [f"{split}-{number}" for split, (listed, _) in cases.items() for number in range(len(listed))]
        count = len(cases["train"][0])
        columns = {"id": ids, "label": [label for _, labels in cases.values() for label in labels]}
        splits = {"train": np.arange(count), "test": np.arange(count, len(ids))}
        write_rows(made / f"{dataset}.parquet", columns, splits=splits)
    for part, path in RECORDINGS[name].items():
        pq.write_table(pyarrow.csv.read_csv(folder / path), made / f"{part}.parquet", compression="zstd")


def open_set(name: str, folder: Path, dataset: str | None = None) -> Collection:
    datasets = DATASETS[name]
    chosen = datasets[0] if dataset is None else dataset
    if chosen not in datasets:
        raise SettingsError(f"{name} has no dataset {chosen!r}; it has {', '.join(datasets)}")
    table = pq.read_table(folder / f"{chosen}.parquet")
    return Collection(
        {
            "series": StackColumn(np.load(folder / f"{chosen}.npy", allow_pickle=False), kind="series"),
            "label": label_of(table, "label"),
        },
        name=f"{name}-{chosen}",
        ids=table["id"].to_pylist(),
        splits=splits_of(table),
        groups=groups_of(table),
    )
