"""Models of sentence-transformers that lie on this machine, whatever stands in them. Nothing is ever downloaded."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from unalike.data import Column
from unalike.errors import MissingExtra, RunError, SettingsError
from unalike.files import read_json
from unalike.views import Tokens

from .base import Encoded
from .batches import embed_texts
from .hugging_face import flat
from .model_folders import SHAPES, files_in, model_folder, readable, require_transformers, unpacked
from .text import Side, TextEncoder

SHIFT = 2**28
"""Where the two sides of a search go other ways through a model, the tokens of one side are raised by this, those of
the other by twice as much: a batch then says itself which way each row goes, whatever views made of it."""

CLOSE = 1e-4
"""How near to sentence-transformers' own a vector is, beside its largest number, when a folder is opened."""

# Several lengths; none of them long enough to be cut by any model worth having.
PROBES = ["a", "a red bicycle", "two of them stand by the lake, and nobody is there"]

_MADE_HERE = {"input_ids", "attention_mask", "token_type_ids", "sentence_lengths", "offsets"}
"""What a batch of tokens holds or what follows from it."""


@dataclass(frozen=True)
class _Way:
    """How texts of one side go through a model: what stands before them, and what its modules are told."""

    number: int
    prompt: str | None
    task: dict[str, str]
    extra: dict[str, Any] = field(default_factory=dict)


class SentenceTransformersEncoder(TextEncoder):
    """A model of sentence-transformers, whose vectors these are: prompts, pooling, dense layers, routes and all.

    A folder whose modules read something else than tokens is refused, and so is one that gives other vectors here than
    in sentence-transformers: it is compared when it is opened. Weights of half precision are read as float32.

    Args:
        folder: where ``SentenceTransformer.save_pretrained`` put the model.
        max_tokens: how many tokens of a text are read, the prompt and the special ones included; without it as many as
            the model says, and never more than these.
        frozen: keep the weights as they are.

    Raises:
        MissingExtra: sentence-transformers is not installed, or too old.
        SettingsError: the folder holds no such model, or one of its modules cannot be used; the message names it.
    """

    suited_rate = 2e-5

    def __init__(self, folder: str | Path, *, max_tokens: int | None = None, frozen: bool = False) -> None:
        path = model_folder(folder, "modules.json")
        self._open(path)
        self._compare(path)
        self._shorten(max_tokens)
        if frozen:
            self.freeze()

    def _open(self, path: Path) -> None:
        try:
            from sentence_transformers import SentenceTransformer

            # The modules' place since 5.4. Since 6 a folder's own code is not run, and what is cut can be counted.
            from sentence_transformers.sentence_transformer import modules  # noqa: F401
        except ImportError as error:
            raise MissingExtra("sentence-transformers", "text") from error
        try:
            modules_of(path)
        except RunError as error:
            raise SettingsError(f"the model in {path} is not opened: {error}") from error
        super().__init__()
        with readable(path):
            self.model: Any = SentenceTransformer(str(path), device="cpu", local_files_only=True).float()
        if problem := _unreadable(self.model):
            raise SettingsError(f"st:{path} cannot be used: {problem}")
        self._name, self.pretrained = path.name, True
        self._wanted: int | None = None
        with readable(path):
            sides: tuple[Side | None, ...] = (None, "query", "document")
            ways = {side: self._way(number, side) for number, side in enumerate(sides)}
        self._ways = ways
        self._apart = _routed(self.model) or len({str(sorted(way.extra.items())) for way in ways.values()}) > 1
        training = self.model.training
        with readable(path), torch.no_grad():
            self.model.eval()
            self.width = self._vectors(torch.ones(1, 2, dtype=torch.int64), torch.ones(1, 2).bool(), ways[None])[
                "sentence_embedding"
            ].shape[1]
            self.model.train(training)

    def _shorten(self, most: int | None) -> None:
        """Read no more than so many tokens of a text."""
        if most is not None and most < 1:
            raise SettingsError(f"max_tokens={most}: of a text at least one token is read")
        self._wanted = most
        if most is None:
            return
        for first in (path[0] for path in _paths(self.model)):
            if not _is_bag(first):  # which cuts nothing off: `tokenise_as` does
                first.max_seq_length = min(most, first.max_seq_length or most)
                for name in ("query_length", "document_length"):
                    if getattr(first, name, None) is not None:
                        setattr(first, name, min(most, getattr(first, name)))

    def _way(self, number: int, side: Side | None) -> _Way:
        prompts = {name: prompt for name, prompt in self.model.prompts.items() if prompt is not None}
        own = prompts.get(self.model.default_prompt_name)
        names = {"query": ["query"], "document": ["document", "passage", "corpus"]}.get(side or "", [])
        prompt = next((prompts[name] for name in names if name in prompts), own)
        way = _Way(number, prompt, {} if side is None else {"task": side})
        try:
            found = self._features(["a"], way)
        except ValueError:
            if side is not None or not _routed(self.model):
                raise
            way = _Way(number, prompt, {"task": "document"})  # a router without a default route
            found = self._features(["a"], way)
        types = found.get("token_type_ids")
        if types is not None and bool(types.bool().any()):
            raise SettingsError(f"{_names(self.model)[0]} reads kinds of tokens (token_type_ids), and not only tokens")
        extra = {name: value for name, value in found.items() if name not in _MADE_HERE}
        if odd := sorted(name for name, value in extra.items() if isinstance(value, Tensor)):
            raise SettingsError(f"{_names(self.model)[0]} reads {', '.join(odd)}, and not only tokens")
        return _Way(number, prompt, way.task, extra)

    def _features(self, texts: Sequence[str], way: _Way, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.model.preprocess(list(texts), prompt=way.prompt, **way.task, **options)
        if "input_ids" not in found:
            raise SettingsError(f"{_names(self.model)[0]} makes {', '.join(found)} of a text, and no tokens")
        return found

    def _compare(self, path: Path) -> None:
        """Refuse a model whose vectors would be others than those of sentence-transformers."""
        encode = {None: self.model.encode, "query": self.model.encode_query, "document": self.model.encode_document}
        for side, way in self._ways.items():
            # A router without a default route goes the documents' way.
            own = encode["document" if side is None and way.task else side]
            with readable(path):
                theirs = own(PROBES, batch_size=1, show_progress_bar=False)
                ours = embed_texts(self, PROBES, side=side)
            apart = np.abs(theirs - ours).max()
            if not apart <= CLOSE * np.abs(theirs).max():
                raise SettingsError(
                    f"st:{path} cannot be used: through {', '.join(_names(self.model))} the vectors of "
                    f"{f'a {side}' if side else 'a text'} differ from those of sentence-transformers by {apart:.2g}"
                )

    def notes(self, side: Side | None = None) -> list[str]:
        prompt = self._ways[side].prompt
        return [f"st:{self._name} puts {prompt!r} before each text"] if prompt else []

    def tokenise(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return self.tokenise_as(texts, None)

    def tokenise_as(self, texts: Sequence[str], side: Side | None) -> tuple[np.ndarray, np.ndarray]:
        if not len(texts):
            return flat([])
        way = self._ways[side]
        found = self._features(texts, way)
        ids = found["input_ids"]
        if "offsets" in found:  # after each other, as an embedding bag reads them
            rows = list(ids.tensor_split(found["offsets"][1:]))
            rows = rows if self._wanted is None else [row[: self._wanted] for row in rows]
        else:
            rows = [row[mask.bool()] for row, mask in zip(ids, found["attention_mask"], strict=True)]
        values, counts = flat(rows)
        return values + np.int32(SHIFT * way.number) if self._apart else values, counts

    def limit(self, side: Side | None = None) -> int | None:
        way = self._ways[side]
        first = _first(self.model, way.task)
        own = getattr(first, f"{way.task.get('task')}_length", None) or getattr(first, "max_seq_length", None)
        if _is_bag(first):
            return self._wanted
        return None if own is None or own >= SHIFT else int(own)

    def cut(self, texts: Sequence[str], counts: np.ndarray, side: Side | None = None) -> int:
        limit, way = self.limit(side), self._ways[side]
        full = [] if limit is None else [texts[row] for row in np.flatnonzero(counts >= limit).tolist()]
        if limit is None or not full:
            return 0
        first = _first(self.model, way.task)
        if hasattr(first, "auto_model"):
            # One token more than fits shows which texts do not fit.
            longer = {"text": {"max_length": limit + 1, "truncation": True}}
            found = self._features(full, way, processing_kwargs=longer)
            return int((found["attention_mask"].sum(1) > limit).sum())
        prompted = [f"{way.prompt or ''}{text}" for text in full]
        if _is_bag(first):
            return sum(len(one.ids) > limit for one in first.tokenizer.encode_batch(prompted, add_special_tokens=False))
        return sum(len(first.tokenizer.tokenize(text)) > limit for text in prompted)

    def forward(self, inputs: Tokens) -> Encoded:
        ways = list(self._ways.values())
        if not self._apart:
            found = self._vectors(inputs.ids, inputs.mask, ways[0])
            tokens = found.get("token_embeddings")
            return Encoded(found["sentence_embedding"], tokens, None if tokens is None else inputs.mask)
        which = inputs.ids[:, 0].div(SHIFT, rounding_mode="floor") * inputs.mask[:, 0]
        ids = inputs.ids % SHIFT
        vectors = inputs.ids.new_zeros(len(ids), self.width, dtype=torch.float32)
        for way in ways:
            rows = (which == way.number).nonzero()[:, 0]
            if len(rows):
                found = self._vectors(ids[rows], inputs.mask[rows], way)
                vectors = vectors.index_put((rows,), found["sentence_embedding"].to(vectors.dtype))
        return Encoded(vectors)

    def _vectors(self, ids: Tensor, mask: Tensor, way: _Way) -> dict[str, Any]:
        """What the modules make of tokens ``(B, L)`` that go one way."""
        lengths = mask.sum(1)
        width = max(1, int(lengths.max()))
        ids, mask = ids[:, :width], mask[:, :width]
        features = {"input_ids": ids, "attention_mask": mask.long(), "sentence_lengths": lengths, **way.extra}
        if _is_bag(_first(self.model, way.task)):
            features = {"input_ids": ids[mask], "offsets": lengths.cumsum(0) - lengths, **way.extra}
        found: dict[str, Any] = self.model(features, **way.task)
        if "sentence_embedding" not in found:
            raise SettingsError(f"{', '.join(_names(self.model))} give no vector of a text: is there a Pooling?")
        return found | {"sentence_embedding": found["sentence_embedding"][:, : self.model.truncate_dim]}

    @property
    def token_width(self) -> int:
        return int(self.model[0].get_embedding_dimension())

    def config(self) -> dict[str, Any]:
        return {"name": "st", "max_tokens": self._wanted, "frozen": self.frozen}

    def assets(self) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            self.model.save_pretrained(folder, create_model_card=False)
            return files_in(Path(folder), shapes_of_weights=True)

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        options.pop("seed", None)  # the weights are there
        return cls(given, **options)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], assets: Mapping[str, bytes]) -> Self:
        rest = dict(settings)
        frozen = rest.pop("frozen")
        with unpacked(assets) as folder:
            modules = modules_of(folder)
            if not any(name.endswith(SHAPES) for name in assets):  # kept by an earlier version, without the shapes
                _draw_weights(folder, modules)
            encoder = cls.__new__(cls)
            encoder._open(folder)
            encoder._shorten(rest.pop("max_tokens", None))
        return encoder.freeze() if frozen else encoder


def modules_of(folder: Path) -> list[dict[str, str]]:
    """The parts of a model of sentence-transformers: its lists name classes, and a stranger's may name any class.

    Raises:
        RunError: a part is of a class from elsewhere, or lies outside of the folder; or a list is damaged.
    """
    modules: list[dict[str, str]] = read_json(folder / "modules.json")
    for module in modules:
        if PurePosixPath(module["path"]).is_absolute() or ".." in PurePosixPath(module["path"]).parts:
            raise RunError(f"the run's model lies at {module['path']!r}, out of its folder; refused")
        names = [module["type"]]
        routes = folder / module["path"] / "router_config.json"
        if module["type"].rpartition(".")[2] in ("Router", "Asym"):
            routes = routes if routes.is_file() else routes.with_name("config.json")
            names += read_json(routes)["types"].values()
        for name in names:
            if not name.startswith("sentence_transformers."):
                raise RunError(f"it asks for a class {name!r} from outside sentence-transformers; refused")
    return modules


def _draw_weights(folder: Path, modules: Sequence[Mapping[str, str]]) -> None:
    transformers = require_transformers()
    for module in modules:
        if module["type"].endswith(".Transformer"):
            config = transformers.AutoConfig.from_pretrained(folder / module["path"], local_files_only=True)
            transformers.AutoModel.from_config(config).save_pretrained(folder / module["path"])


def _paths(model: Any) -> list[list[Any]]:
    """The modules of a model, one after the other; one list for each route, where there are several."""
    paths: list[list[Any]] = [[]]
    for module in model:
        routes = getattr(module, "sub_modules", None)
        branches = [[module]] if routes is None else [list(route) for route in routes.values()]
        paths = [path + branch for path in paths for branch in branches]
    return paths


def _names(model: Any) -> list[str]:
    return [type(module).__name__ for module in model]


def _routed(model: Any) -> bool:
    return any(hasattr(module, "sub_modules") for module in model)


def _first(model: Any, task: Mapping[str, str]) -> Any:
    """The module that reads the texts of a task."""
    first = model[0]
    if hasattr(first, "sub_modules"):
        return first.sub_modules[first._resolve_route(task=task.get("task"), modality="text")][0]
    return first


def _is_bag(first: Any) -> bool:
    """Whether a module reads the tokens of all texts after each other, and no batch of them."""
    return type(first).__name__ == "StaticEmbedding"


def _unreadable(model: Any) -> str | None:
    """Why a model's modules cannot be used, if they cannot."""
    for path in _paths(model):
        for place, module in enumerate(path):
            name = type(module).__name__
            if name == "BoW":
                return "BoW counts words, and has neither tokens nor weights that could be trained"
            if name == "CNN" and any(size > 1 for size in module.kernel_sizes):
                return "CNN mixes the end of a text with its padding, so that its vectors hang on the other texts"
            if place and hasattr(module, "sub_modules"):
                return f"{name} stands behind {type(path[0]).__name__}: routes must come first"
            if getattr(module, "query_expansion", None) is not None:
                return f"{name} fills questions up with further tokens (query_expansion)"
    return None
