"""Random views of clips ``(B, frames, 3, H, W)``: one draw for all frames of a clip, so that motion stays motion."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unalike.errors import DataError, SettingsError

from .base import View
from .draws import uniform
from .image import ImageViews


@dataclass(frozen=True)
class ClipViews(View[Tensor]):
    """A view of pictures, drawn once for each clip and applied to all of its frames.

    Args:
        frame: the view of a frame.
        consistent: False draws for each frame on its own, which hides the motion: a control.

    Paper: Qian et al., "Spatiotemporal Contrastive Video Representation Learning", CVPR 2021, arXiv 2008.03800.

    Example:
        >>> import torch
        >>> from unalike.views import ClipViews, ImageViews
        >>> clips = torch.randint(0, 256, (2, 1, 3, 24, 24), dtype=torch.uint8).expand(-1, 4, -1, -1, -1)
        >>> seen = ClipViews(ImageViews(size=16))(clips, torch.Generator().manual_seed(0))
        >>> seen.shape, bool((seen == seen[:, :1]).all())
        (torch.Size([2, 4, 3, 16, 16]), True)
    """

    frame: ImageViews
    consistent: bool = True

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 ``(B, frames, 3, H, W)`` to float32 ``(B, frames, 3, h, w)``.

        Raises:
            DataError: the inputs are something else.
        """
        check_clips(inputs)
        clips, frames = inputs.shape[:2]
        source = (inputs.shape[3], inputs.shape[4])
        if self.consistent:
            drawn = self.frame.parameters(clips, generator, source)
            drawn = drawn[torch.arange(clips, device=generator.device).repeat_interleave(frames)]
        else:
            drawn = self.frame.parameters(clips * frames, generator, source)
        seen = self.frame.apply(inputs.flatten(0, 1), drawn)
        return seen.unflatten(0, (clips, frames))  # type: ignore[no-untyped-call, no-any-return]


def sampled_clips(
    inputs: Tensor, generator: torch.Generator, *, frames: int = 8, stride: int = 1, decreasing: bool = True
) -> tuple[Tensor, Tensor]:
    """Two shorter clips of each clip, their distance in time drawn with near ones more often than far ones.

    The interval between their starts has a density that falls linearly to zero at the longest possible one
    (distribution function ``2 k / T - k^2 / T^2``); the first start is uniform among those that leave room, and which
    of the two comes first is a coin. Clips that are too short are cut at the same place twice.

    Paper: Qian et al., CVPR 2021, section 3.2.

    Args:
        inputs: ``(B, L, ...)``.
        generator: where all randomness comes from.
        frames: of each of the two.
        stride: frames of the clip from one to the next.
        decreasing: False draws the interval uniformly: a control.

    Raises:
        SettingsError: no frames or no stride. DataError: fewer than ``frames`` frames at this stride.

    Example:
        >>> import torch
        >>> from unalike.views import sampled_clips
        >>> first, second = sampled_clips(torch.arange(40).view(2, 20), torch.Generator().manual_seed(0), frames=4)
        >>> first.shape, bool((first[:, 1:] - first[:, :-1] == 1).all())
        (torch.Size([2, 4]), True)
    """
    if frames < 1 or stride < 1:
        raise SettingsError(f"frames={frames}, stride={stride}; expected at least 1 of each")
    size, length = inputs.shape[:2]
    longest = length - (frames - 1) * stride - 1
    if longest < 0:
        raise DataError(f"clips of {length} frames have no {frames} frames at a stride of {stride}; take fewer")
    draw = uniform((3, size), 0, 1, generator)
    share = 1 - (1 - draw[0]).sqrt() if decreasing else draw[0]
    interval = (share * (longest + 1)).long().clamp(max=longest)
    start = (draw[1] * (longest - interval + 1)).long()
    swap = draw[2] < 0.5
    starts = torch.stack([torch.where(swap, start + interval, start), torch.where(swap, start, start + interval)])
    place = (starts[..., None] + stride * torch.arange(frames, device=starts.device)).to(inputs.device)
    rows = torch.arange(size, device=inputs.device)[:, None]
    return inputs[rows, place[0]], inputs[rows, place[1]]


def check_clips(inputs: Tensor) -> None:
    """Raise `DataError` unless these are uint8 ``(B, frames, 3, H, W)``."""
    if inputs.dtype != torch.uint8 or inputs.ndim != 5 or inputs.shape[2] != 3:
        raise DataError(
            f"a view of clips was given {inputs.dtype} of shape {tuple(inputs.shape)}; it takes torch.uint8 of shape"
            " (batch, frames, 3, height, width), as an encoder's prepare(column).take(indices) gives"
        )
