"""Writing the kinematic content of a spec as URDF text, from which `parse_urdf` reads exactly the same tree."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import quoteattr

from egoscale_sdk.scaffold.toml_text import printable
from egoscale_sdk.specs import JointSpec, KinematicTree, TreeJoint

_NONE = (0.0, 0.0, 0.0)


def urdf_text(tree: KinematicTree, *, name: str, joints: Iterable[JointSpec] = (), note: str = "") -> str:
    """Return the URDF of a tree: links, joints, origins, axes, mimics; no meshes, no masses.

    Args:
        tree: What hangs on what.
        name: Name of the robot in the file.
        joints: Whose limits are written beside the kinematics, for other readers; ours takes them from the spec.
        note: A comment at the top.
    """
    by_name = {joint.name: joint for joint in joints}
    plain = printable(note).replace("--", "- -")
    lines = ['<?xml version="1.0"?>', f"<!-- {plain} -->" if plain else "", f"<robot name={quoteattr(name)}>"]
    lines += [f"  <link name={quoteattr(link)}/>" for link in tree.links]
    for joint in tree.joints:
        lines += _joint(joint, by_name.get(joint.name))
    return "\n".join([line for line in lines if line] + ["</robot>", ""])


def _joint(joint: TreeJoint, limits: JointSpec | None) -> list[str]:
    inside = [f"<parent link={quoteattr(joint.parent)}/>", f"<child link={quoteattr(joint.child)}/>"]
    if joint.xyz_m != _NONE or joint.rpy_rad != _NONE:
        turn = f' rpy="{_numbers(joint.rpy_rad)}"' if joint.rpy_rad != _NONE else ""
        inside.append(f'<origin xyz="{_numbers(joint.xyz_m)}"{turn}/>')
    if joint.kind != "fixed":
        inside.append(f'<axis xyz="{_numbers(joint.axis)}"/>')
    if joint.mimic is not None:
        leader = joint.mimic
        factors = f'multiplier="{leader.multiplier!r}" offset="{leader.offset!r}"'
        inside.append(f"<mimic joint={quoteattr(leader.joint)} {factors}/>")
    inside += _limit(limits)
    head = f'  <joint name={quoteattr(joint.name)} type="{joint.kind}">'
    return [head, *(f"    {line}" for line in inside), "  </joint>"]


def _limit(joint: JointSpec | None) -> list[str]:
    if joint is None:
        return []
    effort = joint.effort_n if joint.unit == "m" else joint.effort_nm
    known = {"lower": joint.lower, "upper": joint.upper, "velocity": joint.velocity, "effort": effort}
    figures = [f'{key}="{value!r}"' for key, value in known.items() if value is not None]
    return [f"<limit {' '.join(figures)}/>"] if figures else []


def _numbers(values: Iterable[float]) -> str:
    return " ".join(repr(value) for value in values)
