"""Runs the program. A directory of its own, since a script's directory is on the program's import path."""
