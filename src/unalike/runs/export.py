"""Text towers as folders that sentence-transformers opens: by itself, but for n-grams, which it has no part for."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from unalike import encoders
from unalike.data import TextColumn
from unalike.errors import MissingExtra, RunError, SettingsError
from unalike.runs.opened import Opened
from unalike.runs.vectors import embed_prepared

CLOSE = 1e-5
"""The largest difference between a number of an exported vector and the run's own."""

# Several lengths and alphabets.
PROBES = ["a", "a red bicycle", "Ein Fahrrad, rot.", "سيارة حمراء", "赤い自転車", " ".join(["long text"] * 60)]


def export(run: Opened, folder: str | Path) -> Path:
    """Write a run's text tower as a model of sentence-transformers, whose unit vectors are the run's.

    The folder is opened by ``SentenceTransformer(folder)`` alone. Only where the encoder is one of n-grams, the
    folder names a part of unalike, which must be installed then: ``SentenceTransformer(folder,
    trust_remote_code=True)``. It is opened so once before it is kept, and its vectors are compared with the run's.

    Args:
        run: a run that reads texts.
        folder: where the model goes; it must not exist, or be empty.

    Returns:
        The folder.

    Raises:
        MissingExtra: sentence-transformers is not installed.
        RunError: the run reads no texts, or the exported vectors would not be the run's.
        SettingsError: the folder has something in it.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SettingsError(f"{target} exists already; give a new or an empty folder")
    if "text" not in run.learner.encoders:
        kinds = ", ".join(sorted(run.learner.encoders))
        raise RunError(f"{run.folder} has no tower for texts to export (it reads: {kinds})")
    model = _model(run)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as aside:
        made = Path(aside) / "model"
        with encoders.without_bars():
            model.save_pretrained(str(made), create_model_card=False)
            _compare(run, made)
        if target.exists():
            target.rmdir()
        made.replace(target)
    return target


def _model(run: Opened) -> Any:
    """The tower as parts of sentence-transformers, the last of which makes unit vectors."""
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    except ImportError as error:
        raise MissingExtra("sentence-transformers", "text") from error
    tower = run.learner.encoders["text"]
    if isinstance(tower, encoders.SentenceTransformersEncoder):
        return SentenceTransformer(modules=[*tower.model, Normalize()], device="cpu")
    if isinstance(tower, encoders.TransformersEncoder):
        pooling = {"mean": "mean", "first": "cls", "last": "lasttoken"}[tower.pooling]
        with tempfile.TemporaryDirectory() as aside, encoders.without_bars():
            tower.model.save_pretrained(aside)
            for name, content in tower.assets().items():
                (Path(aside) / name).write_bytes(content)
            first = Transformer(aside, max_seq_length=tower.length)
        return SentenceTransformer(modules=[first, Pooling(tower.width, pooling), Normalize()], device="cpu")
    if isinstance(tower, encoders.TextTransformer):
        from unalike.encoders.esm import parts_of

        with encoders.without_bars():
            return SentenceTransformer(modules=[*parts_of(tower), Normalize()], device="cpu")
    from unalike.encoders.sentence_module import OwnTexts

    assert isinstance(tower, encoders.TextEncoder)
    return SentenceTransformer(modules=[OwnTexts(tower), Normalize()], device="cpu")


def needs_unalike(folder: str | Path) -> bool:
    """Whether an exported folder names a part of this package, so that it is opened with ``trust_remote_code=True``."""
    modules = json.loads((Path(folder) / "modules.json").read_text(encoding="utf-8"))
    return any(module["type"].startswith("unalike.") for module in modules)


def _compare(run: Opened, folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    opened = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, trust_remote_code=needs_unalike(folder)
    )
    theirs = opened.encode(PROBES, show_progress_bar=False)
    prepared = run.learner.encoders["text"].prepare(TextColumn(PROBES))
    ours = embed_prepared(run.learner, "text", prepared, run.device)
    if theirs.shape != ours.shape or float(np.abs(theirs - ours).max()) > CLOSE:
        raise RunError(
            f"the vectors of {run.folder} are not those of its text tower alone: {run.spec.system} has further parts "
            "behind it, which a model of sentence-transformers would lack"
        )
