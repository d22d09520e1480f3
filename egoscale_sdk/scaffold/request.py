"""What was asked for: one hand's URDF, or two, or one and its mirror image; and the hands drafted from that."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from egoscale_sdk.errors import EgoscaleError, SpecError
from egoscale_sdk.scaffold.draft import HandDraft, draft_hand
from egoscale_sdk.scaffold.mirror import mirrored_pair
from egoscale_sdk.scaffold.names import PluginNames, spdx
from egoscale_sdk.scaffold.package import PackageDraft
from egoscale_sdk.scaffold.pair import pair_hands
from egoscale_sdk.scaffold.toml_text import printable
from egoscale_sdk.specs import SIDES, Side


@dataclass(frozen=True)
class Request:
    """Which files there are; raises `EgoscaleError` if they contradict each other or cannot be read.

    Attributes:
        urdf: A hand whose side is ``side``, or follows from the file.
        left: The left hand.
        right: The right hand.
        side: Which hand ``urdf`` is, if that is known.
        mirror: Whether the other hand is made as the mirror image.
        license: SPDX expression for the package, if one is chosen.
    """

    urdf: Path | None = None
    left: Path | None = None
    right: Path | None = None
    side: Side | None = None
    mirror: bool = False
    license: str = ""

    def __post_init__(self) -> None:
        given = [path for path in (self.urdf, self.left, self.right) if path is not None]
        if not given:
            raise EgoscaleError("there is no URDF", hint="give --urdf FILE, or --urdf-left FILE --urdf-right FILE")
        if self.urdf is not None and len(given) > 1:
            raise EgoscaleError("--urdf is one hand alone", hint="give --urdf-left and --urdf-right for two")
        if self.side is not None and self.urdf is None:
            raise EgoscaleError(
                "--side is the side of --urdf", hint="leave it out: --urdf-left and --urdf-right say it"
            )
        if self.mirror and len(given) > 1:
            raise EgoscaleError("--mirror makes the other hand, but both are given", hint="leave out one of them")
        spdx(self.license)
        for path in given:
            _check_file(path)

    def draft(self, names: PluginNames) -> PackageDraft:
        """Draft the hands and the package around them.

        Raises:
            SpecError: a file is no URDF of a hand; names file and joint.
        """
        drafts, sources = self._hands(names)
        return PackageDraft(names, drafts, sources, spdx(self.license))

    def _hands(self, names: PluginNames) -> tuple[tuple[HandDraft, ...], dict[Side, str]]:
        if self.left is not None and self.right is not None:
            pair = self._hand(self.left, "left", names), self._hand(self.right, "right", names)
            try:
                drafts = pair_hands(*pair)
            except SpecError as error:
                files = f"{self.left.name}, {self.right.name}"
                raise SpecError(error.what, where=files, allowed=error.allowed, hint=error.hint) from None
            return drafts, {"left": _source(self.left), "right": _source(self.right)}
        path = self.urdf or self.left or self.right
        assert path is not None, "checked when the request was made"
        one = self._hand(path, "left" if self.left else "right" if self.right else self.side, names)
        side, source = one.hand.side, _source(path)
        if not self.mirror:
            return (one,), {side: source}
        image = f"mirror image of the {side} hand, from {source}"
        return mirrored_pair(one), dict.fromkeys(SIDES, image) | {side: source}

    @staticmethod
    def _hand(path: Path, side: Side | None, names: PluginNames) -> HandDraft:
        return draft_hand(path, side=side, namespace=names.namespace, name=names.name)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise EgoscaleError("is a folder, not a URDF", where=str(path))
    if not path.is_file():
        raise EgoscaleError("file not found" if not path.exists() else "is no regular file", where=str(path))


def _source(path: Path) -> str:
    """Name a file so that its figures can be traced: its name, not where it lay, and its digest."""
    return f"{printable(path.name)}, sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
