"""Runs that begin with a model from a folder: it moves slowly, is measured, and comes back where training harms it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import unalike
from unalike.errors import SettingsError
from unalike.training import load_tensors

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

WORDS = ["[PAD]", "[UNK]", *(f"w{number}" for number in range(60))]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT of random weights: texts that share their words have like vectors."""
    folder = tmp_path_factory.mktemp("start")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    reader = transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]")
    reader.save_pretrained(folder)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(vocab_size=len(WORDS), **size)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions whose answers have their very words, so that no training can help."""
    path = tmp_path_factory.mktemp("data") / "faq.csv"
    random = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["question", "answer"])
        for _ in range(120):
            words = [f"w{number}" for number in random.choice(60, 6, replace=False)]
            table.writerow([" ".join(words), " ".join(words[::-1])])
    return path


def weights(run: unalike.Run, start: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Those of the run's encoder and those of the folder, by name."""
    begins = "encoder.model."
    own = load_tensors(run.folder / "weights.safetensors")
    kept = {name.removeprefix(begins): value for name, value in own.items() if name.startswith(begins)}
    return kept, load_tensors(start / "model.safetensors")


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in other)


ROLES = {"text": "question", "text:2": "answer"}


def test_a_fit_that_cannot_help_returns_the_start(start: Path, questions: Path, tmp_path: Path) -> None:
    told: list[str] = []
    run = unalike.fit(
        questions,
        roles=ROLES,
        encoder={"text": f"hf:{start}"},
        epochs=2,
        validate=2,
        out=tmp_path / "run",
        listener=unalike.training.Listener(on_note=told.append),
    )
    assert run.spec.system == "simcse-supervised" and run.spec.roles == {"text": ("text", "text:positive")}
    assert (run.spec.training.batch_size, run.spec.training.pretrained_rate) == (32, 2e-5)
    assert equal(*weights(run, start))
    kept = run.record["kept"]
    assert kept["step"] == 0 and kept["rows"] == (run.items.splits == "validation").sum() == 27
    [note] = [note for note in told if note.startswith("kept the model as it was before training: MRR of text")]
    assert note in run.record["notes"]
    score = next(score for score in run.scores if score.name == "text finds text:positive, R@1")
    assert score.value == score.floors["untouched start"]
    measured = [row for row in run.metrics() if "validation.MRR of text and text:positive" in row]
    assert [row["step"] for row in measured] == [0, 2, 4]
    assert "validation, MRR of text and text:positive" in (run.folder / "report.html").read_text()


def test_one_rate_that_is_given_is_everyones_and_the_last_weights_can_be_kept(
    start: Path, questions: Path, tmp_path: Path
) -> None:
    options = {"roles": ROLES, "encoder": {"text": f"hf:{start}"}, "keep": "last", "validate": 1, "steps": 1}
    run = unalike.fit(questions, **options, learning_rate=1e-2, out=tmp_path / "run")
    assert run.spec.training.pretrained_rate == 1e-2 and not equal(*weights(run, start))
    assert run.record["kept"]["step"] == 1


def test_no_step_and_a_frozen_encoder_leave_the_model_as_it_is(start: Path, questions: Path, tmp_path: Path) -> None:
    options = {"roles": ROLES, "encoder": {"text": f"hf:{start}"}}
    run = unalike.fit(questions, **options, steps=0, out=tmp_path / "zero")
    again = unalike.load(run.folder)
    assert equal(*weights(run, start)) and "kept" not in run.record
    assert "no step was made: the model is as it was given" in run.record["notes"]
    [found] = again.search("w1 w2 w3", k=1)
    assert found.score > 0.5
    frozen = unalike.fit(questions, **options, freeze=("text",), steps=2, validate=0, out=tmp_path / "frozen")
    assert equal(*weights(frozen, start))
    same = frozen.embed(["w1 w2"]).vectors, again.embed(["w1 w2"]).vectors
    assert np.allclose(*same, atol=1e-6)
    with pytest.raises(SettingsError, match="freeze image: simcse-supervised reads text only"):
        unalike.fit(questions, **options, freeze=("image",), out=tmp_path / "image")
