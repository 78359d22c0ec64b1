"""Random views of pictures: a whole batch at once, each picture with its own draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unalike.errors import DataError, SettingsError

from .base import View
from .draws import coins, crops, permutations, rectangles, uniform
from .geometry import Geometry
from .parameters import ImageParameters
from .render import render

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Size = int | tuple[int, int]
Range = tuple[float, float]


@dataclass(frozen=True)
class ImageViews(View[Tensor]):
    """Crop and resize, flip, colour jitter, grey, blur, solarize and erase; then standardise.

    Each operation has the semantics of its namesake in ``torchvision.transforms.v2``, and its parameters have the same
    distribution; but every picture of a batch gets its own draw. A picture is uint8 ``(B, 3, H, W)`` and a view
    float32 ``(B, 3, h, w)``.

    Args:
        size: side of the result in pixels, or its height and width.
        crop_scale: least and greatest area of the crop, as a share of the picture.
        crop_ratio: least and greatest width over height of the crop.
        flip: probability that left and right change places.
        jitter: reach of brightness, contrast and saturation, whose factors are drawn from ``1 - x`` to ``1 + x``, and
            of hue, whose shift is drawn from ``-x`` to ``x`` turns. The four come in random order.
        jitter_p: probability of the colour jitter.
        gray: probability that only the grey value is left.
        blur: probability of a Gaussian blur, over a kernel of a tenth of the size.
        blur_sigma: least and greatest standard deviation of the blur in pixels.
        solarize: probability that values above one half are inverted.
        erase: probability that a box becomes the mean colour.
        erase_scale: least and greatest area of that box, as a share of the result.
        erase_ratio: least and greatest height over width of that box.
        strength: the jitter's four numbers are multiplied by it.
        mean: of each channel, between 0 and 1.
        std: of each channel.

    Raises:
        SettingsError: if a setting is out of range; the message lists all that are.

    Example:
        >>> import torch
        >>> from unalike.views import ImageViews
        >>> view = ImageViews(size=32, solarize=0.2)
        >>> pictures = torch.randint(0, 256, (4, 3, 40, 48), dtype=torch.uint8)
        >>> generator = torch.Generator().manual_seed(0)
        >>> view(pictures, generator).shape
        torch.Size([4, 3, 32, 32])
        >>> first, second = view.views(pictures, generator, count=2)
        >>> bool((first == second).all())
        False
    """

    size: Size
    crop_scale: Range = (0.2, 1.0)
    crop_ratio: Range = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: tuple[float, float, float, float] = (0.8, 0.8, 0.8, 0.2)
    jitter_p: float = 0.8
    gray: float = 0.2
    blur: float = 0.5
    blur_sigma: Range = (0.1, 2.0)
    solarize: float = 0.0
    erase: float = 0.0
    erase_scale: Range = (0.02, 0.33)
    erase_ratio: Range = (0.3, 3.3)
    strength: float = 1.0
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SettingsError("views of pictures: " + "; ".join(problems))

    def _problems(self) -> Iterator[str]:
        if min(self.shape) < 2:
            yield f"size={self.size} must be at least 2 pixels"
        for name in ("flip", "jitter_p", "gray", "blur", "solarize", "erase"):
            if not 0 <= getattr(self, name) <= 1:
                yield f"{name}={getattr(self, name)} must be a probability, from 0 to 1"
        for name, most in (("crop_scale", 1.0), ("erase_scale", 1.0), ("crop_ratio", np.inf), ("erase_ratio", np.inf),
                           ("blur_sigma", np.inf)):  # fmt: skip
            low, high = getattr(self, name)
            if not 0 < low <= high <= most:
                yield f"{name}=({low}, {high}) must be above 0, rising" + (", at most 1" if most == 1 else "")
        if min(self.jitter) < 0 or self.strength < 0:
            yield f"jitter={self.jitter} and strength={self.strength} must not be negative"
        elif self.jitter[3] * self.strength > 0.5:
            yield f"jitter[3] * strength = {self.jitter[3] * self.strength} turns of hue: at most half a turn"
        if min(self.std) <= 0:
            yield f"std={self.std} must be above 0"

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the result in pixels."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        return self.views(inputs, generator, count=1)[0]

    def views(self, inputs: Tensor, generator: torch.Generator, count: int = 2) -> list[Tensor]:
        """``count`` independent looks of each picture, made together as one large batch.

        Args:
            inputs: ``(B, 3, H, W)`` uint8, on any device.
            generator: where all randomness comes from; on the CPU it gives the same looks for every device.
            count: looks of each picture.

        Returns:
            As many float32 ``(B, 3, h, w)``.
        """
        return list(self._seen(inputs, generator, count)[0])

    def views_and_geometry(
        self, inputs: Tensor, generator: torch.Generator, count: int = 2
    ) -> list[tuple[Tensor, Geometry]]:
        """The same views, each with the geometry that its pixels went through, for boxes and masks to follow.

        Example:
            >>> import torch
            >>> from unalike.views import ImageViews
            >>> pictures, generator = torch.zeros(2, 3, 40, 48, dtype=torch.uint8), torch.Generator().manual_seed(0)
            >>> [(pixels, geometry)] = ImageViews(size=32).views_and_geometry(pictures, generator, count=1)
            >>> geometry.mask(torch.ones(2, 40, 48, dtype=torch.int64)).shape
            torch.Size([2, 32, 32])
        """
        pixels, drawn = self._seen(inputs, generator, count)
        geometry, n = drawn.geometry(self.shape), len(inputs)
        return [(each, geometry[slice(k * n, (k + 1) * n)]) for k, each in enumerate(pixels)]

    def _seen(self, inputs: Tensor, generator: torch.Generator, count: int) -> tuple[Tensor, ImageParameters]:
        """``(count, B, 3, h, w)`` and what was drawn for it."""
        check_pictures(inputs)
        drawn = self.parameters(count * len(inputs), generator, (inputs.shape[2], inputs.shape[3]))
        return self.apply(inputs, drawn).view(count, len(inputs), 3, *self.shape), drawn

    def parameters(self, n: int, generator: torch.Generator, source: tuple[int, int] | None = None) -> ImageParameters:
        """Draw all that is random for ``n`` pictures of ``source`` height and width (the view's own size if None).

        Example:
            >>> import torch
            >>> from unalike.views import ImageViews
            >>> drawn = ImageViews(size=32).parameters(1000, torch.Generator().manual_seed(0))
            >>> 400 < int(drawn.flip.sum()) < 600
            True
        """
        source = source or self.shape
        crop = crops(n, source, self.crop_scale, self.crop_ratio, generator)
        flip = coins(n, self.flip, generator)
        jitter = torch.empty(n, 4, dtype=torch.float64, device=generator.device)
        for column, reach in enumerate(self.jitter):
            reach *= self.strength
            low, high = (-reach, reach) if column == 3 else (max(0.0, 1 - reach), 1 + reach)
            jitter[:, column] = uniform((n,), low, high, generator)
        same = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64, device=generator.device)
        jitter = torch.where(coins(n, self.jitter_p, generator)[:, None], jitter, same)
        order = permutations(n, 4, generator)
        gray = coins(n, self.gray, generator)
        sigma = uniform((n,), *self.blur_sigma, generator) * coins(n, self.blur, generator)
        solarize = coins(n, self.solarize, generator)
        height, width = self.shape
        # torchvision draws the erased box's height over width, and leaves at least one row and column
        upright = (1 / self.erase_ratio[1], 1 / self.erase_ratio[0])
        boxes, found = rectangles(n, self.shape, self.erase_scale, upright, generator, largest=(height - 1, width - 1))
        erase = boxes * (found & coins(n, self.erase, generator))[:, None]
        return ImageParameters(crop, flip, jitter.float(), order, gray, sigma.float(), solarize, erase)

    def apply(self, images: Tensor, parameters: ImageParameters) -> Tensor:
        """The view that drawn parameters describe; nothing is random here.

        Args:
            images: ``(B, 3, H, W)`` uint8.
            parameters: rows for a multiple of ``B``; row ``i`` belongs to picture ``i % B``.

        Returns:
            Float32 ``(n, 3, h, w)``, a row for each row of the parameters.
        """
        check_pictures(images)
        n = len(parameters)
        if n and (not len(images) or n % len(images)):
            raise DataError(f"{n} rows of parameters for {len(images)} pictures: give a multiple of their number")
        return render(images, parameters, self.shape, self.mean, self.std)


def check_pictures(images: Tensor) -> None:
    """Raise `DataError` unless these are uint8 ``(B, 3, H, W)``."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise DataError(
            f"a view of pictures was given {images.dtype} of shape {tuple(images.shape)}; it takes torch.uint8 of "
            "shape (batch, 3, height, width), as an encoder's prepare(column).take(indices) gives"
        )
