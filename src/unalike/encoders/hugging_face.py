"""Models of transformers and sentence-transformers that lie on this machine. Nothing is ever downloaded."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from unalike.data import Column, TextColumn
from unalike.errors import MissingExtra, RunError, SettingsError
from unalike.views import Tokens

from .base import Encoded
from .packed import PackedTokens
from .seeding import seeded
from .text import TextEncoder, masked_mean
from .text import _chunks as text_chunks

Pooling = Literal["mean", "first", "last"]


class TransformersEncoder(TextEncoder):
    """A text model of transformers, whose tokens are pooled to one vector.

    Args:
        folder: where ``save_pretrained`` put the model and its tokenizer.
        pooling: the vector is the ``"mean"`` of the tokens, the ``"first"`` (CLS) or the ``"last"``.
        length: how many tokens of a text are read, the special ones included; at most as many as the model has
            positions for. A warning tells how many texts were cut because of that.
        frozen: keep the weights as they are.

    Raises:
        MissingExtra: transformers is not installed.
        SettingsError: the folder holds no model, or the pooling is unknown.
    """

    def __init__(
        self, folder: str | Path, *, pooling: Pooling = "mean", length: int = 128, frozen: bool = False
    ) -> None:
        transformers = require_transformers()
        path = _folder(folder, "config.json")
        # A pooler that the folder does not hold is drawn at random.
        with seeded(0), _readable(path):
            model = transformers.AutoModel.from_pretrained(path, local_files_only=True, dtype=torch.float32)
            tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
        self._set(model, tokenizer, pooling, length, frozen)

    def _set(self, model: Any, tokenizer: Any, pooling: Pooling, length: int, frozen: bool) -> None:
        if pooling not in ("mean", "first", "last"):
            raise SettingsError(f"tokens are pooled by 'mean', 'first' or 'last'; given: {pooling!r}")
        super().__init__()
        self.model: Any = model
        self.width = int(model.config.hidden_size)
        self.pooling = pooling
        self._wanted = length
        self.length = min(length, positions_of(model) or length)
        self._tokenizer = tokenizer
        if frozen:
            self.freeze()

    def tokenise(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        values, counts, cut = self._tokenise(texts)
        self._tell(cut, len(texts))
        return values, counts

    def _tokenise(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, int]:
        """Values and counts, and how many texts the model has too few positions for."""
        if self.length == self._wanted:
            return *_flat(self._tokenizer(list(texts), truncation=True, max_length=self.length)["input_ids"]), 0
        # One token more than fits shows which texts do not fit.
        rows = self._tokenizer(list(texts), truncation=True, max_length=self.length + 1)["input_ids"]
        long = [row for row, ids in enumerate(rows) if len(ids) > self.length]
        again = [texts[row] for row in long]
        if again:
            cut = self._tokenizer(again, truncation=True, max_length=self.length)["input_ids"]
            for row, ids in zip(long, cut, strict=True):
                rows[row] = ids
        return *_flat(rows), len(long)

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedTokens:
        if not isinstance(column, TextColumn) or self.length == self._wanted:
            return super().prepare(column, cache=cache)
        cuts = []

        def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for texts in text_chunks(column):
                values, counts, cut = self._tokenise(texts)
                cuts.append(cut)
                yield values, counts

        packed = PackedTokens.from_chunks(parts(), column.present)
        self._tell(sum(cuts), len(column))
        return packed

    def _tell(self, cut: int, of: int) -> None:
        if cut:
            warnings.warn(
                f"{cut:,} of {of:,} texts have more than {self.length} tokens and are cut: the model has "
                f"{self.length} positions, fewer than the length of {self._wanted} that was asked for",
                stacklevel=3,
            )

    def forward(self, inputs: Tokens) -> Encoded:
        tokens = self.model(input_ids=inputs.ids, attention_mask=inputs.mask.long()).last_hidden_state
        return Encoded(_pool(tokens, inputs.mask, self.pooling), tokens, inputs.mask)

    def config(self) -> dict[str, Any]:
        return {"name": "hf", "pooling": self.pooling, "length": self._wanted, "frozen": self.frozen}

    def assets(self) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            self.model.config.save_pretrained(folder)
            self._tokenizer.save_pretrained(folder)
            return _files(Path(folder))

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        options.pop("seed", None)  # the weights are there
        return cls(given, **options)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], assets: Mapping[str, bytes]) -> Self:
        transformers = require_transformers()
        with _unpacked(assets) as folder:
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        encoder = cls.__new__(cls)
        encoder._set(transformers.AutoModel.from_config(config), tokenizer, **settings)
        return encoder


class SentenceTransformersEncoder(TextEncoder):
    """A model of sentence-transformers with its own pooling, and whatever else stands behind it.

    Args:
        folder: where ``SentenceTransformer.save`` put the model.
        frozen: keep the weights as they are.

    Raises:
        MissingExtra: sentence-transformers is not installed.
        SettingsError: the folder holds no such model.
    """

    def __init__(self, folder: str | Path, *, frozen: bool = False) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtra("sentence-transformers", "text") from error
        super().__init__()
        path = _folder(folder, "modules.json")
        with _readable(path):
            self.model: Any = SentenceTransformer(str(path), device="cpu", local_files_only=True)
        width = self.model.get_embedding_dimension()
        if width is None:
            raise SettingsError(f"the model in {folder} does not say how long its vectors are")
        self.width = width
        if frozen:
            self.freeze()

    def tokenise(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        found = self.model.preprocess(list(texts))
        return _flat([ids[mask.bool()] for ids, mask in zip(found["input_ids"], found["attention_mask"], strict=True)])

    def forward(self, inputs: Tokens) -> Encoded:
        found = self.model({"input_ids": inputs.ids, "attention_mask": inputs.mask.long()})
        return Encoded(found["sentence_embedding"], found["token_embeddings"], inputs.mask)

    @property
    def token_width(self) -> int:
        return int(self.model[0].get_embedding_dimension())

    def config(self) -> dict[str, Any]:
        return {"name": "st", "frozen": self.frozen}

    def assets(self) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            self.model.save_pretrained(folder, create_model_card=False)
            for weights in _main_weights(Path(folder)):
                weights.unlink()  # the caller keeps them with all other weights
            return _files(Path(folder))

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        options.pop("seed", None)  # the weights are there
        return cls(given, **options)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], assets: Mapping[str, bytes]) -> Self:
        transformers = require_transformers()
        with _unpacked(assets) as folder:
            for module in _modules(folder):
                if module["type"].endswith(".Transformer"):
                    config = transformers.AutoConfig.from_pretrained(folder / module["path"], local_files_only=True)
                    transformers.AutoModel.from_config(config).save_pretrained(folder / module["path"])
            return cls(folder, **settings)


def require_transformers() -> Any:
    """The package transformers, which is imported only where a model needs it.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra("transformers", "text") from error
    return transformers


@contextmanager
def without_bars() -> Iterator[None]:
    """No bars of progress from transformers meanwhile: what is read and written here takes a moment."""
    logging = require_transformers().utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


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
    positions = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 1:
        return None
    tables = (m for name, m in model.named_modules() if name.endswith("position_embeddings"))
    kept = (m.padding_idx + 1 for m in tables if isinstance(m, nn.Embedding) and m.padding_idx is not None)
    return positions - max(kept, default=0)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Say which folder it was, whatever a damaged model leads to."""
    try:
        yield
    except Exception as error:  # these packages raise nothing more special
        raise SettingsError(f"the model in {folder} cannot be read: {type(error).__name__}: {error}") from error


def _folder(folder: str | Path, needed: str) -> Path:
    path = Path(folder).expanduser()
    if not (path / needed).is_file():
        raise SettingsError(
            f"{folder} is no folder with a saved model ({needed} is missing). Models are read from this machine only: "
            "save one there first, or give its path"
        )
    return path


def _flat(rows: Sequence[Sequence[int] | Tensor]) -> tuple[np.ndarray, np.ndarray]:
    counts = np.fromiter(map(len, rows), np.int64, len(rows))
    return np.concatenate([np.empty(0, np.int32), *(np.asarray(row, np.int32) for row in rows)]), counts


def _pool(tokens: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    if pooling == "mean":
        return masked_mean(tokens, mask)
    if pooling == "first":
        return tokens[:, 0]
    return tokens[torch.arange(len(tokens), device=tokens.device), (mask.sum(1) - 1).clamp(min=0)]


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@contextmanager
def _unpacked(assets: Mapping[str, bytes]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, content in assets.items():
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise RunError(f"the run holds a file {path!r} that points out of its folder; it is not opened")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        yield folder


def _modules(folder: Path) -> list[dict[str, str]]:
    """The parts of a sentence-transformers model: its list names classes, and a stranger's may name any class."""
    modules: list[dict[str, str]] = json.loads((folder / "modules.json").read_text("utf-8"))
    for module in modules:
        if not module["type"].startswith("sentence_transformers."):
            raise RunError(f"the run asks for a class {module['type']!r} from outside sentence-transformers; refused")
        if PurePosixPath(module["path"]).is_absolute() or ".." in PurePosixPath(module["path"]).parts:
            raise RunError(f"the run's model lies at {module['path']!r}, out of its folder; refused")
    return modules


def _main_weights(folder: Path) -> list[Path]:
    """The files with the transformer's weights."""
    places = [folder / module["path"] for module in _modules(folder) if module["type"].endswith(".Transformer")]
    return [file for place in places for file in place.glob("*model*.safetensors*")]
