"""The conformance kit: what every embodiment plugin must hold, as checks that run."""
