"""Datasets held against the installed plugins before anything is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from egoscale_sdk.errors import PluginError, UnknownIdError
from egoscale_sdk.host import PluginHost, resolve_spec
from egoscale_sdk.specs import action_fingerprint
from egoscale_sdk.training.sources import Source


def against_plugins(sources: Sequence[Source], host: PluginHost) -> tuple[list[Source], list[str]]:
    """Refuse datasets whose actions mean something else than the installed plugins say.

    Training needs no plugin: a dataset whose plugin is not installed is trained on as it describes itself.

    Returns:
        The sources, with the spec that a plugin's upgrade gives their rows; and what the user should know.

    Raises:
        DeclarationError: an installed plugin contradicts a dataset and offers no upgrade; shows what differs.
    """
    checked, notes = [], []
    for source in sources:
        native = source.windows.action_set.name == "native"
        provider = source.dataset.declaration.provider if native else None
        try:
            resolution = resolve_spec(host, source.spec, provider, owner=source.name)
        except (UnknownIdError, PluginError) as error:
            notes.append(f"{source.name}: not held against its plugin: {error}")
            checked.append(source)
            continue
        notes += resolution.notes
        same = action_fingerprint(resolution.spec) == action_fingerprint(source.spec)
        checked.append(source if same else replace(source, spec=resolution.spec))
    return checked, notes
