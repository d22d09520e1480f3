"""Mimic joints as one linear map: every movable joint of a tree from the joints that are really driven."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from egoscale_sdk.errors import SpecError
from egoscale_sdk.specs import JointSpec, KinematicTree, MimicSpec


def joint_coupling(tree: KinematicTree, joints: Sequence[JointSpec], rows: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return ``A (len(rows), J)`` and ``b (len(rows),)``, float64, with ``q_rows = A q + b``.

    ``q`` holds the joints without mimic, in order. A mimic in ``joints`` overrides the one in the tree; a joint that
    follows nothing and is not in ``q`` stays at zero.

    Raises:
        SpecError: mimic joints follow each other in a circle.
    """
    mimics = {joint.name: joint.mimic for joint in tree.joints if joint.mimic}
    for joint in joints:
        mimics.pop(joint.name, None)
        if joint.mimic is not None:
            mimics[joint.name] = joint.mimic
    driven = {joint.name: column for column, joint in enumerate(j for j in joints if j.mimic is None)}
    A = torch.zeros(len(rows), len(driven), dtype=torch.float64)
    b = torch.zeros(len(rows), dtype=torch.float64)
    for row, name in enumerate(rows):
        leader, multiplier, offset = _leader(name, mimics)
        b[row] = offset
        if leader in driven:
            A[row, driven[leader]] = multiplier
    return A, b


def _leader(name: str, mimics: dict[str, MimicSpec]) -> tuple[str, float, float]:
    """Follow mimics of mimics to the joint that leads: ``q_name = multiplier * q_leader + offset``."""
    multiplier, offset, seen = 1.0, 0.0, [name]
    while seen[-1] in mimics:
        mimic = mimics[seen[-1]]
        offset += multiplier * mimic.offset
        multiplier *= mimic.multiplier
        if mimic.joint in seen:
            raise SpecError(f"mimic joints follow each other in a circle: {' -> '.join([*seen, mimic.joint])}")
        seen.append(mimic.joint)
    return seen[-1], multiplier, offset
