"""What a new plugin is called: its namespace, distribution, package, ids; and whether the namespace is free."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

import egoscale_sdk
from egoscale_sdk.errors import EgoscaleError, SpecError
from egoscale_sdk.host import PluginHost
from egoscale_sdk.host.discovery import SDK_DISTRIBUTION, SDK_NAMESPACE
from egoscale_sdk.ids import parse_id

OWN_DISTRIBUTIONS = (SDK_DISTRIBUTION, "egoscale-embodiments")
"""What the SDK itself is installed as; a plugin of that name would replace it."""
FORM = "a lower-case letter, then lower-case letters, digits or underscores, 64 in all"


@dataclass(frozen=True)
class PluginNames:
    """Every name in a plugin of one embodiment, made from its namespace and the embodiment's own name."""

    namespace: str
    name: str

    def __post_init__(self) -> None:
        for what, word in (("a namespace", self.namespace), ("a name of an embodiment", self.name)):
            check_word(what, word)

    @property
    def distribution(self) -> str:
        """What pip installs, and the folder's name: ``egoscale-acme``."""
        return f"egoscale-{self.namespace.replace('_', '-')}"

    @property
    def package(self) -> str:
        """What Python imports: ``egoscale_acme``."""
        return f"egoscale_{self.namespace}"

    @property
    def stem(self) -> str:
        """The embodiment without its generation: ``acme/hand``."""
        return f"{self.namespace}/{self.name}"

    @property
    def id(self) -> str:
        """The embodiment's first generation: ``acme/hand@1``."""
        return f"{self.stem}@1"

    @property
    def class_name(self) -> str:
        """The namespace as a class is written: ``Acme``."""
        return "".join(word.capitalize() for word in self.namespace.split("_"))

    @property
    def title(self) -> str:
        """The namespace as a sentence begins: ``Acme``."""
        return self.namespace[0].upper() + self.namespace[1:]


def check_word(what: str, word: str) -> None:
    """Raise `EgoscaleError` unless ``word`` can stand before or after the slash of an id."""
    try:
        parse_id(f"{word}/{word}")
        well_formed = not word.endswith("_") and "__" not in word  # of which no distribution can be named
    except SpecError:
        well_formed = False
    if not well_formed:
        raise EgoscaleError(f"{word!r} is not {what}", allowed=[FORM], hint="e.g. acme")


def check_free(names: PluginNames, host: PluginHost) -> None:
    """Raise `EgoscaleError` if installing the plugin would replace anything; nothing is imported for that.

    Taken are the SDK's own names, namespaces of installed plugins, installed distributions and importable packages.
    """
    claims = host.registry.claims.get(names.namespace, [])
    if claims:
        owner = f"{claims[0].distribution} {claims[0].version}"
        own = names.namespace == SDK_NAMESPACE
        hint = "choose your own" if own else f"choose another, or run: pip uninstall {claims[0].distribution}"
        raise EgoscaleError(f"the namespace {names.namespace!r} is owned by {owner}", hint=hint)
    if names.distribution in OWN_DISTRIBUTIONS:
        raise EgoscaleError(f"{names.distribution} is a part of the SDK, not a plugin's name", hint="choose your own")
    version = _installed(names.distribution)
    if version:
        hint = f"choose another namespace, or run: pip uninstall {names.distribution}"
        raise EgoscaleError(f"the distribution {names.distribution} {version} is installed already", hint=hint)
    found = find_spec(names.package)
    if found is not None and found.origin is not None:  # a mere folder of that name has no origin
        where = f"can be imported already, from {found.origin}"
        raise EgoscaleError(f"the package {names.package} {where}", hint="choose another namespace")


def _installed(distribution: str) -> str:
    """Return the version of an installed distribution, and an empty text if it is not installed."""
    try:
        return metadata.version(distribution) or "of an unknown version"
    except metadata.PackageNotFoundError:
        return ""


def spdx(expression: str) -> str:
    """Return a licence expression as SPDX writes it, and an empty one as it is.

    Raises:
        EgoscaleError: it names no licence that package metadata may name.
    """
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(expression)) if expression else ""
    except InvalidLicenseExpression:
        allowed = ["an SPDX expression, e.g. Apache-2.0, BSD-3-Clause, LicenseRef-Proprietary"]
        raise EgoscaleError(f"{expression!r} names no licence", where="--license", allowed=allowed) from None


def sdk_range() -> str:
    """Return the versions of this SDK that a plugin written today works with, e.g. ``>=0.1,<0.2``."""
    major, minor = egoscale_sdk.__version__.split(".")[:2]
    return f">={major}.{minor},<{major}.{int(minor) + 1}" if major == "0" else f">={major}.{minor},<{int(major) + 1}"
