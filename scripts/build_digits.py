"""Fix the splits of scikit-learn's digits: python scripts/build_digits.py

Writes ``src/unalike/data/embedded/digits.parquet`` (splits and groups, no pictures) and what was
counted into ``src/unalike/data/cards/digits.json``.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from embedding import write_set
from sklearn.datasets import load_digits

from unalike.data.columns import ImageColumn
from unalike.data.sets.digits import pictures
from unalike.data.splits import make_splits


def main() -> None:
    digits = load_digits()
    column = ImageColumn(pictures(digits.images))
    groups = column.distinct()
    fractions = {"train": 0.6, "validation": 0.2, "test": 0.2}
    splits = make_splits(len(column), fractions=fractions, groups=groups, labels=digits.target)
    split = np.empty(len(column), object)
    for name, chosen in splits.items():
        split[chosen] = name
    table = pa.table({"split": pa.array(list(split)).dictionary_encode(), "group": pa.array(groups, pa.int32())})
    write_set(
        "digits",
        {"digits.parquet": table},
        counts={"rows": len(column), "classes": len(digits.target_names), "groups": int(groups.max()) + 1},
        splits={name: len(chosen) for name, chosen in splits.items()},
    )


if __name__ == "__main__":
    main()
