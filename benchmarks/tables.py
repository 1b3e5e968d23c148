"""The sections of the benchmarks. Each measures, shows its progress, and prints a table."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import machine, rendering
from benchmarks import previews as preview_sizes
from benchmarks import refusals as refused
from benchmarks.builds import chart, comparison, transfer
from benchmarks.builds import kept_state as kept
from benchmarks.builds import startup as pod_startup
from benchmarks.builds.comparison import Change, Contender, Measurement
from benchmarks.waiting import chart as waiting_chart
from benchmarks.waiting import presets

CHART = Path(__file__).parents[1] / "docs" / "benchmarks.svg"
WAITING_CHART = CHART.with_name("waiting.svg")
LABELS = {
    Contender.HAND_WRITTEN: "the hand-written job, as it was",
    Contender.CORRECTED: "the hand-written job, its cache tag corrected",
    Contender.BUILDYARD: "Buildyard",
    Contender.ONE_JOB: "both platforms in one job (QEMU)",
    Contender.NO_CACHE: "no cache",
}


def renderings(console: Console) -> None:
    """Measure rendering pipelines of many images."""
    measured = rendering.measure()
    columns = ("images", "seconds", "files", "KiB", "time per image, relative to the smallest")
    table = Table(*columns, title="Rendering a pipeline")
    for each in measured:
        ratio = (each.seconds / each.images) / (measured[0].seconds / measured[0].images)
        table.add_row(str(each.images), f"{each.seconds:.2f}", str(each.files), str(each.size // 1024), f"{ratio:.2f}")
    console.print(table)


def refusals(console: Console) -> None:
    """Measure the refusal of settings with many mistakes."""
    table = Table("settings", "images", "problems", "seconds", title="Refusing wrong settings")
    for each in refused.measure():
        table.add_row(each.name, str(each.images), str(each.problems), f"{each.seconds:.2f}")
    console.print(table)


def previews(console: Console) -> None:
    """Measure first previews of stacks with many images."""
    with console.status("Previewing ...") as status:
        measured = []
        for each in preview_sizes.measure():
            measured.append(each)
            status.update(f"Previewed {each.images} images in {each.seconds:.1f} s ...")
    table = Table(
        "images",
        "resources",
        "seconds",
        "CLI or program, MiB",
        "server, MiB",
        "time, relative to the smallest",
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
    """Measure the phases of an unchanged image's build job."""
    with console.status("Building an unchanged image ..."):
        phases = pod_startup.measure()
    table = Table("phase", title=f"An unchanged image's build job, median of {pod_startup.RUNS}")
    table.add_column("milliseconds", justify="right")
    for phase, milliseconds in phases.items():
        table.add_row(phase, f"{milliseconds:.0f}")
    console.print(table)


def waiting(console: Console) -> None:
    """Simulate days with each preset of warm capacity, and draw `docs/waiting.svg`."""
    with console.status("Simulating ..."):
        figures = list(presets.measure())
    table = Table("runners.warm", title="A model of a day: seconds until a job runs, and node hours")
    for column in (
        "median",
        "95 %",
        f"> {presets.NOTICEABLE_SECONDS} s",
        "rebuilds",
        "hours",
        "dollars",
        "state found",
    ):
        table.add_column(column, justify="right")
    for day in presets.DAYS:
        table.add_section()
        table.add_row(f"{day} ({presets.DAYS[day]})", style="bold")
        for each in (each for each in figures if each.day == day):
            table.add_row(
                each.preset,
                f"{each.median:.0f}",
                f"{each.slowest_twentieth:.0f}",
                f"{each.noticeable:.1%}",
                f"{each.rebuild:.0f}",
                f"{each.node_hours:.0f}",
                f"{each.dollars:.0f}",
                f"{each.found:.0%}",
            )
    console.print(table)
    WAITING_CHART.write_text(waiting_chart.draw(figures))
    console.print(f"Drew {WAITING_CHART}.", soft_wrap=True)


def transfers(console: Console) -> None:
    """Measure what builds push and pull with mounting, zstd and `COPY --link`."""
    measured = []
    with console.status("Building ..."):
        for each in transfer.measure():
            measured.append(each)
            console.print(f"run {each.run + 1}: {each.step}, {each.way}: {each.seconds:.1f} s")
    table = Table("", "", title=f"Fewer bytes: medians of {transfer.RUNS} runs, and ratios in one run")
    for column in ("MB pushed", "MB pulled", "seconds", "ratio of seconds"):
        table.add_column(column, justify="right")
    for step, way in transfer.combinations():
        found = transfer.figure(measured, step, way)
        table.add_row(
            str(step) if way is transfer.USUAL[way] else "",
            str(way),
            f"{found.pushed / 1e6:.1f}",
            f"{found.pulled / 1e6:.1f}",
            f"{found.seconds:.1f}",
            f"{found.ratio:.0%}",
        )
    console.print(table)


def first_builds(console: Console) -> None:
    """Compare the published build with the hand-written one while neither has a cache."""
    measured = _shown(console, comparison.measure_first_builds())
    found = comparison.figure(measured, Contender.BUILDYARD, Change.COLD)
    ratios = comparison.ratios(measured, Contender.BUILDYARD, Change.COLD)
    title = f"A first build, relative to the hand-written job's; {found.runs} pairs"
    table = Table("", "median", "least", "most", title=title)
    table.add_row("time", f"{found.ratio:.1%}", f"{min(ratios):.1%}", f"{max(ratios):.1%}")
    table.add_row("processor work", f"{found.work:.1%}", "", "")
    console.print(table)


def builds(console: Console) -> None:
    """Compare the published build with others, and draw `docs/benchmarks.svg`."""
    show_builds(console, _shown(console, comparison.measure()))


def kept_state(console: Console) -> None:
    """Compare builds of a large image with and without the state that earlier jobs left on the node."""
    measured = []
    with console.status("Building ..."):
        for each in kept.measure():
            measured.append(each)
            console.print(f"run {each.run + 1}: {each.change}, {each.place}: {each.seconds:.1f} s")
    table = Table(
        "",
        *map(str, kept.Place),
        "to the registry cache",
        "to a warm daemon",
        title="An image of 1 GB: seconds, and ratios of the kept state",
    )
    for change in kept.CHANGES:
        table.add_row(
            change,
            *(f"{kept.seconds(measured, place, change):.2f}" for place in kept.Place),
            f"{kept.ratio(measured, kept.Place.KEPT, change, kept.Place.REGISTRY):.1%}",
            f"{kept.ratio(measured, kept.Place.KEPT, change, kept.Place.DAEMON):.1%}",
        )
    console.print(table)
    console.print(machine.describe_builds())


def _shown(console: Console, measurements: Iterable[Measurement]) -> list[Measurement]:
    """Print each measurement as it arrives, and return all of them."""
    measured = []
    with console.status("Building ..."):
        for each in measurements:
            measured.append(each)
            console.print(f"run {each.run + 1}: {each.change}, {LABELS[each.contender]}: {each.seconds:.1f} s")
    return measured


def show_builds(console: Console, measured: Sequence[Measurement]) -> None:
    """Print the table of the builds, and draw the chart."""
    labels = {who: label for who, label in LABELS.items() if any(each.contender is who for each in measured)}
    figures = {
        (change, contender): comparison.figure(measured, contender, change) for change in Change for contender in labels
    }
    table = Table("", "", title="A build job: medians, and ratios to the hand-written job")
    for column in ("seconds", "ratio", "ratio of processor work", "runs"):
        table.add_column(column, justify="right")
    for change in Change:
        for contender, label in labels.items():
            figure = figures[change, contender]
            table.add_row(
                str(change) if contender is Contender.HAND_WRITTEN else "",
                label,
                f"{figure.seconds:.1f}",
                f"{figure.ratio:.1%}",
                f"{figure.work:.1%}",
                str(figure.runs),
                end_section=contender is Contender.NO_CACHE,
            )
    console.print(table)
    console.print(machine.describe_builds())
    runs = {label: figures[Change.COLD, contender].runs for contender, label in labels.items()}
    notes = (
        f"Medians; runs: {', '.join(f'{label} {count}' for label, count in runs.items())}. Each build in a new pod.",
        f"{machine.describe()}, {machine.describe_builds()}",
    )
    CHART.write_text(chart.draw(figures, labels, notes), encoding="utf-8")
