"""Giving every link and joint of a hand another name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from egoscale_sdk.specs import HandSpec, KinematicTree, MimicSpec


def rename_hand(hand: HandSpec, new: Mapping[str, str]) -> HandSpec:
    """Return the same hand with other names; ``new`` maps every link and every joint of its tree."""
    assert hand.tree is not None, "a drafted hand has a tree"
    joints = [joint.model_copy(update={"mimic": _mimic(joint.mimic, new)}) for joint in hand.joints]
    return hand.model_copy(
        update={
            "tree": _tree(hand.tree, new),
            "root": new[hand.root],
            "joints": tuple(joint.model_copy(update={"name": new[joint.name]}) for joint in joints),
            "fingers": tuple(
                finger.model_copy(
                    update={"frames": tuple(t.model_copy(update={"frame": new[t.frame]}) for t in finger.frames)}
                )
                for finger in hand.fingers
            ),
            "aperture": hand.aperture and hand.aperture.model_copy(update={"joint": new[hand.aperture.joint]}),
            "bodies": tuple(body.model_copy(update={"link": new[body.link]}) for body in hand.bodies),
            "dynamics": tuple(item.model_copy(update={"joint": new[item.joint]}) for item in hand.dynamics),
        }
    )


def rename_in(questions: Sequence[str], new: Mapping[str, str]) -> tuple[str, ...]:
    """Return questions about the same hand: names in quotation marks are replaced, any others are kept."""
    quoted = re.compile(r"'([^']*)'")
    return tuple(quoted.sub(lambda found: repr(new.get(found[1], found[1])), question) for question in questions)


def _tree(tree: KinematicTree, new: Mapping[str, str]) -> KinematicTree:
    joints = [
        joint.model_copy(
            update={
                "name": new[joint.name],
                "parent": new[joint.parent],
                "child": new[joint.child],
                "mimic": _mimic(joint.mimic, new),
            }
        )
        for joint in tree.joints
    ]
    return KinematicTree(root=new[tree.root], joints=tuple(joints))


def _mimic(mimic: MimicSpec | None, new: Mapping[str, str]) -> MimicSpec | None:
    return mimic and mimic.model_copy(update={"joint": new[mimic.joint]})
