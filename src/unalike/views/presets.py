"""Picture views by name, with the values of the papers that they come from."""

from __future__ import annotations

from unalike.views.image import ImageViews


def simclr(size: int, *, strength: float = 0.5) -> ImageViews:
    """SimCLR's views: crop, flip, strong colour, grey, blur (Chen et al. 2020, arXiv:2002.05709, appendix A).

    Args:
        size: side of the result in pixels.
        strength: of the colour jitter: 1 for ImageNet, 0.5 for CIFAR-10 (appendix B.9), the default here.

    Example:
        >>> from unalike.views import simclr
        >>> simclr(32).crop_scale
        (0.08, 1.0)
    """
    # Appendix B.9 leaves the blur out for pictures of 32 pixels.
    return ImageViews(size=size, crop_scale=(0.08, 1.0), strength=strength, blur=0.5 if size > 32 else 0.0)


def moco_v2(size: int) -> ImageViews:
    """MoCo v2's views: SimCLR's with a larger least crop and weaker colour (Chen et al. 2020, arXiv:2003.04297).

    Args:
        size: side of the result in pixels.

    Example:
        >>> from unalike.views import moco_v2
        >>> moco_v2(32).jitter
        (0.4, 0.4, 0.4, 0.1)
    """
    return ImageViews(size=size, crop_scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), blur=0.5 if size > 32 else 0.0)


def byol(size: int) -> tuple[ImageViews, ImageViews]:
    """BYOL's two views: one always blurred, the other seldom and sometimes solarized (arXiv:2006.07733, table 6).

    Args:
        size: side of the result in pixels.

    Example:
        >>> from unalike.views import byol
        >>> [view.solarize for view in byol(64)]
        [0.0, 0.2]
    """
    jitter = (0.4, 0.4, 0.2, 0.1)
    crop = (0.08, 1.0)
    first = ImageViews(size=size, crop_scale=crop, jitter=jitter, blur=1.0 if size > 32 else 0.0)
    return first, ImageViews(size=size, crop_scale=crop, jitter=jitter, blur=0.1 if size > 32 else 0.0, solarize=0.2)


def gentle(size: int) -> ImageViews:
    """Views for drawings, icons, digits and pictures with captions: what left and right, colour and detail say stays.

    Args:
        size: side of the result in pixels.

    Example:
        >>> from unalike.views import gentle
        >>> gentle(32).flip
        0.0
    """
    return ImageViews(
        size=size,
        crop_scale=(0.7, 1.0),
        crop_ratio=(0.85, 1.18),
        flip=0.0,
        jitter=(0.3, 0.3, 0.3, 0.05),
        gray=0.1,
        blur=0.3,
        blur_sigma=(0.1, 1.0),
    )


def unchanged(size: int) -> ImageViews:
    """No randomness at all: the picture, resized and standardised.

    Args:
        size: side of the result in pixels.

    Example:
        >>> from unalike.views import unchanged
        >>> unchanged(32).jitter_p
        0.0
    """
    return ImageViews(
        size=size, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.0, jitter_p=0.0, gray=0.0, blur=0.0
    )
