"""One fault each, for the checks of the family SPEC."""

from __future__ import annotations

from collections.abc import Callable

from egoscale_sdk.specs import HandSpaceSpec, HandSpec, PoseSpec
from egoscale_sdk.testing.fakes.good import good, good_spec, with_hands, with_spec
from egoscale_sdk.testing.subject import Subject


def _another_id() -> Subject:
    return with_spec(id="fake/glove@1")


def _open_pose_beyond_limits() -> Subject:
    return with_hands(lambda hand: {"open_pose": (-0.4, *hand.open_pose[1:])})


def _forgotten_follower() -> Subject:
    return with_hands(lambda hand: {"joints": hand.joints[:-1]})


def _wider_than_the_urdf() -> Subject:
    def widen(hand: HandSpec) -> dict[str, object]:
        first = hand.joints[0].model_copy(update={"upper_rad": 2.4})
        return {"joints": (first, *hand.joints[1:])}

    return with_hands(widen)


def _swapped_columns() -> Subject:
    def swap(hand: HandSpec) -> dict[str, object]:
        *others, a, b = hand.hand_space.columns
        return {"hand_space": HandSpaceSpec(id=hand.hand_space.id, columns=(*others, b, a))}

    return with_hands(swap)


def _inward_finger() -> Subject:
    def turn(hand: HandSpec) -> dict[str, object]:
        thumb, *others = hand.fingers
        return {"fingers": (thumb.model_copy(update={"frames": thumb.frames[::-1]}), *others)}

    return with_hands(turn)


def _palm_for_back() -> Subject:
    """Turn the wrist frame by half a turn about z: x leaves the back of the hand."""
    return with_hands(lambda hand: {"T_root_wrist": _turned_about_z(hand.T_root_wrist)})


def _turned_about_z(pose: PoseSpec) -> PoseSpec:
    w, x, y, z = pose.quat_wxyz
    return PoseSpec(xyz_m=pose.xyz_m, quat_wxyz=(-z, y, -x, w))


def _unreadable_name() -> Subject:
    return with_spec(base_frame="the torso")


def _other_meaning() -> Subject:
    return with_spec(base_frame="world")


def _wire_without_a_joint() -> Subject:
    first, *others = good_spec().wires
    return with_spec(wires=(first.model_copy(update={"joints": first.joints[1:]}), *others))


def _unanswered_question() -> Subject:
    """An embodiment about which the fakes' open_questions.toml asks something."""
    return good(spec=good_spec().model_copy(update={"id": "fake/unanswered@1"}), entry=good().entry)


MUTANTS: dict[str, Callable[[], Subject]] = {
    "SPEC001": _another_id,
    "SPEC002": _open_pose_beyond_limits,
    "SPEC004": _forgotten_follower,
    "SPEC005": _wider_than_the_urdf,
    "SPEC006": _swapped_columns,
    "SPEC007": _inward_finger,
    "SPEC008": _palm_for_back,
    "SPEC009": _unreadable_name,
    "SPEC010": _other_meaning,
    "SPEC012": _wire_without_a_joint,
    "SPEC015": _unanswered_question,
}
