"""Comparing what we ship with a vendor's own description file: poses of every named frame, and limits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from egoscale_sdk.kinematics import ForwardKinematics
from egoscale_sdk.specs import ArmSpec, HandSpec, JointSpec
from tests.numpy_fk import NumpyFK

CONFIGURATIONS = 1000


def kinematics(limb: HandSpec | ArmSpec, frames: list[str] | None = None) -> ForwardKinematics:
    """Every link of a hand in its root, or of an arm in its base; or only some."""
    base = limb.root if isinstance(limb, HandSpec) else limb.base
    return ForwardKinematics(limb.tree, limb.joints, frames or limb.tree.links, base)


def random_q(joints: list[JointSpec], count: int = 200) -> torch.Tensor:
    """Joint vectors within the limits, ``(count, J)`` float64."""
    low, high = (np.array([getattr(joint, bound) for joint in joints]) for bound in ("lower", "upper"))
    return torch.from_numpy(np.random.default_rng(1).uniform(low, high, (count, len(joints))))


def keypoints_of(hand: HandSpec) -> np.ndarray:
    """Keypoints ``(21, 3)`` in the root of a straight hand: where the frames are that follow them, wrist included."""
    keypoints = np.zeros((21, 3))
    keypoints[0] = hand.T_root_wrist.xyz_m
    targets = [target for finger in hand.fingers for target in finger.frames]
    fk = kinematics(hand, [target.frame for target in targets])
    for target, pose in zip(targets, fk(torch.zeros(len(fk.joints), dtype=torch.float64)).numpy(), strict=True):
        keypoints[list(target.keypoints)] = pose[:3, 3]
    return keypoints


def assert_same_poses(
    fk: ForwardKinematics, joints: list[JointSpec], vendor: Path, name: Callable[[str], str] = str, seed: int = 0
) -> None:
    """Compare every frame of ``fk`` at random configurations within our limits, in the base of ``fk``.

    Positions agree to 1e-6 m, rotation matrices to 1e-6, in float64. ``name`` maps our names to the vendor's.
    """
    reference = NumpyFK(vendor)
    driven = [joint for joint in joints if joint.mimic is None]
    low, high = (np.array([getattr(joint, bound) for joint in driven]) for bound in ("lower", "upper"))
    q = np.random.default_rng(seed).uniform(low, high, (CONFIGURATIONS, len(driven)))
    poses = fk(torch.from_numpy(q)).numpy()
    worst = 0.0
    for values, found in zip(q, poses, strict=True):
        by_name = {name(joint.name): value for joint, value in zip(driven, values, strict=True)}
        expected = reference.poses(by_name, base=name(fk.base))
        worst = max(worst, np.abs(found - [expected[name(frame)] for frame in fk.frames]).max())
    assert worst < 1e-6


def assert_limits_not_wider(joints: list[JointSpec], vendor: Path, name: Callable[[str], str] = str) -> None:
    """Our limits lie within the vendor's."""
    reference = NumpyFK(vendor)
    for joint in joints:
        lower, upper = reference.limits(name(joint.name))
        assert lower <= joint.lower <= joint.upper <= upper, f"{joint.name} of {vendor.name}"
