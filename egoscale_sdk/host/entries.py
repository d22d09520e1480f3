"""What a plugin contributes: pydantic entries; code is named by ``"module:attr"`` strings, imported on demand."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from egoscale_sdk.specs.base import Name, Strict

Factory = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
Resource = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[\w./\-]+$")]
Settings = dict[str, str | int | float | bool]
DEFAULT_EMBODIMENT: str = "egoscale_sdk.kinematics:SpecEmbodiment"


class EmbodimentEntry(Strict):
    """An embodiment: its id, its spec as ``"package:path"``, and the class that brings it to life."""

    id: str
    spec: Resource
    factory: Factory = DEFAULT_EMBODIMENT


class RetargeterEntry(Strict):
    """A retargeter; ``target`` is a glob over hand space ids; the factory takes a `HandSpec`.

    ``needs`` says which hands it can serve: those with finger frames (``fingers``) or with an ``aperture``.
    """

    id: str
    target: str = "*"
    needs: Literal["fingers", "aperture"] = "fingers"
    factory: Factory


class SensorEntry(Strict):
    """A sensor driver, e.g. a camera; the factory takes the sensor's spec and keyword settings.

    ``sensors`` are globs over the names of the sensors that it serves, in the specs of its own plugin.
    ``simulated``: settings under which it needs no hardware, so that the conformance kit can run it.
    """

    id: str
    factory: Factory
    sensors: tuple[str, ...] = ()
    simulated: Settings | None = None


class ActionSpaceEntry(Strict):
    """An action space; the factory takes a `RowLayout`."""

    id: str
    factory: Factory


class ImporterEntry(Strict):
    """An importer by its command-line name; the factory takes no argument."""

    name: Name
    title: str
    factory: Factory


class DriverEntry(Strict):
    """A driver by its command-line name; the factory takes an `EmbodimentSpec` and keyword settings.

    ``embodiments`` are globs over the embodiment ids that it can drive.
    ``simulated``: settings under which it needs no hardware, so that the conformance kit can run it; {} where it
    never needs any.
    """

    name: Name
    title: str
    embodiments: tuple[str, ...] = ("*",)
    factory: Factory
    simulated: Settings | None = None


class CheckEntry(Strict):
    """A vendor's own conformance check; the factory is a function of an `Embodiment` that raises on a violation."""

    id: str
    title: str
    level: Literal["must", "should"] = "must"
    factory: Factory
