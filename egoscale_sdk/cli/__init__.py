"""The ``egoscale`` command. Parsing imports nothing heavy; each command imports its work when it runs."""

from __future__ import annotations

import sys

from egoscale_sdk.errors import EgoscaleError


def main(argv: list[str] | None = None) -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    from egoscale_sdk.cli.app import run

    try:
        run(sys.argv[1:] if argv is None else argv)
    except EgoscaleError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted; what was committed is kept", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(0) from None
