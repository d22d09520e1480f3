"""Retargeting to grippers: the opening between thumb and fingers, in closed form."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from egoscale_sdk.errors import SpecError
from egoscale_sdk.interfaces import Retargeter, RetargetResult
from egoscale_sdk.retargeting.bounds import inward_float32
from egoscale_sdk.specs import ApertureSpec, HandSpec

THUMB_TIP, INDEX_TIP, MIDDLE_TIP = 4, 8, 12
SAMPLES = 2049


class GapRetargeter(Retargeter):
    """Opens a gripper as wide as the gap between the thumb tip and the mean of index and middle tips.

    The gap is metric: what a person holds between the fingers fits between the gripper's. A gap beyond the stroke
    opens fully.
    """

    id = "egoscale/gap@1"
    version = "1"

    def __init__(self, hand: HandSpec) -> None:
        super().__init__(hand)
        if hand.aperture is None or len(hand.actuated) != 1:
            raise SpecError(f"hand space {hand.hand_space.id} declares no aperture of one joint")
        lower, upper = inward_float32(hand)
        self._q = np.linspace(float(lower[0]), float(upper[0]), SAMPLES)
        self._width = aperture_width(hand.aperture, self._q)
        if not (np.all(np.diff(self._width) > 0) or np.all(np.diff(self._width) < 0)):
            raise SpecError(f"the aperture of hand space {hand.hand_space.id} is not monotone within its limits")

    @property
    def parameters(self) -> dict[str, float | str]:
        """Settings that determine the result; there are none."""
        return {}

    def retarget(
        self, keypoints: Tensor, confidence: Tensor | None = None, warm_start: Tensor | None = None
    ) -> RetargetResult:
        """See `Retargeter.retarget`; ``residual_m`` is how far the gap lies beyond the stroke."""
        if keypoints.shape[-2:] != (21, 3):
            raise ValueError(f"keypoints must be (*b, T, 21, 3), got {tuple(keypoints.shape)}")
        used = keypoints[..., [THUMB_TIP, INDEX_TIP, MIDDLE_TIP], :].detach().to(torch.float64).cpu()
        valid = used.isfinite().all(-1).all(-1)
        if confidence is not None:
            valid &= (confidence[..., [THUMB_TIP, INDEX_TIP, MIDDLE_TIP]] > 0).all(-1).cpu()
        gap = (used[..., 0, :] - used[..., 1:, :].mean(-2)).norm(dim=-1)
        width = torch.where(valid, gap, float(self._width.max())).numpy()
        reached = np.clip(width, self._width.min(), self._width.max())
        order = np.argsort(self._width)
        q = np.interp(reached, self._width[order], self._q[order]).clip(self._q[0], self._q[-1])
        joints = torch.from_numpy(q.astype(np.float32))[..., None]
        return RetargetResult(joints, torch.from_numpy(np.abs(width - reached)), valid)


def aperture_width(aperture: ApertureSpec, q: np.ndarray) -> np.ndarray:
    """Return the opening in metres at joint values ``q``, of the same shape."""
    curve = aperture.cosine_m * np.cos(q) + aperture.sine_m * np.sin(q)
    width: np.ndarray = aperture.constant_m + aperture.linear * q + curve
    return width
