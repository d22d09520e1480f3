"""From a URDF to an installable plugin: what can be read off the file, what is guessed, and the package around it."""
