"""BERT's masked language model: tell hidden words from those around them.

No contrast yet. It teaches an encoder which words go together, and is where the contrastive systems of texts start:
fit this one first, then another with ``--text-encoder run:FOLDER``. The second task of the paper, whether a sentence
follows another, is left out, as everyone has done since RoBERTa.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unalike import encoders, training, views
from unalike.errors import SettingsError
from unalike.records import Claim, Paper, Recipe, SharedStart

PAPER = Paper(
    slug="bert",
    title="BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
    authors="Devlin, Chang, Lee, Toutanova",
    year=2019,
    venue="NAACL",
    arxiv="1810.04805",
    modality="text",
    roles=("text",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    hidden: float = 0.15  # section 3.1: share of the tokens that are to be told
    scale: float = 0.3  # standard deviation of the embeddings at first, ours: see below


RECIPE = Recipe(optimizer="adamw", learning_rate=2e-3, weight_decay=1e-2, batch_size=64, epochs=10, clip_norm=1.0)

CLAIM = Claim(sentence="Words told from both of their sides teach what a text means.")


def build(settings: Settings, task: training.Task) -> training.Learner:
    import torch
    from torch.nn.functional import cross_entropy

    encoder: Any = task.encoders["text"]
    if not isinstance(encoder, encoders.TextTransformer):
        raise SettingsError(
            f"bert hides single tokens, and {type(encoder).__name__} has none that it could hide: choose "
            "--text-encoder transformer"
        )
    vocabulary, width = encoder.table.weight.shape
    if not encoder.pretrained:
        # BERT normalises the sum of its embeddings, and this encoder does not: at its own scale of 0.02 they drown in
        # what the blocks add to them, and for twice as many steps nothing but the frequency of words is learned.
        with torch.no_grad():
            for embedded in (encoder.table.weight, encoder.positions.weight, encoder.first):
                embedded.mul_(settings.scale / embedded.std())
    # Released code: a layer before the table of tokens, which is the encoder's own, and a bias for each token.
    head = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.GELU(), torch.nn.LayerNorm(width))
    bias = torch.nn.ParameterList([torch.zeros(vocabulary)])

    def look(batch, generator):
        [(texts, _)] = batch.choose(task.roles["text"], generator)
        texts = encoder.window(texts, generator)
        # The vector of the padding never moves: it stands for what is hidden.
        return texts.ids, *views.hide_tokens(texts, generator, share=settings.hidden, vocabulary=vocabulary)

    def loss(seen):
        ids, texts, hidden = seen
        tokens = head(encoder(texts).tokens[hidden])
        scores = tokens @ encoder.table.weight.T / (settings.scale * width**0.5) + bias[0]
        return cross_entropy(scores, ids[hidden])

    return training.Learner(
        modules={"encoder": encoder, "head": head, "bias": bias}, encoders={"text": encoder}, views=look, loss=loss
    )


def corpus(descriptions, wordnet):
    """Descriptions of packages, long and short, and glosses of words: five glosses in a row are as long as a text."""
    rows, meanings = descriptions.splits["train"].tolist(), wordnet.splits["train"].tolist()
    texts = [f"{descriptions['text:query'][row]}. {descriptions['text'][row]}" for row in rows]
    glosses = [f"{wordnet['text:lemmas'][row]}: {wordnet['text'][row]}" for row in meanings]
    return texts + ["; ".join(glosses[start : start + 5]) for start in range(0, len(glosses), 5)]


BASE = SharedStart(
    system="bert",
    sets=("descriptions", "wordnet"),
    corpus=corpus,
    # So short a training fits nothing too closely: dropout would cost a quarter of the time.
    encoder={
        "name": "transformer",
        "vocabulary": 4000,
        "width": 96,
        "depth": 3,
        "heads": 4,
        "length": 64,
        "dropout": 0.0,
    },
    serves={"dropout": 0.1},
    settings={"hidden": 0.3},
    training={"steps": 900, "batch_size": 32, "learning_rate": 3e-3, "weight_decay": 1e-2, "clip_norm": 1.0},
)
"""The small language model that claims about texts start from, as their papers start from BERT."""
