"""What is exported is opened by sentence-transformers alone, and gives the run's vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import unalike
from unalike.cli import main
from unalike.encoders import TextTransformer
from unalike.encoders.esm import parts_of
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


MORE = [
    "",
    "  spaces around  ",
    "Ein Fahrrad, rot.",
    "赤い自転車",
    "THE CAT",
    "a" * 300,
    "the cat sat " * 60,
    "a [CLS] b",
]


@pytest.mark.parametrize("pool", ["mean", "class"])
def test_the_small_transformer_becomes_a_model_that_transformers_has(pool: str, tmp_path: Path) -> None:
    texts = [*TEXTS, *MORE]
    torch.manual_seed(1)
    tower = TextTransformer.from_texts(
        texts, vocabulary=300, width=24, depth=3, heads=4, length=20, pool=pool, seed=None
    ).eval()
    for parameter in tower.parameters():  # weights of one kind would not tell which belongs where
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model = sentence_transformers.SentenceTransformer(modules=parts_of(tower), device="cpu")
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    opened = sentence_transformers.SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
    np.testing.assert_allclose(opened.encode(texts), tower.encode(texts), atol=1e-5)
    assert "unalike" not in (tmp_path / "model" / "modules.json").read_text()


def test_a_run_of_the_small_transformer_is_opened_without_code_of_ours(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    run = fitted(tmp_path, tmp_path / "run", "transformer")
    capfd.readouterr()
    exported = run.export(tmp_path / "model")
    assert capfd.readouterr().err == "", "no bars of progress of others"
    opened = sentence_transformers.SentenceTransformer(str(exported), device="cpu", local_files_only=True)
    texts = [*TEXTS, *MORE[1:]]  # a run leaves empty texts out
    np.testing.assert_allclose(opened.encode(texts), run.embed(texts).vectors, atol=1e-5)


def test_n_grams_name_a_part_of_unalike_and_nothing_of_the_folder(tmp_path: Path) -> None:
    run = fitted(tmp_path, tmp_path / "run", "ngram")
    exported = run.export(tmp_path / "model")
    assert not [path for path in exported.rglob("*") if path.suffix in (".py", ".pkl", ".bin", ".pt")]
    with pytest.raises(ValueError, match="trust_remote_code"):
        sentence_transformers.SentenceTransformer(str(exported), device="cpu", local_files_only=True)
    opened = sentence_transformers.SentenceTransformer(
        str(exported), device="cpu", local_files_only=True, trust_remote_code=True
    )
    expected = run.embed(TEXTS).vectors
    np.testing.assert_allclose(opened.encode(TEXTS), expected, atol=1e-5)
    assert opened.get_embedding_dimension() == expected.shape[1]
    weights = next(exported.rglob("weights.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(RunError, match="changed after it was written"):
        sentence_transformers.SentenceTransformer(
            str(exported), device="cpu", local_files_only=True, trust_remote_code=True
        )
