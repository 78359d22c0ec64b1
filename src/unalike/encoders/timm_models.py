"""Any encoder of timm, from scratch or with weights from a local file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Self

import torch
from torch import Tensor, nn

from unalike.data import Column
from unalike.errors import MissingExtra, SettingsError
from unalike.views.image import IMAGENET_MEAN, IMAGENET_STD

from .base import Encoded
from .image import ImageEncoder
from .packed import Fit
from .seeding import seeded


class TimmEncoder(ImageEncoder):
    """A model of timm without its classifier. Nothing is ever downloaded.

    Args:
        name: timm's name of the model, such as ``"resnet18"``; timm.list_models() lists them.
        weights: a local file of weights as timm writes or publishes them; random weights without it.
        size: side of the pictures, in pixels; the model's own without it.
        frozen: keep the weights, and the statistics of batch normalisation, as they are.
        fit: how pictures that are not square become so, ``"crop"`` or ``"pad"``.
        margin: pictures are kept at ``margin * size`` pixels; above 1, crops by random views stay sharp.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        MissingExtra: timm is not installed.
        SettingsError: timm has no such model, or the file is missing or does not suit it.

    Example:
        >>> import torch
        >>> from unalike.encoders import TimmEncoder
        >>> encoder = TimmEncoder("resnet10t", size=32)
        >>> encoder(encoder.plain(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))).vector.shape
        torch.Size([2, 512])
    """

    suited_rate = 1e-4

    def __init__(
        self,
        name: str,
        *,
        weights: str | Path | None = None,
        size: int | None = None,
        frozen: bool = False,
        fit: Fit = "crop",
        margin: float = 1.0,
        seed: int | None = 0,
    ) -> None:
        try:
            import timm
        except ImportError as error:
            raise MissingExtra("timm", "image") from error
        base = name.split(".")[0]
        if ":" in name or "/" in name or not timm.is_model(base):
            near = timm.list_models(f"*{base[:6]}*")[:8] or timm.list_models("resnet*")[:8]
            raise SettingsError(
                f"timm has no model {name!r}; it has, among others: {', '.join(near)}. Give timm:NAME, or"
                " timm:NAME@FILE with a file of its weights"
            )
        if weights is not None and not Path(weights).is_file():
            raise SettingsError(
                f"the weights {weights} are no file; give one that lies on this machine: timm:{name}@FILE"
            )
        own = timm.get_pretrained_cfg(base)
        options: dict[str, Any] = {}
        if size is not None and own is not None and own.fixed_input_size:
            options["img_size"] = size
        if weights is not None:
            # timm's own way to a local file: it fits positions to the size and drops the classifier.
            options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights)}}

        def make(seed: int | None) -> Any:
            with seeded(seed):
                return timm.create_model(name, **{"pretrained": False, "num_classes": 0} | options)

        try:
            model = make(seed)
            left = [] if weights is None else _differences(model, make(0 if seed is None else seed + 1))
        except (RuntimeError, ValueError, TypeError, OSError, AssertionError, UnpicklingError) as error:
            raise SettingsError(f"timm could not make {name} of size={size}, weights={weights}: {error}") from error
        if left:
            # timm itself only logs what a file lacks.
            raise SettingsError(
                f"{weights} holds no weights for {', '.join(left[:5])}: is it a file of {name}? (timm:NAME@FILE)"
            )
        super().__init__(
            size=size or model.pretrained_cfg["input_size"][-1],
            width=getattr(model, "head_hidden_size", None) or model.num_features,
            fit=fit,
            margin=margin,
        )
        self.restandardise = _restandardise(model.pretrained_cfg)
        self.name = name
        self.pretrained = weights is not None
        self.model = model
        if frozen:
            self.freeze()

    @property
    def token_width(self) -> int:
        return int(self.model.num_features)

    def forward(self, inputs: Tensor) -> Encoded:
        features = self.model.forward_features(self.restandardise(inputs))
        vector = self.model.forward_head(features, pre_logits=True)
        if features.dim() == 4 and features.shape[1] == self.model.num_features:
            features = features.permute(0, 2, 3, 1)
        tokens = features.flatten(1, -2) if features.dim() > 2 else features[:, None]
        tokens = tokens[:, getattr(self.model, "num_prefix_tokens", 0) :]
        return Encoded(vector, tokens, tokens.new_ones(tokens.shape[:2]).bool())

    def config(self) -> dict[str, Any]:
        return {
            "name": "timm",
            "model": self.name,
            "size": self.size,
            "frozen": self.frozen,
            "fit": self.fit,
            "margin": self.margin,
        }

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        model, _, weights = given.partition("@")
        return cls(model, weights=weights or None, size=size, **options)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], assets: Mapping[str, bytes]) -> Self:
        rest = dict(settings)
        return cls(rest.pop("model"), **rest)


def _differences(first: nn.Module, second: nn.Module) -> list[str]:
    """The parameters in which two models differ: those that came from the seed, and not from a file."""
    pairs = zip(first.named_parameters(), second.named_parameters(), strict=True)
    return [name for (name, one), (_, other) in pairs if not torch.equal(one, other)]


def _restandardise(own: Mapping[str, Any]) -> nn.Module:
    """From ImageNet's means and deviations, in which all pictures come, to those that a model was trained with."""
    mean, std = own.get("mean", IMAGENET_MEAN), own.get("std", IMAGENET_STD)
    if tuple(mean) == IMAGENET_MEAN and tuple(std) == IMAGENET_STD:
        return nn.Identity()
    return Restandardise(
        [s0 / s for s0, s in zip(IMAGENET_STD, std, strict=True)],
        [(m0 - m) / s for m0, m, s in zip(IMAGENET_MEAN, mean, std, strict=True)],
    )


class Restandardise(nn.Module):
    """Pictures ``(B, 3, H, W)`` times a number and plus a number, for each colour; no part of the weights."""

    def __init__(self, scale: Sequence[float], shift: Sequence[float]) -> None:
        super().__init__()
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", torch.tensor(scale)[:, None, None], persistent=False)
        self.register_buffer("shift", torch.tensor(shift)[:, None, None], persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures * self.scale + self.shift
