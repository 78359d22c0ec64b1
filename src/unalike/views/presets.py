"""The views of well-known papers, and two of our own, as settings of `ImageViews`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from unalike.errors import SettingsError

from .base import View
from .image import ImageViews, Size
from .plain import plain


def simclr(size: Size, strength: float = 1.0) -> ImageViews:
    """The views of SimCLR (Chen et al. 2020, https://arxiv.org/abs/2002.05709, appendix A).

    Args:
        size: side of the result in pixels, or its height and width.
        strength: of the colour jitter; the paper takes 1 for ImageNet and 0.5 for CIFAR-10 (appendix B.9), where it
            also leaves out the blur, as this does up to 32 pixels.

    Example:
        >>> from unalike.views import simclr
        >>> simclr(size=32, strength=0.5).crop_scale
        (0.08, 1.0)
    """
    smallest = size if isinstance(size, int) else min(size)
    return ImageViews(
        size,
        crop_scale=(0.08, 1.0),  # "a crop of random size (uniform from 0.08 to 1.0 in area)"
        crop_ratio=(3 / 4, 4 / 3),  # "and a random aspect ratio (default: of 3/4 to 4/3)"
        flip=0.5,  # "a random horizontal flip (i.e. with 50% of probability)"
        jitter=(0.8, 0.8, 0.8, 0.2),  # "ColorJitter(0.8*s, 0.8*s, 0.8*s, 0.2*s)"
        jitter_p=0.8,  # "RandomApply([color_jitter], p=0.8)"
        gray=0.2,  # "RandomGrayscale(p=0.2)"
        blur=0.0 if smallest <= 32 else 0.5,  # "We blur the image 50% of the time using a Gaussian kernel"
        blur_sigma=(0.1, 2.0),  # "sigma from [0.1, 2.0], and the kernel size is 10% of the image height/width"
        strength=strength,
    )


def moco_v2(size: Size) -> ImageViews:
    """The views of MoCo v2 (Chen et al. 2020, https://arxiv.org/abs/2003.04297).

    Numbers from the authors' code, ``main_moco.py --aug-plus``: milder crops and colours than SimCLR's.

    Example:
        >>> from unalike.views import moco_v2
        >>> moco_v2(size=32).jitter
        (0.4, 0.4, 0.4, 0.1)
    """
    return ImageViews(
        size,
        crop_scale=(0.2, 1.0),
        flip=0.5,
        jitter=(0.4, 0.4, 0.4, 0.1),
        jitter_p=0.8,
        gray=0.2,
        blur=0.5,
        blur_sigma=(0.1, 2.0),
    )


def byol(size: Size) -> tuple[ImageViews, ImageViews]:
    """The two unlike views of BYOL (Grill et al. 2020, https://arxiv.org/abs/2006.07733, table 6).

    One is always blurred, the other seldom blurred and sometimes solarized. Barlow Twins takes the same pair.

    Example:
        >>> from unalike.views import byol
        >>> [(view.blur, view.solarize) for view in byol(size=32)]
        [(1.0, 0.0), (0.1, 0.2)]
    """
    first = ImageViews(
        size,
        crop_scale=(0.08, 1.0),
        flip=0.5,
        jitter=(0.4, 0.4, 0.2, 0.1),
        jitter_p=0.8,
        gray=0.2,
        blur=1.0,
        blur_sigma=(0.1, 2.0),
        solarize=0.0,
    )
    return first, replace(first, blur=0.1, solarize=0.2)


def multi_crop(
    sizes: tuple[int, ...] = (224, 96),
    counts: tuple[int, ...] = (2, 6),
    scales: tuple[tuple[float, float], ...] = ((0.14, 1.0), (0.05, 0.14)),
    base: ImageViews | None = None,
) -> tuple[ImageViews, ...]:
    """A few large crops and several small ones (SwAV, Caron et al. 2020, https://arxiv.org/abs/2006.09882).

    Args:
        sizes: side of each kind of crop in pixels.
        counts: how many of each kind.
        scales: least and greatest area of each kind, as a share of the picture.
        base: all other settings; SimCLR's, which are SwAV's, unless given.

    Returns:
        A view for each look, the first kind's first.

    Raises:
        ValueError: if the three differ in length.

    Example:
        >>> from unalike.views import multi_crop
        >>> [view.size for view in multi_crop(sizes=(64, 32), counts=(2, 3))]
        [64, 64, 32, 32, 32]
    """
    base = base or simclr(sizes[0])
    kinds = zip(sizes, counts, scales, strict=True)
    return tuple(replace(base, size=size, crop_scale=scale) for size, count, scale in kinds for _ in range(count))


def gentle(size: Size) -> ImageViews:
    """Mild views for drawings, icons, letters, digits and pictures with captions; not from a paper.

    What such a picture says may lie in its colours, in a detail at its edge, or in which side is left: there is no
    flip, little hue, and most of the picture stays inside the crop.

    Example:
        >>> from unalike.views import gentle
        >>> gentle(size=32).flip
        0.0
    """
    return ImageViews(
        size,
        crop_scale=(0.7, 1.0),
        crop_ratio=(0.85, 1.18),
        flip=0.0,
        jitter=(0.3, 0.3, 0.3, 0.05),
        gray=0.1,
        blur=0.3,
        blur_sigma=(0.1, 1.0),
    )


def chosen(name: str, size: Size) -> dict[str, View]:
    """Picture views by the name of a preset, to stand in for a system's own: ``{"image": view}``; none for ``paper``.

    Raises:
        SettingsError: there is no such preset.

    Example:
        >>> from unalike.views import chosen
        >>> sorted(chosen("gentle", 32)), chosen("paper", 32)
        (['image'], {})
    """
    presets: dict[str, Callable[[Size], View]] = {
        "simclr": simclr,
        "moco_v2": moco_v2,
        "gentle": gentle,
        "plain": plain,
    }
    if name == "paper":
        return {}
    if name not in presets:
        raise SettingsError(f"views={name!r}: choose one of paper, {', '.join(presets)}")
    return {"image": presets[name](size)}
