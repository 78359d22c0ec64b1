"""Settings of encoders reach them from the command line, stay with the run, and texts stand on the side they should."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import unalike
from unalike.cli import main
from unalike.errors import SettingsError
from unalike.runs.report import command
from unalike.runs.spec import encoder_words, read_encoders

transformers = pytest.importorskip("transformers")
sentence_transformers = pytest.importorskip("sentence_transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "cat", "dog", "sat", "on", "mat", "##s", "red", ":"]
WORDS += ["query", "passage"]
TEXTS = [f"{a} {b} {c}" for a in ("the", "a", "red") for b in ("cat", "dog", "mat") for c in ("sat", "on", "cats")]
PROMPTS = {"query": "query : ", "document": "passage : "}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizerFast(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def prompted(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    folder = tmp_path_factory.mktemp("prompted")
    parts = [Transformer(str(bert)), Pooling(16, "mean")]
    sentence_transformers.SentenceTransformer(modules=parts, device="cpu", prompts=PROMPTS).save_pretrained(str(folder))
    return folder


def table(folder: Path, *, pairs: bool = False) -> Path:
    path = folder / "texts.csv"
    lines = [f"{text},{other}" for text, other in zip(TEXTS, TEXTS[::-1], strict=True)] if pairs else TEXTS
    path.write_text("\n".join(["body,answer" if pairs else "body", *lines]) + "\n")
    return path


SHORT = ["--steps", "1", "--batch-size", "8", "--learning-rate", "1e-9", "--device", "cpu"]


def test_settings_reach_the_encoder_and_stay_with_the_run(
    bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["fit", str(table(tmp_path)), "--text", "body", "--system", "simcse", "--text-encoder", f"hf:{bert}"]
    main([*words, "--max-tokens", "4", "--pooling", "max", *SHORT, "--out", str(tmp_path / "run")])
    told = " ".join(capsys.readouterr().out.split())
    cut = "27 of 27 texts have more than 4 tokens and are cut"
    assert told.count(cut) == 1 and told.count("pools by 'max', as was asked for") == 1
    run = unalike.load(tmp_path / "run")
    tower = run.learner.encoders["text"]
    assert (tower.length, tower.pooling) == (4, "max")
    assert any(cut in note for note in run.notes)
    assert run.spec.encoder_settings == {"text": {"max_tokens": 4, "pooling": "max"}}
    assert f"--encoder text=hf:{bert},max_tokens=4,pooling=max" in command(run)
    main(["search", str(tmp_path / "run"), "the cat sat on the mat"])
    assert "1 of 1 texts has more than 4 tokens and is cut" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--encoder", "text=ngram,pooling=max"], "encoder 'ngram' has no setting pooling; it has: buckets"),
        (["--pooling", "max"], "encoder 'ngram' has no setting pooling"),
        (["--encoder", "sound=mel"], "encoder for sound: simcse reads text only"),
        (["--encoder", "text=nothing"], "no encoder 'nothing' reads the kind 'text'; choose one of: ngram"),
        (["--encoder", "text=ngram,width=wide"], "encoder 'ngram' cannot be made with width='wide'"),
        (["--encoder", "ngram"], "expected KIND=NAME"),
        (["--encoder", "text=ngram", "--encoder", "text=transformer"], "names the kind 'text' twice"),
        (["--encoder", "text=ngram", "--text-encoder", "ngram"], "both give it: leave one out"),
    ],
)
def test_what_cannot_be_asked_for_is_said(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "run"
    with pytest.raises(SystemExit):
        main(["fit", str(table(tmp_path)), "--text", "body", "--system", "simcse", *words, *SHORT, "--out", str(out)])
    assert message in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_the_encoder_of_another_kind_is_chosen(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.npy"
    np.save(numbers, np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))
    words = ["fit", str(numbers), "--system", "scarf", "--encoder", "array=mlp,width=12,depth=1", *SHORT]
    main([*words, "--out", str(tmp_path / "run")])
    run = unalike.load(tmp_path / "run")
    assert run.learner.encoders["array"].width == 12
    again = unalike.fit(
        str(numbers), system="scarf", encoder={"array": {"width": 12, "depth": 1}}, steps=1, batch_size=8,
        learning_rate=1e-9, device="cpu", out=tmp_path / "again",
    )  # fmt: skip
    np.testing.assert_array_equal(run.vectors["array"], again.vectors["array"])


def test_the_words_of_an_encoder_are_read_back() -> None:
    wanted = {"name": "hf:models/a,b", "max_tokens": 64, "frozen": True, "pooling": "max"}
    assert read_encoders([encoder_words("text", wanted)]) == {"text": wanted}


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("pairs", [False, True])
def test_a_search_reads_questions_and_documents_as_the_model_does(pairs: bool, prompted: Path, tmp_path: Path) -> None:
    model = sentence_transformers.SentenceTransformer(str(prompted), device="cpu", local_files_only=True)
    queries, documents = unit(model.encode_query(TEXTS)), unit(model.encode_document(TEXTS))
    assert np.abs(queries - documents).max() > 0.05, "the prompts make a difference"
    run = unalike.fit(
        str(table(tmp_path, pairs=pairs)), system="simcse-supervised" if pairs else "simcse",
        roles={"text": "body", "text:positive": "answer"} if pairs else {"text": "body"},
        encoder={"text": f"st:{prompted}"}, steps=1, batch_size=8, learning_rate=1e-12, device="cpu",
        out=tmp_path / "run",
    )  # fmt: skip
    role = "text:positive" if pairs else "text"
    found = documents[::-1] if pairs else documents
    np.testing.assert_allclose(run.vectors[role], found, atol=1e-5)
    hits = unalike.load(run.folder).search("a red dog sat", k=5)
    scores = found @ unit(model.encode_query(["a red dog sat"]))[0]
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1][:5], atol=1e-5)
    assert hits[0].row == int(scores.argmax()) and hits[0].role == role
    np.testing.assert_allclose(run.embed(TEXTS, side="query").vectors, queries, atol=1e-5)
    np.testing.assert_allclose(run.embed(TEXTS, side="document").vectors, documents, atol=1e-5)
    assert any("'query : '" in note for note in run.remarks)
    if pairs:  # the first of a pair asks, also while it is learned
        np.testing.assert_allclose(run.vectors["text"], queries, atol=1e-5)


def test_a_run_that_reads_both_sides_alike_says_so(tmp_path: Path) -> None:
    run = unalike.fit("digits", system="simclr", steps=1, batch_size=8, size=16, device="cpu", out=tmp_path / "run")
    with pytest.raises(SettingsError, match="more than texts, which then have no sides"):
        run.embed("digits", side="query")
    assert "text_sides" in json.loads((tmp_path / "run" / "run.json").read_text())["spec"]
