"""Each section of the benchmarks: measured with its progress shown, then printed as a table."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import machine, rendering
from benchmarks import previews as preview_sizes
from benchmarks.builds import chart, comparison
from benchmarks.builds import startup as pod_startup
from benchmarks.builds.comparison import Change, Contender

CHART = Path(__file__).parents[1] / "docs" / "benchmarks.svg"
_LABELS = {
    Contender.HAND_WRITTEN: "the hand-written job",
    Contender.BUILDYARD: "Buildyard",
    Contender.ONE_JOB: "both platforms in one job (QEMU)",
    Contender.NO_CACHE: "no cache",
}


def renderings(console: Console) -> None:
    """Pipelines of many images."""
    measured = rendering.measure()
    table = Table("images", "seconds", "files", "KiB", "time an image, to the smallest", title="Rendering a pipeline")
    for each in measured:
        ratio = (each.seconds / each.images) / (measured[0].seconds / measured[0].images)
        table.add_row(str(each.images), f"{each.seconds:.2f}", str(each.files), str(each.size // 1024), f"{ratio:.2f}")
    console.print(table)


def previews(console: Console) -> None:
    """First previews of stacks with many images."""
    with console.status("Previewing ...") as status:
        measured = []
        for each in preview_sizes.measure():
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
    console.print(table)


def startup(console: Console) -> None:
    """Where the time of an unchanged image's build goes."""
    with console.status("Building an unchanged image ..."):
        phases = pod_startup.measure()
    table = Table("phase", title=f"An unchanged image's build job, median of {pod_startup.RUNS}")
    table.add_column("milliseconds", justify="right")
    for phase, milliseconds in phases.items():
        table.add_row(phase, f"{milliseconds:.0f}")
    console.print(table)


def builds(console: Console) -> None:
    """The published build beside others; also draws `docs/benchmarks.svg`."""
    measured = []
    with console.status("Building ..."):
        for each in comparison.measure():
            measured.append(each)
            console.print(f"run {each.run + 1}: {each.change}, {_LABELS[each.contender]}: {each.seconds:.1f} s")
    figures = {
        (change, contender): comparison.figure(measured, contender, change)
        for change in Change
        for contender in Contender
    }
    table = Table(
        "", *_LABELS.values(), title=f"Seconds of a build job, median of {comparison.RUNS}, and its ratio to the first"
    )
    for change in Change:
        cells = (figures[change, contender] for contender in _LABELS)
        table.add_row(str(change), *(f"{each.seconds:.1f}  {each.ratio:.1%}" for each in cells))
    console.print(table)
    notes = (
        f"Medians of {comparison.RUNS} runs, each build in a new pod. {machine.describe()},",
        f"{machine.describe_builds()}.",
    )
    console.print(machine.describe_builds())
    CHART.write_text(chart.draw(figures, _LABELS, notes), encoding="utf-8")
