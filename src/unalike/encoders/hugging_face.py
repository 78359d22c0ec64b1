"""Models of transformers and sentence-transformers that lie on this machine. Nothing is ever downloaded."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from unalike.data import Column
from unalike.errors import MissingExtra, RunError, SettingsError
from unalike.views import Tokens

from .base import Encoded
from .seeding import seeded
from .text import TextEncoder, masked_mean

Pooling = Literal["mean", "first", "last"]


class TransformersEncoder(TextEncoder):
    """A text model of transformers, whose tokens are pooled to one vector.

    Args:
        folder: where ``save_pretrained`` put the model and its tokenizer.
        pooling: the vector is the ``"mean"`` of the tokens, the ``"first"`` (CLS) or the ``"last"``.
        length: how many tokens of a text are read, the special ones included.
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
        self.length = length
        self._tokenizer = tokenizer
        if frozen:
            self.freeze()

    def tokenise(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return _flat(self._tokenizer(list(texts), truncation=True, max_length=self.length)["input_ids"])

    def forward(self, inputs: Tokens) -> Encoded:
        tokens = self.model(input_ids=inputs.ids, attention_mask=inputs.mask.long()).last_hidden_state
        return Encoded(_pool(tokens, inputs.mask, self.pooling), tokens, inputs.mask)

    def config(self) -> dict[str, Any]:
        return {"name": "hf", "pooling": self.pooling, "length": self.length, "frozen": self.frozen}

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
