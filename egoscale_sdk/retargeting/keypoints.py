"""Retargeting by keypoints: any hand whose fingers have roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Literal, Self

import torch
from torch import Tensor

from egoscale_sdk.errors import SpecError, did_you_mean
from egoscale_sdk.interfaces import Motion
from egoscale_sdk.retargeting.canonical import CanonicalHand, palm, tracking_failures
from egoscale_sdk.retargeting.chains import padded_chains
from egoscale_sdk.retargeting.clips import ClipRetargeter, float32_limits, open_pose, velocity_steps
from egoscale_sdk.retargeting.dense import DenseEngine
from egoscale_sdk.retargeting.device import moved
from egoscale_sdk.retargeting.engine import Engine, FingerEngine
from egoscale_sdk.retargeting.frames import Frames
from egoscale_sdk.retargeting.goals import Correspondence, Person, correspondence
from egoscale_sdk.retargeting.nearby import REACH, running_mean
from egoscale_sdk.retargeting.quality import thumb_first
from egoscale_sdk.retargeting.smoothing import finish
from egoscale_sdk.retargeting.terms import TARGETS, Target, finger_terms
from egoscale_sdk.retargeting.trajectory import Effort, solve
from egoscale_sdk.retargeting.windows import Window, blend, choose, gather, lots, narrowed
from egoscale_sdk.specs import HandSpec

SURVEY_FRAMES = 1024  # evenly spaced frames of a clip that tell a person's proportions
Backend = Literal["eager", "compiled", "simd"]
BACKENDS: tuple[Backend, ...] = ("eager", "compiled", "simd")


class KeypointRetargeter(ClipRetargeter):
    """Follows a person's hand with the robot's, keeps pinches at metric distance, never leaves the limits.

    One hand is solved: the keypoints of a left one, and its kinematics, are mirrored. Long clips are solved in windows
    (`windows`), all frames of a window together (`trajectory`): from the start (``warm_start``, or the open pose),
    where joints that nothing determines stay, smooth over time with zero phase. Frames that show no hand are bridged.
    Limits of velocity hold at ``rate_hz``.

    Args:
        hand: The robot's hand; its finger roles are all that is asked of it.
        target: ``shape`` keeps the directions of the person's bones, ``scaled`` the places of a hand grown to the
            robot's size, ``metric`` the places as they are.
        iterations: Frame-wise Gauss-Newton steps.
        rounds: Rounds of smoothing, one step each; 0 leaves every frame to itself.
        smoothing: Weight of smoothness.
        rate_hz: Frames per second of what will be retargeted.
        backend: ``eager`` (differentiable, the reference), ``compiled`` (torch.compile, for GPUs) or ``simd``: kernels
            for the CPU, for corpora. Without a C++ compiler the last two are the same as eager.
        device: Where to compute.

    Raises:
        SpecError: no finger has two frames to follow, or a setting is unknown.
    """

    id = "egoscale/keypoints@2"
    version = "2"

    def __init__(
        self,
        hand: HandSpec,
        target: Target = "shape",
        iterations: int = Effort.iterations,
        rounds: int = Effort.rounds,
        smoothing: float = Effort.smoothing,
        rate_hz: float = 30.0,
        backend: Backend = "eager",
        device: str = "cpu",
    ) -> None:
        super().__init__(hand)
        if hand.tree is None or all(len(finger.frames) < 2 for finger in hand.fingers):
            raise SpecError(
                f"the {hand.side} hand of space {hand.hand_space.id} has no finger of two frames to follow",
                hint="fill 'fingers' in its hand file",
            )
        for name, value, allowed in (("target", target, TARGETS), ("backend", backend, BACKENDS)):
            if value not in allowed:
                raise SpecError(f"unknown {name} {value!r}", allowed=allowed, hint=did_you_mean(value, allowed))
        self.target, self.rate_hz, self.backend, self.device = target, rate_hz, backend, torch.device(device)
        self.differentiable = backend == "eager"
        if backend == "simd" and self.device.type != "cpu":
            raise SpecError(f"back end 'simd' is for the CPU, not for {device}", allowed=("eager", "compiled"))
        self.effort = Effort(iterations=iterations, rounds=rounds, smoothing=smoothing)
        self.terms = finger_terms(max(len(finger.frames) for finger in hand.fingers), target)

    @property
    def parameters(self) -> dict[str, float | str]:
        """Settings that determine the result."""
        settings = {"target": self.target, "backend": self.backend, "rate_hz": self.rate_hz, **asdict(self.effort)}
        return settings if self.device.type == "cpu" else settings | {"device": self.device.type}

    def _motions(self, motions: Sequence[Motion], start: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        dtype = torch.float64 if self._asked_for_gradients(motions) else torch.float32
        lengths = [len(motion) for motion in motions]
        whole = _Trajectory.zeros(sum(lengths), start.shape[-1], dtype)
        out = whole.split(lengths)
        bones = self._survey(motions).to(self.device, dtype)
        for windows in lots(lengths):
            own = [window.motion for window in windows]
            hand, person = self._window_hand(*gather(motions, windows, REACH), bones[:, own])
            joints, residual = self._windows(hand, person, start[own].to(dtype))
            valid = hand.valid.reshape(residual.shape).cpu()
            for number, window in enumerate(windows):
                out[window.motion].put(window, joints[:, :, number].T, residual[:, number], valid[:, number])
        whole.joints = finish(whole.joints, whole.valid, lengths, self._steps, self._limits, self._engine.native)
        whole.residual = torch.where(whole.valid, whole.residual, 0.0)
        return [(found.joints, found.residual, found.valid) for found in whole.split(lengths)]

    def _survey(self, motions: Sequence[Motion]) -> Tensor:
        """Bone lengths of motions ``(20, M)`` from some of their frames."""
        read = [motion.read(slice(None, None, -(-len(motion) // SURVEY_FRAMES))) for motion in motions]
        return self._frames.bones(*([part.cpu() for part in parts] for parts in zip(*read, strict=True)))

    def _window_hand(self, keypoints: Tensor, seen: Tensor, lengths_m: Tensor) -> tuple[CanonicalHand, Person]:
        """The person's hand in windows ``(T W)`` read with a margin, and their proportions in every frame.

        What is no hand of theirs is not valid. Palm and proportions are those of the frames around each frame.
        """
        W = lengths_m.shape[1]
        hand = self._frames.hand(keypoints.to(self.device), seen.to(self.device), lengths_m.dtype)
        hand = hand.without(tracking_failures(hand, lengths_m, self.rate_hz))
        hand, now = self._frames.steadied(hand, running_mean(*palm(hand), W))
        person = (running_mean(part.log(), hand.seen.mean(0), W).exp() for part in (now.size, now.scale))
        whole = (hand.points, hand.seen, hand.valid, *person)
        points, sure, valid, size, scale = (narrowed(part, W, REACH) for part in whole)
        return CanonicalHand(points, sure, valid), Person(size, scale)

    def _windows(self, hand: CanonicalHand, person: Person, start: Tensor) -> tuple[Tensor, Tensor]:
        """Joints ``(J, T, W)`` and residuals ``(T, W)`` of windows side by side."""
        engine, W = self._frames.engine, len(start)
        T = len(hand.valid) // W
        wanted = self._frames.goals(hand, person)
        rest = start.T.to(self.device).repeat(1, T)  # (J, T W), frame-major
        u = solve(engine, wanted, W, engine.variables(rest), self.effort)
        joints = engine.joints(u, rest)
        return joints.reshape(-1, T, W).cpu(), self._frames.misfit(wanted, u).reshape(T, W).cpu()

    @cached_property
    def _engine(self) -> Engine:
        chains = padded_chains(self.hand)
        if chains is None:
            engine: Engine = DenseEngine(self.hand, self.terms)
        else:
            fingers = FingerEngine(self.hand, chains, self.terms)
            engine = fingers.compiled() if self.backend == "compiled" else fingers
        return engine.kernels() if self.backend == "simd" else engine

    @cached_property
    def _frames(self) -> Frames:
        return moved(Frames(self.hand.side, self._engine, self._own, self.terms, self.target), self.device)

    @cached_property
    def _own(self) -> Correspondence:
        """Keypoints beside the robot's slots at its open pose."""
        rest = self._engine.variables(open_pose(self.hand)[:, None])
        return correspondence(thumb_first(self.hand), self._engine.points(rest)[..., 0])

    @cached_property
    def _steps(self) -> Tensor:
        """See `velocity_steps`."""
        return velocity_steps(self.hand, self.rate_hz)

    @cached_property
    def _limits(self) -> tuple[Tensor, Tensor]:
        return float32_limits(self.hand)

    def __getstate__(self) -> dict[str, object]:
        """What another process needs; the rest is made again."""
        made = {name for name, value in vars(type(self)).items() if isinstance(value, cached_property)}
        return {name: value for name, value in vars(self).items() if name not in made}


@dataclass
class _Trajectory:
    """Joints, residual and validity of motions, one after the other, while their windows come in."""

    joints: Tensor
    residual: Tensor
    valid: Tensor

    @classmethod
    def zeros(cls, frames: int, joints: int, dtype: torch.dtype) -> Self:
        floats = torch.zeros(frames, joints, dtype=dtype), torch.zeros(frames, dtype=dtype)
        return cls(*floats, torch.zeros(frames, dtype=torch.bool))

    def split(self, lengths: Sequence[int]) -> list[Self]:
        ends = [0, *accumulate(lengths)]
        rows = [slice(*pair) for pair in pairwise(ends)]
        return [type(self)(self.joints[own], self.residual[own], self.valid[own]) for own in rows]

    def put(self, window: Window, joints: Tensor, residual: Tensor, valid: Tensor) -> None:
        blend(self.joints, joints, window)
        choose(self.residual, residual, window)
        choose(self.valid, valid, window)
