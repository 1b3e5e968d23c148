"""Measure and print the tables."""

import os
import platform

from rich.console import Console
from rich.table import Table

from benchmarks import previews, rendering


def main() -> None:
    console = Console()
    console.print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    console.print(_renderings())
    console.print(_previews(console))


def _renderings() -> Table:
    measured = rendering.measure()
    table = Table("images", "seconds", "files", "KiB", "time an image, to the smallest", title="Rendering a pipeline")
    for each in measured:
        ratio = (each.seconds / each.images) / (measured[0].seconds / measured[0].images)
        table.add_row(str(each.images), f"{each.seconds:.2f}", str(each.files), str(each.size // 1024), f"{ratio:.2f}")
    return table


def _previews(console: Console) -> Table:
    with console.status("Previewing ...") as status:
        measured = []
        for each in previews.measure():
            measured.append(each)
            status.update(f"Previewed {each.images} images in {each.seconds:.1f} s ...")
    table = Table(
        "images",
        "resources",
        "seconds",
        "engine or program, MiB",
        "server, MiB",
        "time, to the smallest",
        title="A first preview",
    )
    for each in measured:
        table.add_row(
            str(each.images),
            str(each.resources),
            f"{each.seconds:.1f}",
            str(each.process_mib),
            str(each.server_mib),
            f"{each.seconds / measured[0].seconds:.1f}",
        )
    return table


if __name__ == "__main__":
    main()
