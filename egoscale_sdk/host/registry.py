"""Which plugin owns which namespace; a plugin is loaded when its own namespace is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from egoscale_sdk.errors import UnknownIdError, did_you_mean
from egoscale_sdk.host.discovery import (
    SDK_NAMESPACE,
    PluginSource,
    allowed_namespaces,
    installed_sources,
    sdk_source,
    sources_of,
)
from egoscale_sdk.host.factories import strict
from egoscale_sdk.host.loading import LoadedPlugin, PluginFailure, load_plugin
from egoscale_sdk.specs import Provider


class Registry:
    """Namespaces and their plugins.

    The SDK's own plugin is always there, whoever else claims its namespace. All others come from the installed
    distributions, as far as ``EGOSCALE_PLUGINS`` allows them, or from ``plugins`` alone where that is given.
    """

    def __init__(self, plugins: Mapping[str, object] | None = None) -> None:
        self._given = plugins
        self._results: dict[str, LoadedPlugin | PluginFailure] = {}

    @cached_property
    def claims(self) -> dict[str, list[PluginSource]]:
        """Who claims each namespace, from metadata only; the SDK comes first for its own."""
        found = installed_sources() if self._given is None else sources_of(self._given)
        allowed = allowed_namespaces() if self._given is None else None
        claims: dict[str, list[PluginSource]] = {}
        for source in found:
            if allowed is None or source.namespace in allowed:
                claims.setdefault(source.namespace, []).append(source)
        claims.setdefault(SDK_NAMESPACE, []).insert(0, sdk_source())
        return claims

    def load(self, namespace: str, provider: Provider | None = None) -> LoadedPlugin:
        """Return the plugin of one namespace, loading it (and no other) if it is not loaded yet.

        Args:
            namespace: Which one.
            provider: The distribution that a dataset or checkpoint says it came from, for the message.

        Raises:
            UnknownIdError: no plugin claims the namespace.
            PluginError: the plugin is broken or its claim is disputed.
        """
        if namespace not in self.claims:
            raise self._unowned(namespace, provider)
        result = self._result(namespace)
        if isinstance(result, PluginFailure):
            raise result.error()
        return result

    def source(self, namespace: str) -> PluginSource:
        """Return the plugin that claims a namespace, without loading it.

        Raises:
            UnknownIdError: no plugin claims the namespace.
        """
        if namespace not in self.claims:
            raise self._unowned(namespace, None)
        return self.claims[namespace][0]

    def results(self, namespace: str) -> list[LoadedPlugin | PluginFailure]:
        """Load whoever claims a namespace, and no other; several claimants of one namespace come as failures.

        Raises:
            UnknownIdError: no plugin claims the namespace.
        """
        self.source(namespace)
        first = self._result(namespace)
        disputes = self._disputes(namespace)
        return [first, *disputes] if isinstance(first, LoadedPlugin) else [*disputes] or [first]

    def everything(self) -> list[LoadedPlugin | PluginFailure]:
        """Load every plugin; those that are refused come as failures, or raise if ``EGOSCALE_STRICT=1``."""
        results = [result for namespace in sorted(self.claims) for result in self.results(namespace)]
        failures = [result for result in results if isinstance(result, PluginFailure)]
        if failures and strict():
            raise failures[0].error()
        return results

    def working(self) -> list[LoadedPlugin]:
        """Load every plugin and return those that work, in the order of their namespaces."""
        return [plugin for plugin in self.everything() if isinstance(plugin, LoadedPlugin)]

    def broken_note(self) -> str:
        """Name the plugins that could not be loaded, as a hint for why an id is not found."""
        broken = [str(plugin.source) for plugin in self.everything() if isinstance(plugin, PluginFailure)]
        return f"not loaded: {', '.join(broken)}; run: egoscale plugin list" if broken else ""

    def _result(self, namespace: str) -> LoadedPlugin | PluginFailure:
        if namespace not in self._results:
            disputes = self._disputes(namespace)
            undisputed = not disputes or namespace == SDK_NAMESPACE
            self._results[namespace] = load_plugin(self.claims[namespace][0]) if undisputed else disputes[0]
        return self._results[namespace]

    def _disputes(self, namespace: str) -> list[PluginFailure]:
        """Refuse every claimant of a disputed namespace; of the SDK's own, every other one."""
        claims = self.claims[namespace]
        if len(claims) == 1:
            return []
        names = " and ".join(f"{source.distribution} {source.version}" for source in claims)
        problem = f"the namespace {namespace!r} is claimed by {names}; uninstall all but one"
        refused = claims[1:] if namespace == SDK_NAMESPACE else claims
        return [PluginFailure(source, "metadata", problem) for source in refused]

    def _unowned(self, namespace: str, provider: Provider | None) -> UnknownIdError:
        allowed = allowed_namespaces()
        if self._given is None and allowed is not None and namespace not in allowed:
            return UnknownIdError(
                f"the namespace {namespace!r} is switched off by EGOSCALE_PLUGINS={','.join(sorted(allowed))}",
                hint="add it there, or unset EGOSCALE_PLUGINS",
            )
        hint = install_hint(provider) or did_you_mean(namespace, self.claims)
        return UnknownIdError(
            f"no installed plugin owns the namespace {namespace!r}",
            allowed=sorted(self.claims),
            hint=hint or "install the package that brings it, then see: egoscale plugin list",
        )


def install_hint(provider: Provider | None) -> str:
    """Name the package that a dataset or checkpoint came from, if it says so."""
    return "" if provider is None else provider.install_hint()
