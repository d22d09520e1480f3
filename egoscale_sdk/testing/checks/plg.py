"""Plugin and distribution: it loads, stays light, and brings what it names."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from importlib import resources

from packaging.utils import canonicalize_name

from egoscale_sdk.errors import EgoscaleError, MissingExtraError
from egoscale_sdk.host.discovery import SDK_DISTRIBUTION
from egoscale_sdk.host.factories import import_factory
from egoscale_sdk.host.loading import LoadedPlugin, PluginFailure, explain, load_plugin
from egoscale_sdk.specs import load_embodiment
from egoscale_sdk.testing.check import NotApplicable, Violation, check
from egoscale_sdk.testing.distributions import brings, candidates, requirements
from egoscale_sdk.testing.fresh_import import FreshImport, fresh_import
from egoscale_sdk.testing.subject import Subject

CONTRIBUTIONS = ("embodiments", "retargeters", "sensors", "action_spaces", "importers", "drivers")


@check("PLG001", "must", mend="egoscale plugin info NAMESPACE shows the stage and the traceback")
def it_loads(subject: Subject) -> str:
    """The plugin loads through every stage."""
    plugin = subject.plugin
    if isinstance(subject.source.plugin, str) and (problem := fresh_import(subject.source).problem):
        raise Violation(f"it loads here, but not in a fresh Python: {problem}")
    counts = {kind: len(getattr(plugin, kind)) for kind in CONTRIBUTIONS}
    brought = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items() if count)
    return f"{len(plugin.hooks)} hooks: {brought or 'no entries'}"


@check(
    "PLG002",
    "must",
    needs={"plugin"},
    mend="import it in the module of the factory that needs it, not in the plugin module or in a hook",
)
def loading_is_light(subject: Subject) -> str:
    """Loading the plugin imports nothing heavy: its own package, the standard library, what the host needs."""
    module, seen = _fresh(subject)
    foreign = seen.foreign(own=module.partition(".")[0])
    if foreign:
        more = f" and {len(foreign) - 6} more" if len(foreign) > 6 else ""
        raise Violation(f"importing {module} and calling its hooks also imports {', '.join(foreign[:6])}{more}")
    return f"{len(seen.modules)} modules, none from elsewhere"


@check("PLG003", "must", needs={"plugin"}, mend="correct the name, or import the missing package when it is needed")
def factories_exist(subject: Subject) -> str:
    """Every factory that it names can be imported and called."""
    total, absent = 0, []
    for label, factory in _factories(subject):
        total += 1
        try:
            made = import_factory(factory)
        except MissingExtraError as error:  # says itself what to install
            absent.append(f"{label}: {error.what}")
            continue
        except (Exception, SystemExit) as error:
            raise Violation(f"{label}: factory '{factory}' cannot be imported: {explain(error)}") from None
        if not callable(made):
            raise Violation(f"{label}: factory '{factory}' is a {type(made).__name__}, which cannot be called")
    return "; ".join([f"{total} factories", *absent])


@check(
    "PLG004", "must", needs={"plugin"}, mend="list the file as package data in pyproject.toml, or require its package"
)
def files_are_in_the_distribution(subject: Subject) -> str:
    """Every spec and URDF file that it names comes with its distribution, or with one that it requires."""
    found = candidates(subject.source)
    checked, unknown = 0, 0
    for entry in subject.plugin.embodiments:
        for name in _files_of(entry.spec):
            package, _, path = name.partition(":")
            verdicts = [brings(distribution, package, path) for distribution in found]
            if verdicts and not any(verdict or verdict is None for verdict in verdicts):
                names = ", ".join(distribution.name for distribution in found)
                raise Violation(f"{entry.id}: {name} is in none of {names}: another machine will not have it")
            checked, unknown = checked + 1, unknown + (not any(verdicts))
    return f"{checked} files" + (f", {unknown} of them in no list of installed files" if unknown else "")


@check("PLG005", "should", mend="write e.g. dependencies = ['egoscale-sdk>=0.1,<0.2'] into pyproject.toml")
def the_sdk_is_bounded(subject: Subject) -> str:
    """The distribution says for which versions of the SDK it is made, up to one that it does not know yet."""
    found = [item for item in requirements(subject.source) if canonicalize_name(item.name) == SDK_DISTRIBUTION]
    own = canonicalize_name(subject.source.distribution) == SDK_DISTRIBUTION
    if not found and (own or not candidates(subject.source)):
        raise NotApplicable("the plugin is part of the SDK" if own else "the plugin is in no installed distribution")
    if not found:
        raise Violation(f"{subject.source.distribution} does not require {SDK_DISTRIBUTION}")
    for requirement in found:
        if not any(clause.operator in ("<", "<=", "~=", "==", "===") for clause in requirement.specifier):
            raise Violation(f"{subject.source.distribution} requires '{requirement}', which has no upper bound")
    return ", ".join(str(requirement) for requirement in found)


@check(
    "PLG006",
    "must",
    needs={"plugin"},
    mend="let hooks return the same entries whenever they are called, and log nothing",
)
def hooks_are_pure(subject: Subject) -> str:
    """Its hooks say the same whenever they are called, and print nothing; nor does importing it."""
    text = _fresh(subject)[1].printed if isinstance(subject.source.plugin, str) else ""
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        first, second = _load(subject), _load(subject)
    for kind in CONTRIBUTIONS:
        before, after = getattr(first, kind), getattr(second, kind)
        if before != after:
            raise Violation(f"egoscale_{kind} returned {_ids(before)} at first, then {_ids(after)}")
    text += printed.getvalue()
    if text.strip():
        raise Violation(f"loading it prints {' '.join(text.split())[:80]!r}")
    return f"{len(first.hooks)} hooks, loaded twice"


def _fresh(subject: Subject) -> tuple[str, FreshImport]:
    plugin = subject.source.plugin
    if not isinstance(plugin, str):
        raise NotApplicable("the plugin is an object that was given in code")
    seen = fresh_import(subject.source)
    if seen.problem:
        raise NotApplicable("it does not load in a fresh Python, which PLG001 says")
    return plugin.partition(":")[0], seen


def _load(subject: Subject) -> LoadedPlugin:
    result = load_plugin(subject.source)
    if isinstance(result, PluginFailure):
        raise Violation(f"loaded once more, it fails at stage {result.stage}: {result.problem}")
    return result


def _factories(subject: Subject) -> Iterator[tuple[str, str]]:
    for kind in CONTRIBUTIONS:
        for entry in getattr(subject.plugin, kind):
            yield f"{kind}: {getattr(entry, 'id', None) or entry.name}", entry.factory
    for embodiment in subject.plugin.embodiments:
        try:
            checks = subject.host.conformance_checks(subject.host.spec(embodiment.id))
        except EgoscaleError:  # SPEC001 says why the spec does not load, the kit itself why its checks cannot be had
            continue
        for item in checks:
            yield f"conformance check {item.id}", item.factory


def _files_of(spec: str) -> Iterator[str]:
    """Yield the spec's own file and the URDFs that it leads to."""
    package, _, path = spec.partition(":")
    try:
        there = resources.files(package).joinpath(path).is_file()
    except ModuleNotFoundError:
        raise Violation(f"package {package!r} of {spec} is not installed") from None
    if not there:
        raise Violation(f"{spec} is not in the installed package {package!r}")
    yield spec
    read = load_embodiment(spec)
    urdfs = [*(hand.urdf for hand in read.hands), *(arm.urdf for arm in read.arms)]
    yield from dict.fromkeys(urdf for urdf in urdfs if urdf)


def _ids(entries: tuple[object, ...]) -> str:
    names = [str(getattr(entry, "id", None) or getattr(entry, "name", entry)) for entry in entries]
    return ", ".join(names) or "nothing"
