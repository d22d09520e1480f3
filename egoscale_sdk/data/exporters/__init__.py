"""Exporters: datasets of ours in the formats of others."""
