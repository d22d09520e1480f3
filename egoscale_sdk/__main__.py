"""``python -m egoscale_sdk`` is the ``egoscale`` command."""

from egoscale_sdk.cli import main

main()
