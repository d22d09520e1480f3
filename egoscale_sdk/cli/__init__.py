"""The ``egoscale`` command. Parsing imports nothing heavy; each command imports its work when it runs."""

from __future__ import annotations

import os
import sys

from egoscale_sdk.errors import EgoscaleError, is_users


def main(argv: list[str] | None = None) -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: threads that wait spinning take others' cores
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
        if not is_users(error):
            raise
        where, kept = error.filename, "" if error.filename else "; what was committed or saved is kept"
        print(f"error: {f'{where}: ' if where else ''}{error.strerror}{kept}", file=sys.stderr)
        raise SystemExit(2) from None
