"""The ``egoscale`` command. Parsing imports nothing heavy; each command imports its work when it runs."""

from __future__ import annotations

import os
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
        print("interrupted; what was committed or saved is kept", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has no reader
        raise SystemExit(0) from None
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from None
