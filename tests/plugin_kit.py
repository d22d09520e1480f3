"""Real installed distributions in a temporary folder, and a toy hand of two joints."""

from __future__ import annotations

import textwrap
from pathlib import Path

from egoscale_sdk.specs import (
    ActionSetSpec,
    DatasetDeclaration,
    EmbodimentSpec,
    Provider,
    action_fingerprint,
    parse_embodiment,
    safety_digest,
)

HEADER = """
from egoscale_sdk.host import (
    ActionSpaceEntry, CheckEntry, DriverEntry, EmbodimentEntry, ImporterEntry, RetargeterEntry, SensorEntry, hookimpl,
)
"""
HAND = """
@hookimpl
def egoscale_embodiments():
    return [EmbodimentEntry(id="{namespace}/hand@1", spec="{package}:hand.toml")]
"""
TOML = """
id = "{id}"
title = "A toy hand"
kind = "robot"
aliases = {aliases}
control = {{ rate_hz = 50.0 }}

[[hands]]
side = "right"

[hands.hand_space]
id = "{namespace}/toy@1"
columns = [{{ name = "bend", unit = "rad" }}, {{ name = "slide", unit = "m" }}]

[[hands.joints]]
name = "right_bend"
kind = "revolute"
lower_rad = -0.5
upper_rad = 1.5
velocity_rad_s = 4.0

[[hands.joints]]
name = "right_slide"
kind = "prismatic"
lower_m = 0.0
upper_m = 0.04
"""


def toml(id: str, *, aliases: tuple[str, ...] = ()) -> str:
    """Return the spec file of a toy hand."""
    return TOML.format(id=id, namespace=id.partition("/")[0], aliases=list(aliases))


def install(
    site: Path,
    namespace: str,
    code: str = HAND,
    *,
    distribution: str | None = None,
    version: str = "1.2.3",
    requires: tuple[str, ...] = ("egoscale-sdk",),
    files: dict[str, str] | None = None,
    target: str | None = None,
) -> str:
    """Write an installed distribution with one plugin; returns the name of its package.

    ``code`` becomes the package's ``plugin`` module; ``{namespace}`` and ``{package}`` in it are filled in.
    """
    distribution = distribution or f"egoscale-{namespace}"
    package = distribution.replace("-", "_")
    folder = site / package
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    filled = textwrap.dedent(code).replace("{namespace}", namespace).replace("{package}", package)
    (folder / "plugin.py").write_text(HEADER + filled)
    for name, text in ({"hand.toml": toml(f"{namespace}/hand@1")} | (files or {})).items():
        (folder / name).write_text(text)
    info = site / f"{package}-{version}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {line}" for line in requires)]) + "\n")
    (info / "entry_points.txt").write_text(f"[egoscale.plugins]\n{namespace} = {target or package + '.plugin'}\n")
    (info / "INSTALLER").write_text("tests\n")
    return package


def toy_spec(id: str = "acme/hand@1", **changes: object) -> EmbodimentSpec:
    """Return the spec of the toy hand, with some top-level fields changed."""
    import tomllib

    return parse_embodiment(tomllib.loads(toml(id)) | changes, source="toy")


def declaration_of(spec: EmbodimentSpec, **changes: object) -> DatasetDeclaration:
    """Return the declaration of a robot dataset that was recorded with ``spec``."""
    native = ActionSetSpec(
        name="native",
        embodiment=spec.id,
        action_fingerprint=action_fingerprint(spec),
        hand_spaces=spec.hand_spaces,
        action_source="commanded",
    )
    fields: dict[str, object] = {
        "uid": "0" * 32,
        "embodiment": spec.id,
        "action_fingerprint": action_fingerprint(spec),
        "safety_digest": safety_digest(spec),
        "provider": Provider(distribution="egoscale-acme", version="1.2.3"),
        "spec": spec,
        "kind": spec.kind,
        "fps": 30.0,
        "base_frame": spec.base_frame,
        "has_state": True,
        "wrist_source": "commanded",
        "action_sets": (native,),
    }
    return DatasetDeclaration.model_validate(fields | changes)
