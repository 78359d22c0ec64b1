"""What is exported is opened by sentence-transformers alone, and gives the run's vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import unalike
from unalike.cli import main
from unalike.errors import RunError, SettingsError

transformers = pytest.importorskip("transformers")
sentence_transformers = pytest.importorskip("sentence_transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "cat", "dog", "sat", "on", "mat", "##s", "red"]
TEXTS = [f"{a} {b} {c}" for a in ("the", "a", "red") for b in ("cat", "dog", "mat") for c in ("sat", "on", "cats")]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=160,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizerFast(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
    return folder


def fitted(folder: Path, out: Path, encoder: str) -> unalike.Run:
    table = folder / "texts.csv"
    table.write_text("body\n" + "\n".join(TEXTS) + "\n")
    options = ["--text", "body", "--system", "simcse", "--text-encoder", encoder]
    main(["fit", str(table), *options, "--steps", "3", "--batch-size", "8", "--device", "cpu", "--out", str(out)])
    return unalike.load(out)


@pytest.mark.parametrize("kind", ["hf", "st"])
def test_sentence_transformers_gives_the_runs_vectors(kind: str, bert: Path, tmp_path: Path) -> None:
    source = bert
    if kind == "st":
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

        source = tmp_path / "sentences"
        parts = [Transformer(str(bert)), Pooling(16, "cls")]
        sentence_transformers.SentenceTransformer(modules=parts, device="cpu").save_pretrained(str(source))
    run = fitted(tmp_path, tmp_path / "run", f"{kind}:{source}")
    exported = run.export(tmp_path / "model")
    opened = sentence_transformers.SentenceTransformer(str(exported), device="cpu", local_files_only=True)
    np.testing.assert_allclose(opened.encode(TEXTS), run.embed(TEXTS).vectors, atol=1e-5)
    with pytest.raises(SettingsError, match="exists already"):
        run.export(exported)


def test_an_own_encoder_has_no_such_form(tmp_path: Path) -> None:
    run = fitted(tmp_path, tmp_path / "run", "ngram")
    with pytest.raises(RunError, match="which sentence-transformers has no part for"):
        run.export(tmp_path / "model")
    assert not (tmp_path / "model").exists()
