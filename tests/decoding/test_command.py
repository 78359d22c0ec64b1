"""unalike generate, as a stranger types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import unalike
from tiny_models import llama, tokenizer

from unalike import decoding, systems


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    llama().save_pretrained(folder / "model")
    tokenizer().save_pretrained(folder / "model")
    (folder / "prompts.txt").write_text("the old keeper\n\nthe sea [red] is\n")
    (folder / "context.txt").write_text("the sea is red .\n")
    return folder


def test_prompts_from_words_and_a_file_with_a_decoders_settings(place: Path) -> None:
    text = unalike(
        *("generate", "model", "a ship", "--prompt-file", "prompts.txt", "--decoder", "contrastive-search"),
        *("--k", "3", "--alpha", "0.4", "--max-new-tokens", "7", "--json", "found.json"),
        cwd=place,
    )
    found = json.loads((place / "found.json").read_text())
    assert [each["prompt"] for each in found] == ["a ship", "the old keeper", "the sea [red] is"]
    search = systems.find("contrastive-search")
    model, words = decoding.load_language_model(place / "model")
    expected = decoding.generate(
        model,
        words,
        [each["prompt"] for each in found],
        decoder=search.build(search.settings(k=3, alpha=0.4)),
        max_new_tokens=7,
    )
    for each, ours in zip(found, expected, strict=True):
        assert each["text"] == ours.text
        assert each["tokens"] == list(ours.tokens)
        assert each["prompt"] + each["text"] in text


def test_a_context_that_is_contrasted(place: Path) -> None:
    options = ("--max-new-tokens", "8", "--context", "context.txt", "--json", "found.json")
    tokens = []
    for decoder in (("--decoder", "cad"), ("--decoder", "adacad", "--base", "1.05"), ()):
        unalike("generate", "model", "a house", "old ship", *decoder, *options, cwd=place)
        tokens.append((place / "found.json").read_text())
    assert len(set(tokens)) == 3


def test_help_shows_the_decoders_settings_without_torch(place: Path) -> None:
    assert "--alpha" in unalike("generate", "--decoder", "contrastive-search", "--help", cwd=place)
    assert "--alpha" not in unalike("generate", "--help", cwd=place)
    assert "  generate " in unalike("--help", cwd=place)
    code = (
        "import sys; from unalike.cli import main\n"
        "try: main(['generate', '--decoder', 'adacad', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model",), "unalike generate needs a prompt"),
        (("model", "sea", "--decoder", "simclr"), "is no decoder but a system of the kind learner"),
        (("model", "sea", "--decoder", "contrastive"), "Did you mean 'contrastive-search'"),
        (("model", "sea", "--decoder", "adacad"), "give contexts"),
        (("model", "sea", "--prompt-file", "none.txt"), "none.txt cannot be read"),
        (("nowhere", "sea"), "neither a folder on this machine nor the name of weights"),
        (("model", "sea", "--max-new-tokens", "90"), "the model's window of 48"),
        (("model", "sea", "--decoder", "contrastive-search", "--k", "99"), "the vocabulary has 40"),
    ],
)
def test_mistakes_are_explained_in_one_message(place: Path, words: tuple[str, ...], message: str) -> None:
    text = unalike("generate", *words, cwd=place, code=2)
    assert text.startswith("error:")
    assert message in " ".join(text.split())


def test_a_decoder_is_not_fitted(place: Path) -> None:
    text = unalike("fit", "context.txt", "--system", "adacad", cwd=place, code=2)
    assert "adacad is no learner but a system of the kind decoder: unalike generate MODEL --decoder adacad" in " ".join(
        text.split()
    )
