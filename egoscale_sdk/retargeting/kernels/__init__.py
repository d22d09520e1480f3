"""Framewise torch functions as straight-line programs: traced once, written out as C++, or run number by number."""
