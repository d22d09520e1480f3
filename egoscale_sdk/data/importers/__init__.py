"""Importers: other people's recordings become episodes of ours; each is an entry of the SDK's own plugin."""
