"""One fault each, for the checks of the family RET: the good embodiment's retargeters, wrapped in what spoils them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count

import torch
from torch import Tensor

from egoscale_sdk.interfaces import Retargeter, RetargetResult
from egoscale_sdk.specs import HandSpec
from egoscale_sdk.testing.fakes.good import good
from egoscale_sdk.testing.robot_hand import limits, rest
from egoscale_sdk.testing.subject import Subject

Answer = Callable[..., RetargetResult]
Fault = Callable[..., RetargetResult]


class FaultyRetargeter(Retargeter):
    """Asks a good retargeter and spoils what it is asked, or what it answers."""

    def __init__(self, inner: Retargeter, fault: Fault) -> None:
        super().__init__(inner.hand)
        self.id, self.version = inner.id, inner.version
        self._inner, self._fault = inner, fault

    @property
    def parameters(self) -> dict[str, float | str]:
        """Those of the good one."""
        return self._inner.parameters

    def retarget(
        self, keypoints: Tensor, confidence: Tensor | None = None, warm_start: Tensor | None = None
    ) -> RetargetResult:
        """Answer with the fault."""
        return self._fault(self._inner.retarget, self.hand, keypoints, confidence, warm_start)


def _with(fault: Fault) -> Subject:
    return good(retargeters={side: FaultyRetargeter(inner, fault) for side, inner in good().retargeters.items()})


def _joints(change: Callable[[Tensor, HandSpec], Tensor]) -> Fault:
    """A fault in the joints alone; they are kept within the limits."""

    def fault(ask: Answer, hand: HandSpec, *asked: Tensor | None) -> RetargetResult:
        result = ask(*asked)
        lower, upper = (torch.from_numpy(end) for end in limits(hand))
        return replace(result, joints=change(result.joints, hand).double().clamp(lower, upper))

    return fault


def _soft_limits(ask: Answer, hand: HandSpec, *asked: Tensor | None) -> RetargetResult:
    result = ask(*asked)
    return replace(result, joints=result.joints + 1e-3)


def _residual_of_garbage(ask: Answer, hand: HandSpec, *asked: Tensor | None) -> RetargetResult:
    result = ask(*asked)
    return replace(result, residual_m=torch.where(result.valid, result.residual_m, torch.nan))


def _confidence_unread(
    ask: Answer, hand: HandSpec, keypoints: Tensor, confidence: Tensor | None, warm_start: Tensor | None
) -> RetargetResult:
    fits = confidence is not None and confidence.shape == keypoints.shape[:-1]
    return ask(keypoints, confidence if fits else None, warm_start)


def _world_axes(ask: Answer, hand: HandSpec, keypoints: Tensor, *others: Tensor | None) -> RetargetResult:
    """Joints lean with the index finger's direction in the world."""
    lean = 0.05 * (keypoints[..., 8, 1] - keypoints[..., 5, 1]).nan_to_num().clamp(-1, 1)[..., None]
    return _joints(lambda joints, _: joints + lean)(ask, hand, keypoints, *others)


def _start_unread(
    ask: Answer, hand: HandSpec, keypoints: Tensor, confidence: Tensor | None, warm_start: Tensor | None
) -> RetargetResult:
    fits = warm_start is None or warm_start.shape == (*keypoints.shape[:-3], len(hand.actuated))
    return ask(keypoints, confidence, None if fits else warm_start)


def _zeros_for_missing(
    ask: Answer, hand: HandSpec, keypoints: Tensor, confidence: Tensor | None, warm_start: Tensor | None
) -> RetargetResult:
    """What is missing is at the origin, and counts like the rest, unless the whole hand is missing."""
    seen = keypoints.isfinite().all(-1)
    there = seen.any(-1, keepdim=True)
    return ask(torch.where(there[..., None], keypoints.nan_to_num(), keypoints), confidence, warm_start)


def _tired(joints: Tensor, hand: HandSpec) -> Tensor:
    """Closes three quarters of the way."""
    open_pose = torch.from_numpy(rest(hand)).to(joints)
    return open_pose + 0.75 * (joints - open_pose)


def _drops_out(joints: Tensor, hand: HandSpec) -> Tensor:
    """Every seventh frame is the open pose."""
    lost = torch.arange(joints.shape[-2]) % 7 == 6 if joints.ndim > 1 else torch.tensor(False)
    return torch.where(lost[:, None], torch.from_numpy(rest(hand)).to(joints), joints)


def _backwards(joints: Tensor, hand: HandSpec) -> Tensor:
    """Opens where it should close."""
    lower, upper = (torch.from_numpy(end).to(joints) for end in limits(hand))
    return lower + upper - joints


def _fingers_swapped(ask: Answer, hand: HandSpec, keypoints: Tensor, *others: Tensor | None) -> RetargetResult:
    """The fingers' keypoints come in the opposite order, from the knuckles on."""
    order: Sequence[int] = (0, 1, 2, 3, 4, 5, 18, 19, 20, 9, 14, 15, 16, 13, 10, 11, 12, 17, 6, 7, 8)
    return ask(keypoints[..., order, :] if keypoints.shape[-2] == len(order) else keypoints, *others)


def _never_wrong(ask: Answer, hand: HandSpec, *asked: Tensor | None) -> RetargetResult:
    result = ask(*asked)
    return replace(result, residual_m=torch.zeros_like(result.residual_m))


def _all_or_nothing(
    ask: Answer, hand: HandSpec, keypoints: Tensor, confidence: Tensor | None, warm_start: Tensor | None
) -> RetargetResult:
    """One missing keypoint, and the frame is not valid."""
    result = ask(keypoints, confidence, warm_start)
    seen = keypoints.isfinite().all(-1) if confidence is None else keypoints.isfinite().all(-1) & (confidence > 0)
    valid = result.valid & seen.all(-1)
    return replace(result, residual_m=torch.where(valid, result.residual_m, 0.0), valid=valid)


def _late(joints: Tensor, hand: HandSpec) -> Tensor:
    """Answers with what was shown three frames ago."""
    frames = (torch.arange(joints.shape[-2]) - 3).clamp(min=0)
    return joints[..., frames, :]


def _cut_in_chunks(joints: Tensor, hand: HandSpec) -> Tensor:
    """Every hundredth frame a new chunk begins at the open pose."""
    first = (torch.arange(joints.shape[-2]) % 100 == 0) & (torch.arange(joints.shape[-2]) > 0)
    return torch.where(first[:, None], torch.from_numpy(rest(hand)).to(joints), joints)


def _stiff(joints: Tensor, hand: HandSpec) -> Tensor:
    """One joint stays at its open pose."""
    stiff = torch.tensor([joint.name.endswith("index_spread") for joint in hand.actuated])
    return torch.where(stiff, torch.from_numpy(rest(hand)).to(joints), joints)


def _drifting() -> Subject:
    """Remembers how often it was asked."""
    calls = count()
    return _with(_joints(lambda joints, _: joints + 1e-6 * next(calls)))


def _left_spread() -> Subject:
    """The left hand spreads to the wrong side."""
    retargeters = good().retargeters
    wrong = torch.ones(len(good().spec.hand("left").actuated))
    wrong[3] = -1
    left = FaultyRetargeter(retargeters["left"], _joints(lambda joints, _: joints * wrong))
    return good(retargeters={**retargeters, "left": left})


MUTANTS: dict[str, Callable[[], Subject]] = {
    "RET001": partial(_with, _soft_limits),
    "RET002": partial(_with, _residual_of_garbage),
    "RET003": partial(_with, _confidence_unread),
    "RET004": _drifting,
    "RET005": partial(_with, _world_axes),
    "RET006": partial(_with, _start_unread),
    "RET007": partial(_with, _zeros_for_missing),
    "RET008": _left_spread,
    "RET009": partial(_with, _joints(_tired)),
    "RET010": partial(_with, _joints(_backwards)),
    "RET011": partial(_with, _joints(_drops_out)),
    "RET012": partial(_with, _fingers_swapped),
    "RET013": partial(_with, _never_wrong),
    "RET014": partial(_with, _all_or_nothing),
    "RET015": partial(_with, _joints(_late)),
    "RET016": partial(_with, _joints(_cut_in_chunks)),
    "RET017": partial(_with, _joints(_stiff)),
}
