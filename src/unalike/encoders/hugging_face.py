"""Text models of transformers that lie on this machine. Nothing is ever downloaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor, nn

from unalike.data import Column
from unalike.errors import RunError, SettingsError
from unalike.files import read_json
from unalike.views import Tokens

from .base import Encoded
from .model_folders import model_folder, one_tower, opened_again, readable, require_transformers, saved_files, vector_of
from .seeding import seeded
from .text import Side, TextEncoder, masked_mean

Pooling = Literal["mean", "first", "last", "max", "own"]
"""How tokens become a vector: their mean, the first (CLS), the last, the largest of each number; or the one vector that
the model itself gives (a projection of CLIP, the pooler of DPR)."""

_SAVED = {"mean": "mean", "cls": "first", "lasttoken": "last", "max": "max"}
"""What sentence-transformers calls them."""

UNBOUNDED = 512
"""Tokens that are read of a text where neither the tokenizer nor the model says how many."""


class TransformersEncoder(TextEncoder):
    """A text model of transformers, whose tokens are pooled to one vector.

    Args:
        folder: where ``save_pretrained`` put the model and its tokenizer.
        pooling: how tokens become a vector; without it `suited_pooling` tells, and a note says what it told.
        max_tokens: how many tokens of a text are read, the special ones included; without it as many as the tokenizer
            and the positions of the model allow, and never more than these. A note tells how many texts are cut.
        frozen: keep the weights as they are.

    Raises:
        MissingExtra: transformers is not installed.
        SettingsError: the folder holds no model that reads texts, or the pooling is unknown.
    """

    suited_rate = 2e-5

    def __init__(
        self,
        folder: str | Path,
        *,
        pooling: Pooling | None = None,
        max_tokens: int | None = None,
        frozen: bool = False,
    ) -> None:
        transformers = require_transformers()
        path = model_folder(folder, "config.json")
        # A pooler that the folder does not hold is drawn at random.
        with seeded(0), readable(path):
            model = transformers.AutoModel.from_pretrained(path, local_files_only=True, dtype=torch.float32)
            tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
        chosen, why = (pooling, "as was asked for") if pooling is not None else suited_pooling(path, model)
        self._set(model, tokenizer, chosen, max_tokens, frozen)
        self._notes: list[str] = [f"hf:{path.name} pools by {chosen!r}, {why}; reads {self.length} tokens of a text"]
        if prompts := _prompts(path):
            self._notes.append(
                f"hf:{path.name} leaves out the prompts that the folder holds ({', '.join(prompts)}); st: reads them"
            )

    def _set(self, model: Any, tokenizer: Any, pooling: Pooling, max_tokens: int | None, frozen: bool) -> None:
        if pooling not in get_args(Pooling):
            raise SettingsError(f"tokens are pooled by {', '.join(get_args(Pooling))}; given: {pooling!r}")
        if max_tokens is not None and max_tokens < 1:
            raise SettingsError(f"max_tokens={max_tokens}: of a text at least one token is read")
        super().__init__()
        self.config_of_model: Any = model.config
        if pooling != "own" and model.config.is_encoder_decoder:
            model = model.get_encoder()
        self.model: Any = one_tower(model, "text")
        self.pooling: Pooling = "own" if hasattr(model, "get_text_features") else pooling
        self._wanted = max_tokens
        limits = [tokenizer.model_max_length, positions_of(model) or UNBOUNDED**3]
        own = min(limits) if min(limits) < UNBOUNDED**3 else max_tokens or UNBOUNDED
        self.length = self.most = min(max_tokens or own, own)
        self._tokenizer = tokenizer
        self._notes = []
        self.pretrained = True
        training = model.training
        with torch.no_grad():
            model.eval()
            tokens = Tokens(torch.ones(1, 2, dtype=torch.int64), torch.ones(1, 2).bool())
            self.width = self(tokens).vector.shape[1]
            model.train(training)
        if frozen:
            self.freeze()

    def notes(self, side: Side | None = None) -> list[str]:
        return self._notes

    def tokenise(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return flat(self._tokenised(texts, self.length))

    def _tokenised(self, texts: Sequence[str], most: int) -> list[list[int]]:
        found: list[list[int]] = self._tokenizer(list(texts), truncation=True, max_length=most)["input_ids"]
        return found

    def cut(self, texts: Sequence[str], counts: np.ndarray, side: Side | None = None) -> int:
        full = [texts[row] for row in np.flatnonzero(counts >= self.length).tolist()]
        # One token more than fits shows which texts do not fit.
        return sum(len(ids) > self.length for ids in self._tokenised(full, self.length + 1)) if full else 0

    def forward(self, inputs: Tokens) -> Encoded:
        given = {"input_ids": inputs.ids, "attention_mask": inputs.mask.long()}
        if self.model.config.model_type in ("siglip", "siglip2"):
            given = {"input_ids": self._filled(inputs)}
        if hasattr(self.model, "get_text_features"):
            return Encoded(vector_of(self.model.get_text_features(**given)))
        found = self.model(**given)
        if self.pooling == "own":
            return Encoded(found.pooler_output)
        tokens = found.last_hidden_state
        return Encoded(pool(tokens, inputs.mask, self.pooling), tokens, inputs.mask)

    def _filled(self, inputs: Tokens) -> Tensor:
        """Ids ``(B, length)``: a model of SigLIP was trained on texts of one length, and reads their padding too."""
        ids = inputs.ids.masked_fill(~inputs.mask, self._tokenizer.pad_token_id)
        return nn.functional.pad(ids, (0, self.length - ids.shape[1]), value=self._tokenizer.pad_token_id)

    def config(self) -> dict[str, Any]:
        return {"name": "hf", "pooling": self.pooling, "max_tokens": self._wanted, "frozen": self.frozen}

    def assets(self) -> dict[str, bytes]:
        return saved_files(self.config_of_model, self._tokenizer)

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        options.pop("seed", None)  # the weights are there
        return cls(given, **options)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], assets: Mapping[str, bytes]) -> Self:
        model, tokenizer = opened_again(assets, "AutoTokenizer")
        rest = dict(settings)
        if "length" in rest:  # the setting's name in runs of earlier versions
            rest["max_tokens"] = rest.pop("length")
        encoder = cls.__new__(cls)
        encoder._set(model, tokenizer, **rest)
        return encoder


def suited_pooling(folder: Path, model: Any) -> tuple[Pooling, str]:
    """How the tokens of a saved model become a vector, and why.

    What the folder says comes first (``modules.json``, as sentence-transformers writes it); the last token of a causal
    model has read all others; a model that gives one vector and no tokens keeps it; of all others the mean is taken.

    Args:
        folder: of the model.
        model: as transformers opened it.

    Raises:
        SettingsError: the folder asks for a pooling that is not known here, or a file in it is damaged.
    """
    saved = _saved_pooling(folder)
    if saved is not None:
        modes = [saved] if isinstance(saved, str) else list(saved)
        if len(modes) != 1 or modes[0] not in _SAVED:
            raise SettingsError(
                f"{folder} pools its tokens by {', '.join(modes)}, which hf: does not know: open it as st:{folder}, or "
                f"choose a pooling of {', '.join(get_args(Pooling))}"
            )
        return _SAVED[modes[0]], "as the folder says"  # type: ignore[return-value]
    if hasattr(model, "get_text_features"):
        return "own", "the vector that the model gives"
    if is_causal(model.config):
        return "last", "since the model is causal"
    if model.config.model_type == "dpr":
        return "own", "the vector that the model gives"
    return "mean", "since the folder says nothing else"


def is_causal(config: Any) -> bool:
    """Whether a model of transformers sees of a text only what stands before each token.

    Example:
        >>> import transformers
        >>> from unalike.encoders.hugging_face import is_causal
        >>> is_causal(transformers.MistralConfig()), is_causal(transformers.BertConfig())
        (True, False)
    """
    from transformers.models.auto import modeling_auto

    if config.is_encoder_decoder or not getattr(config, "is_causal", True):
        return False
    if getattr(config, "use_bidirectional_attention", False):
        return False
    if any(name.endswith("ForCausalLM") for name in config.architectures or ()):
        return True
    # A decoder that was saved without its head is known by its family: those that also fill gaps look both ways.
    family = config.model_type
    return (
        family in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and family not in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )


def positions_of(model: Any) -> int | None:
    """How many tokens a model of transformers has positions for; None where it counts without end.

    Example:
        >>> import transformers
        >>> from unalike.encoders.hugging_face import positions_of
        >>> config = transformers.RobertaConfig(
        ...     vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        ...     max_position_embeddings=66,
        ... )
        >>> positions_of(transformers.RobertaModel(config))  # the first two are kept for padding
        64
    """
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 1:
        return None
    tables = (m for name, m in model.named_modules() if name.endswith("position_embeddings"))
    kept = (m.padding_idx + 1 for m in tables if isinstance(m, nn.Embedding) and m.padding_idx is not None)
    return positions - max(kept, default=0)


def flat(rows: Sequence[Sequence[int] | Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of rows after each other, int32, and how many each has, int64."""
    counts = np.fromiter(map(len, rows), np.int64, len(rows))
    return np.concatenate([np.empty(0, np.int32), *(np.asarray(row, np.int32) for row in rows)]), counts


def pool(tokens: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """One vector ``(B, D)`` of tokens ``(B, L, D)`` that stand where ``mask`` ``(B, L)`` is true, from the left."""
    if pooling == "mean":
        return masked_mean(tokens, mask)
    if pooling == "first":
        return tokens[:, 0]
    if pooling == "max":
        return tokens.masked_fill(~mask[:, :, None], -torch.inf).amax(1)
    return tokens[torch.arange(len(tokens), device=tokens.device), (mask.sum(1) - 1).clamp(min=0)]


def _saved_pooling(folder: Path) -> str | list[str] | None:
    """What a folder of sentence-transformers says of pooling, in its words."""
    places = [folder / "1_Pooling"]
    if (folder / "modules.json").is_file():
        modules = _json(folder / "modules.json")
        places = [folder / module["path"] for module in modules if module["type"].rpartition(".")[2] == "Pooling"]
    for place in places:
        if (place / "config.json").is_file():
            saved: dict[str, Any] = _json(place / "config.json")
            # Before 5.4 each mode was a flag of its own.
            flags = [name.removeprefix("pooling_mode_") for name, value in saved.items() if value is True]
            on = [name.removesuffix("_token" if name == "cls_token" else "_tokens") for name in flags]
            return saved.get("pooling_mode") or [name for name in on if name != "include_prompt"] or None
    return None


def _prompts(folder: Path) -> list[str]:
    """The names of the prompts that sentence-transformers would put before a text."""
    path = folder / "config_sentence_transformers.json"
    return [name for name, prompt in (_json(path).get("prompts") or {}).items() if prompt] if path.is_file() else []


def _json(path: Path) -> Any:
    try:
        return read_json(path)
    except RunError as error:
        raise SettingsError(f"the model's {path} is damaged: {error}") from error
