"""Measure and print the tables: all sections, or the given ones."""

import argparse

from rich.console import Console

from benchmarks import machine, tables

_SECTIONS = {
    "rendering": tables.renderings,
    "refusals": tables.refusals,
    "previews": tables.previews,
    "waiting": tables.waiting,
    "startup": tables.startup,
    "first-builds": tables.first_builds,
    "bytes": tables.transfers,
    "builds": tables.builds,
    "kept-state": tables.kept_state,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"one of {', '.join(_SECTIONS)}")
    named = parser.parse_args().sections
    if unknown := [name for name in named if name not in _SECTIONS]:
        parser.error(f"there is no section {unknown[0]}; known are {', '.join(_SECTIONS)}")
    console = Console()
    console.print(machine.describe())
    for name in named or _SECTIONS:
        _SECTIONS[name](console)


if __name__ == "__main__":
    main()
