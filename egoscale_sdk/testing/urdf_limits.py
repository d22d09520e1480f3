"""The `<limit>` elements of a URDF, which `parse_urdf` leaves alone: a reader of the kit's own."""

from __future__ import annotations

from importlib import resources

from defusedxml import ElementTree

from egoscale_sdk.testing.check import Violation

Limits = dict[str, float]


def urdf_limits(resource: str) -> dict[str, Limits]:
    """Return ``lower``, ``upper``, ``velocity`` and ``effort`` as far as ``"package:path"`` states them, by joint.

    A speed or effort of zero stands for one that is not known, and so do the zeros of a joint without any range.

    Raises:
        Violation: the file is not there, or a limit is no number.
    """
    package, _, path = resource.partition(":")
    try:
        robot = ElementTree.fromstring(resources.files(package).joinpath(path).read_bytes())
    except (ModuleNotFoundError, FileNotFoundError):
        raise Violation(f"{resource} is not installed") from None
    return {joint.get("name", ""): _limits(joint, resource) for joint in robot if joint.tag == "joint"}


def _limits(joint: ElementTree.Element, resource: str) -> Limits:
    limit = joint.find("limit")
    if limit is None or joint.get("type") in ("continuous", "fixed"):
        return {}
    try:
        stated = {key: float(text) for key in ("lower", "upper", "velocity", "effort") if (text := limit.get(key))}
    except ValueError:
        raise Violation(f"{resource}: <limit> of joint {joint.get('name')!r} is {dict(limit.attrib)}") from None
    if stated.get("lower", 0.0) == stated.get("upper", 0.0):
        stated.pop("lower", None)
        stated.pop("upper", None)
    return {key: value for key, value in stated.items() if value or key in ("lower", "upper")}
