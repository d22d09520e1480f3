"""Holding what a dataset or a checkpoint declares against what is installed."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from egoscale_sdk.errors import DeclarationError, UnknownIdError
from egoscale_sdk.host.plugin_host import PluginHost
from egoscale_sdk.host.registry import install_hint
from egoscale_sdk.ids import parse_id
from egoscale_sdk.specs import (
    DatasetDeclaration,
    EmbodimentSpec,
    Provider,
    RowLayout,
    action_fingerprint,
    action_meaning,
    safety_digest,
    safety_limits,
)
from egoscale_sdk.specs.compare import diff_meaning, narrower_limits

SHOWN_DIFFERENCES = 8


@dataclass(frozen=True)
class Resolution:
    """The spec to work with, and what the user should be told about it.

    ``spec`` is the installed one with limits no wider than the declared ones.
    """

    spec: EmbodimentSpec
    notes: tuple[str, ...] = ()


def resolve_declaration(host: PluginHost, declaration: DatasetDeclaration) -> Resolution:
    """Hold a dataset's declaration against the installed plugin.

    Raises:
        DeclarationError: it contradicts itself or the plugin; shows what differs.
        UnknownIdError: nobody provides the embodiment; names the package that the dataset was written with.
        PluginError: the plugin that provides it is broken.
    """
    for label, stated, actual in (
        ("action_fingerprint", declaration.action_fingerprint, action_fingerprint(declaration.spec)),
        ("safety_digest", declaration.safety_digest, safety_digest(declaration.spec)),
        ("embodiment", declaration.embodiment, declaration.spec.id),
    ):
        if stated != actual:
            raise DeclarationError(f"{label} is {stated}, but the declared spec gives {actual}", where="dataset")
    return resolve_spec(host, declaration.spec, declaration.provider)


def resolve_spec(
    host: PluginHost, declared: EmbodimentSpec, provider: Provider | None = None, *, owner: str = "dataset"
) -> Resolution:
    """Hold a spec that a dataset or checkpoint (``owner``) snapshot holds against the installed plugin.

    Args:
        host: The installed plugins.
        declared: The snapshot.
        provider: The distribution that it came from.
        owner: What holds it, for messages.

    Raises:
        DeclarationError: actions mean something else now, and the plugin offers no upgrade.
        UnknownIdError, PluginError: as `PluginHost.spec`.
    """
    installed = _installed(host, declared, provider, owner)
    if action_fingerprint(declared) == action_fingerprint(installed) and _same_generation(declared, installed):
        return _with_narrower_limits(declared, installed, owner)
    upgraded = host.upgrade(declared, installed)
    if upgraded is None:
        raise _refusal(host, declared, installed, owner)
    _check_layout(declared, upgraded, owner)
    note = f"{owner}: rows of {declared.id} are read as {upgraded.id}, as its plugin says"
    resolution = _with_narrower_limits(declared, upgraded, owner)
    return Resolution(resolution.spec, (note, *resolution.notes))


def _installed(host: PluginHost, declared: EmbodimentSpec, provider: Provider | None, owner: str) -> EmbodimentSpec:
    """Return the installed spec of the declared id, else the highest later generation of it."""
    try:
        return host.spec(declared.id, provider=provider)
    except UnknownIdError as unknown:
        wanted = parse_id(declared.id, versioned=True)
        try:
            current = host.spec(wanted.stem)
        except UnknownIdError:
            raise unknown from None
    if (parse_id(current.id).version or 0) < (wanted.version or 0):
        raise DeclarationError(
            f"{owner} declares {declared.id}, which is newer than the installed {current.id}",
            hint=install_hint(provider) or "install a newer version of its plugin",
        )
    return current


def _same_generation(declared: EmbodimentSpec, installed: EmbodimentSpec) -> bool:
    return declared.id == installed.id or declared.id in installed.aliases


def _with_narrower_limits(declared: EmbodimentSpec, installed: EmbodimentSpec, owner: str) -> Resolution:
    if safety_digest(declared) == safety_digest(installed):
        return Resolution(installed)
    lines = diff_meaning(safety_limits(declared), safety_limits(installed), a_is=owner)
    try:
        spec = narrower_limits(installed, declared)
    except ValidationError as error:
        raise DeclarationError(
            f"limits of {installed.id} exclude each other: {error.errors()[0]['msg']}", where=owner
        ) from None
    note = f"{owner}: limits of {declared.id} differ from the installed ones, the narrower are used: {_some(lines)}"
    return Resolution(spec, (note,))


def _check_layout(declared: EmbodimentSpec, upgraded: EmbodimentSpec, owner: str) -> None:
    """Refuse an upgrade under which stored rows would have other columns."""
    before, after = RowLayout.of(declared.hand_spaces), RowLayout.of(upgraded.hand_spaces)
    if (before.sides, before.units) != (after.sides, after.units):
        raise DeclarationError(
            f"the plugin's upgrade of {declared.id} to {upgraded.id} changes the stored columns: "
            f"{before.dim} of {', '.join(before.sides)} become {after.dim} of {', '.join(after.sides)}",
            where=owner,
        )


def _refusal(host: PluginHost, declared: EmbodimentSpec, installed: EmbodimentSpec, owner: str) -> DeclarationError:
    lines = diff_meaning(action_meaning(declared), action_meaning(installed), a_is=owner)
    what = f"actions of {declared.id} mean something else than those of the installed {installed.id}"
    package = host.provider(parse_id(installed.id).namespace)
    return DeclarationError(
        f"{what}: {_some(lines) or 'an earlier generation, with no upgrade offered'}",
        where=owner,
        hint=f"installed: {package.distribution} {package.version}; install the version that it was written with",
    )


def _some(lines: list[str]) -> str:
    more = f"; and {len(lines) - SHOWN_DIFFERENCES} more" if len(lines) > SHOWN_DIFFERENCES else ""
    return "; ".join(lines[:SHOWN_DIFFERENCES]) + more
