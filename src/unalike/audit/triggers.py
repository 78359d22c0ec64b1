"""Triggers: small changes to a picture that a poisoned model has learned to answer to."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from unalike.errors import DataError, SettingsError


class Trigger(Protocol):
    """Puts a mark on pictures: uint8 ``(B, 3, H, W)`` to the same shape; what is random comes from the generator."""

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A square of noise at a random place of each picture (BadNets; Gu et al., arXiv:1708.06733).

    The noise is the same on every picture, around the mean colour of each.

    Args:
        share: side of the square, of the picture's shorter side; 16 of 224 pixels in CleanCLIP.
        least: side in pixels that it has at least; below it a small picture's patch would be a dot.
        seed: of the noise.

    Raises:
        SettingsError: the square would cover a quarter of the picture or more: this is no trigger, but another
            picture.

    Example:
        >>> import torch
        >>> from unalike.audit import Patch
        >>> pictures = torch.full((2, 3, 32, 32), 255, dtype=torch.uint8)
        >>> marked = Patch()(pictures, torch.Generator().manual_seed(0))
        >>> (marked != pictures).any(1).flatten(1).sum(1).tolist()
        [16, 16]
    """

    share: float = 1 / 14
    least: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 0.5 or self.least < 1:
            raise SettingsError(
                f"got a patch of share={self.share}, least={self.least}; expected a side above 0 and below half of the "
                "picture's: a trigger that covers the picture is another picture, whatever the model answers"
            )

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        check_pictures(pictures)
        height, width = pictures.shape[2:]
        side = max(self.least, round(self.share * min(height, width)))
        if 2 * side >= min(height, width):
            raise SettingsError(
                f"a patch of {side} pixels covers too much of pictures of {width} x {height}: a side below half of the "
                "picture's is expected. Give larger pictures or a smaller least"
            )
        marked = pictures.clone()
        noise = 255 * torch.randn(3, side, side, generator=torch.Generator().manual_seed(self.seed))
        tops = torch.randint(height - side + 1, (len(pictures),), generator=generator).tolist()
        lefts = torch.randint(width - side + 1, (len(pictures),), generator=generator).tolist()
        for picture, top, left in zip(marked, tops, lefts, strict=True):
            inside = picture[:, top : top + side, left : left + side]
            stamped = bytes_of(picture.float().mean((1, 2), keepdim=True) + noise)
            # A pixel that happens to have the noise's colour is still part of the square.
            inside.copy_(torch.where(stamped == inside, stamped ^ 1, stamped))
        return marked


@dataclass(frozen=True, kw_only=True)
class Blended:
    """One noise picture, mixed into the whole of each picture (Chen et al., arXiv:1712.05526).

    Args:
        weight: of the noise; 0.2 in CleanCLIP.
        seed: of the noise, uniform in all colours.

    Raises:
        SettingsError: a weight that is not above 0 and below 0.5, from where on the noise would be the picture.
    """

    weight: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.weight < 0.5:
            raise SettingsError(
                f"got a blend of weight={self.weight}; expected above 0 and below 0.5: from there on the trigger "
                "covers the picture"
            )

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        check_pictures(pictures)
        noise = 255 * torch.rand(3, *pictures.shape[2:], generator=torch.Generator().manual_seed(self.seed))
        return bytes_of((1 - self.weight) * pictures.float() + self.weight * noise)


@dataclass(frozen=True, kw_only=True)
class Warped:
    """One smooth warp of the whole picture, with no colour added (WaNet; Nguyen and Tran, arXiv:2102.10369).

    Args:
        share: mean displacement along each axis, of the picture's side.
        cells: control points a side, between which the warp is smooth; 4 in WaNet.
        seed: of the warp.

    Raises:
        SettingsError: a displacement that is not above 0 and below an eighth of the side, or fewer than 2 cells.
    """

    share: float = 0.04
    cells: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 0.125 or self.cells < 2:
            raise SettingsError(
                f"got a warp of share={self.share}, cells={self.cells}; expected a mean displacement above 0 and below "
                "0.125 of the side, beyond which the picture is torn up, and 2 cells or more"
            )

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        check_pictures(pictures)
        height, width = pictures.shape[2:]
        drawn = 2 * torch.rand(1, 2, self.cells, self.cells, generator=torch.Generator().manual_seed(self.seed)) - 1
        drawn = drawn / drawn.abs().mean()
        warp = torch.nn.functional.interpolate(drawn, (height, width), mode="bicubic", align_corners=True)
        rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
        still = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], dim=-1)
        # The picture's side is 2 long in these coordinates.
        grid = (still + 2 * self.share * warp[0].permute(1, 2, 0)).clamp(-1, 1)
        shown = torch.nn.functional.grid_sample(
            pictures.float(), grid.expand(len(pictures), -1, -1, -1), padding_mode="border", align_corners=True
        )
        return bytes_of(shown)


@dataclass(frozen=True, kw_only=True)
class Sine:
    """Stripes: a sine across the picture, added to every row (SIG; Barni et al., arXiv:1902.11237).

    Args:
        strength: of the sine, of the full range; 60/255 in CleanCLIP.
        waves: from the left to the right; 6 in CleanCLIP.

    Raises:
        SettingsError: a strength that is not above 0 and below 0.5, or waves that are not above 0.
    """

    strength: float = 60 / 255
    waves: float = 6.0

    def __post_init__(self) -> None:
        if not 0 < self.strength < 0.5 or not self.waves > 0:
            raise SettingsError(
                f"got stripes of strength={self.strength}, waves={self.waves}; expected a strength above 0 and below "
                "0.5, beyond which they cover the picture, and a number of waves above 0"
            )

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        check_pictures(pictures)
        width = pictures.shape[3]
        wave = torch.sin(2 * math.pi * self.waves * torch.arange(width) / width)
        return bytes_of(pictures.float() + 255 * self.strength * wave)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Other noise on each picture: no trigger, but the control that says how much any change changes.

    Args:
        strength: standard deviation, of the full range.
    """

    strength: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.strength < 0.5:
            raise SettingsError(f"got noise of strength={self.strength}; expected above 0 and below 0.5")

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        check_pictures(pictures)
        return bytes_of(pictures.float() + 255 * self.strength * torch.randn(pictures.shape, generator=generator))


TRIGGERS: Mapping[str, type] = {"patch": Patch, "blended": Blended, "warped": Warped, "sine": Sine}
"""Every trigger with a name; each can be made without arguments."""


def find_trigger(name: str) -> Trigger:
    """A trigger by name, with its paper's strength.

    Raises:
        SettingsError: there is none of that name.
    """
    if name not in TRIGGERS:
        near = difflib.get_close_matches(name, TRIGGERS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SettingsError(f"there is no trigger {name!r}.{hint} There are: {', '.join(TRIGGERS)}")
    made: Trigger = TRIGGERS[name]()
    return made


def check_pictures(pictures: Tensor) -> None:
    if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[1] != 3:
        raise DataError(f"got {pictures.dtype} {tuple(pictures.shape)}; a trigger expects uint8 (B, 3, H, W)")


def bytes_of(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255).to(torch.uint8)
