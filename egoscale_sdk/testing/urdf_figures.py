"""Limits and masses of a URDF, which `parse_urdf` leaves alone: a reader of the kit's own."""

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
    return {joint.get("name", ""): _limits(joint, resource) for joint in _robot(resource) if joint.tag == "joint"}


def urdf_masses(resource: str) -> dict[str, float]:
    """Return the mass of every link of ``"package:path"`` that states one above zero, in kilograms.

    Raises:
        Violation: the file is not there, or a mass is no number.
    """
    found = {}
    for link in _robot(resource):
        mass = link.find("inertial/mass") if link.tag == "link" else None
        if mass is None:
            continue
        try:
            found[link.get("name", "")] = float(mass.get("value", ""))
        except ValueError:
            raise Violation(f"{resource}: <mass> of link {link.get('name')!r} is {dict(mass.attrib)}") from None
    return {link: mass for link, mass in found.items() if mass > 0}


def _robot(resource: str) -> ElementTree.Element:
    package, _, path = resource.partition(":")
    try:
        return ElementTree.fromstring(resources.files(package).joinpath(path).read_bytes())
    except (ModuleNotFoundError, FileNotFoundError):
        raise Violation(f"{resource} is not installed") from None


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
