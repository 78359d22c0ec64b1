"""Files from strangers run nothing: pickles under every name that is read, and texts that are programs."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import shutil
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import unalike
from unalike.data import open_collection
from unalike.errors import UnalikeError
from unalike.files import checksum, read_sealed, write_sealed

MARK = "it-ran"


class Bomb:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.mkdir, (MARK,)


def bombs() -> dict[str, bytes]:
    """A pickle as it is, in the archive that torch.save makes, and as NumPy keeps an array of objects."""
    plain = pickle.dumps(Bomb())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("archive/data.pkl", plain)
        made.writestr("archive/version", "3\n")
    array, arrays = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez(arrays, image=np.array([Bomb()], dtype=object))
    return {"pickle": plain, "torch": archive.getvalue(), "npy": array.getvalue(), "npz": arrays.getvalue()}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> unalike.Run:
    """A run on texts, which has an asset beside its weights."""
    texts = [f"a small text about the number {number}" for number in range(24)]
    return unalike.fit(
        texts,
        encoder={"text": "transformer"},
        steps=2,
        batch_size=8,
        device="cpu",
        checkpoint_minutes=1e-9,
        out=tmp_path_factory.mktemp("runs") / "texts",
    )


def test_the_bombs_are_live() -> None:
    pickle.loads(bombs()["pickle"])
    assert Path(MARK).exists()


SUFFIXES = (
    ".csv",
    ".tsv",
    ".jsonl",
    ".json",
    ".ndjson",
    ".parquet",
    ".npy",
    ".npz",
    ".txt",
    ".pkl",
    ".pt",
    ".bin",
    ".arrow",
)


@pytest.mark.parametrize("kind", ["pickle", "torch", "npy", "npz"])
def test_a_pickle_under_the_name_of_data(kind: str) -> None:
    for suffix in SUFFIXES:
        path = Path(f"data{suffix}")
        path.write_bytes(bombs()[kind])
        with pytest.raises(UnalikeError):
            open_collection(path)
    for suffix in (".png", ".jpg", ".gif", ".webp", ".tif"):
        folder = Path(f"pictures{suffix}")
        folder.mkdir()
        for number in range(4):
            (folder / f"{number}{suffix}").write_bytes(bombs()[kind])
        with pytest.raises(UnalikeError):
            unalike.fit(folder, steps=1, out="run")
    assert not Path(MARK).exists()


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_under_every_name_of_a_run(run: unalike.Run, kind: str) -> None:
    files = [path.relative_to(run.folder) for path in sorted(run.folder.rglob("*")) if path.is_file()]
    assert len(files) > 10
    for number, name in enumerate(files):
        copy = Path(shutil.copytree(run.folder, f"copy{number}"))
        (copy / name).write_bytes(bombs()[kind])
        if name.name != "run.json":
            record = read_sealed(copy / "run.json")
            # With checksums that fit, as a stranger would make them.
            record["checksums"] = {each: checksum(copy / each) for each in record["checksums"]}
            unfinished = {**record, "state": "training"} if "checkpoints" in name.parts else record
            write_sealed(copy / "run.json", unfinished)
        with contextlib.suppress(UnalikeError, ValueError):  # a log that is none is no business of a search
            again = unalike.load(copy)
            again.search("a small text", k=2)
            list(again.metrics())
        with contextlib.suppress(UnalikeError):
            unalike.resume(copy, [f"a small text about the number {number}" for number in range(24)])
        assert not Path(MARK).exists(), name


def test_weights_of_others_are_read_without_pickles() -> None:
    from unalike.encoders import build_encoder

    column = open_collection(["one text", "another text"])["text"]
    folder = Path("model")
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2}')
    (folder / "modules.json").write_text(
        '[{"name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]'
    )
    for name in ("model.safetensors", "pytorch_model.bin", "tokenizer.json", "training_args.bin"):
        (folder / name).write_bytes(bombs()["torch"])
    for way in ("hf", "st"):
        with pytest.raises(UnalikeError, match="cannot be read"):
            build_encoder(f"{way}:{folder}", [column], seed=0)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnalikeError, match="cannot be read"):
        build_encoder(f"hf:{folder}", [column], seed=0)
    assert not Path(MARK).exists()


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_captions_and_file_names_that_are_programs_stay_texts() -> None:
    folder = Path("pictures")
    folder.mkdir()
    caption, name = "</script><script>alert(1)</script>", "<img src=x onerror=alert(2)>"
    generator = np.random.default_rng(0)
    lines = ["path,caption,label"]
    for number in range(24):
        path = f"{name}{number}.png"
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / path)
        lines.append(f'{path},"{caption} {number}",<b onclick=alert({number % 2})>')
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    run = unalike.fit(
        folder / "pairs.csv",
        roles={"image": "path", "text": "caption"},
        label="label",
        id="path",
        system="clip",
        size=8,
        steps=2,
        batch_size=8,
        device="cpu",
        out="run",
    )
    from unalike.runs.report import write_search

    hits = run.search(f"{caption} 3", k=5)
    for page in (run.report(), write_search(run, f"{caption} 3", hits, Path("found.html"))):
        content = page.read_text(encoding="utf-8")
        assert "alert(" in content  # they are there, as texts
        for tag, attributes in Tags(content).tags:
            assert not [each for each in attributes if each.startswith("on")], (tag, attributes)
            assert (attributes.get("src") or "data:").startswith("data:"), (tag, attributes)
        assert "<script>alert" not in content
        assert "<img src=x" not in content
        assert "<b onclick" not in content
