"""Tests that the benchmark of builds compares the right builds. No test checks times."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks import tables
from benchmarks.builds import chart, environment, kept_state, startup
from benchmarks.builds.comparison import Change, Contender, Measurement, figure
from benchmarks.builds.kept_state import DAEMON_JOB, Place
from benchmarks.builds.large_context import LargeContext
from sandbox.builds import tools


def _measured(contender: Contender, *seconds: float) -> list[Measurement]:
    return [
        Measurement(run=run, contender=contender, change=Change.COLD, seconds=each, processor_seconds=each / 2)
        for run, each in enumerate(seconds)
    ]


def test_a_ratio_is_of_builds_of_one_run() -> None:
    measured = [*_measured(Contender.HAND_WRITTEN, 10, 40, 10), *_measured(Contender.BUILDYARD, 5, 20, 6)]
    found = figure(measured, Contender.BUILDYARD, Change.COLD)
    assert (found.seconds, found.ratio, found.work) == (6, 0.5, 0.5), (
        "a contender would look slow because the machine was slow for a time"
    )


def test_a_contender_may_leave_out_runs() -> None:
    measured = [*_measured(Contender.HAND_WRITTEN, 10, 20), *_measured(Contender.ONE_JOB, 30)]
    found = figure(measured, Contender.ONE_JOB, Change.COLD)
    assert (found.ratio, found.runs) == (3, 1)


def test_the_published_job_is_measured_as_it_is_published() -> None:
    pipeline = environment.published_pipeline(environment.stack_config(["app"]), "registry.example.com")
    jobs = {job.name: job for job in pipeline.jobs}
    job = environment.resolve(jobs[f"build-app:{tools.machine()}"], jobs)
    assert "build_image app registry.example.com/platform/images/app" in str(job.script[-1])
    assert any("buildctl-daemonless.sh build" in str(line) for line in job.before_script)
    assert job.variables["BUILDYARD_ARCHITECTURE"] == str(tools.machine())
    assert "BUILDKITD_FLAGS" in job.variables


def test_every_other_contender_has_a_job_that_somebody_wrote() -> None:
    written = {path.stem for path in (Path(environment.__file__).parent / "jobs").iterdir()}
    assert written == {*map(str, Contender), DAEMON_JOB} - {Contender.BUILDYARD.value}


def test_a_ratio_of_kept_state_is_of_builds_of_one_run() -> None:
    seconds = {Place.REGISTRY: (10, 40, 10), Place.KEPT: (5, 20, 6), Place.DAEMON: (1, 1, 1)}
    measured = [
        kept_state.Measurement(run=run, place=place, change="nothing changed", seconds=each)
        for place, values in seconds.items()
        for run, each in enumerate(values)
    ]
    assert kept_state.seconds(measured, Place.KEPT, "nothing changed") == 6
    assert kept_state.ratio(measured, Place.KEPT, "nothing changed", to=Place.REGISTRY) == 0.5


def test_a_large_image_is_built_from_what_its_dockerfile_names(tmp_path: Path) -> None:
    LargeContext(tmp_path).write()
    lines = [line.split() for line in (tmp_path / "Dockerfile").read_text().splitlines()]
    copied = [line[1:-1] for line in lines if line[:1] == ["COPY"] and not line[1].startswith("--from")]
    assert {name for names in copied for name in names} == {each.name for each in tmp_path.iterdir()} - {"Dockerfile"}


def test_each_change_touches_only_what_it_is_named_after(tmp_path: Path) -> None:
    context = LargeContext(tmp_path)
    context.write()

    def files() -> dict[str, str]:
        return {path.name: path.read_text() for path in tmp_path.iterdir()}

    for change, name in (
        (context.change_source, "source"),
        (context.change_program, "program"),
        (context.change_dependencies, "packages.lock"),
    ):
        before = files()
        change()
        assert {each for each, text in files().items() if before[each] != text} == {name}


def test_a_changed_program_shares_nothing_with_the_one_before(tmp_path: Path) -> None:
    context = LargeContext(tmp_path)
    context.write()
    first = (tmp_path / "program").read_text().split()
    context.change_program()
    second = (tmp_path / "program").read_text().split()
    assert len(first) == len(second)
    assert not set(first) & set(second)


@pytest.mark.parametrize("note", ["plain", "<b> & 'c'"])
def test_the_chart_is_an_image_with_every_figure(note: str) -> None:
    measured = [
        Measurement(run=0, contender=contender, change=change, seconds=1 + number, processor_seconds=1)
        for number, contender in enumerate(Contender)
        for change in Change
    ]
    figures = {(change, contender): figure(measured, contender, change) for change in Change for contender in Contender}
    drawn = ElementTree.fromstring(  # noqa: S314 - ours
        chart.draw(figures, tables.LABELS, [note])
    )
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("2.0 s · 200.0%, work 100.0%") == len(Change)
    assert note in texts
    width = int(drawn.attrib["viewBox"].split()[2])
    for element in drawn.iter("{http://www.w3.org/2000/svg}text"):
        room = width - float(element.attrib["x"])
        assert 6 * len(element.text or "") < room, f"{element.text} would be cut off"


def test_what_buildkit_says_of_its_steps_is_read() -> None:
    def vertex(name: str, **times: str) -> str:
        return json.dumps({"vertexes": [{"name": name, **times}]})

    said = "\n".join(
        [
            "FROM base is registry.example.com/base:latest",
            vertex("[internal] load metadata for docker.io/library/busybox:1.37", started="2026-01-02T03:04:05Z"),
            vertex(
                "[internal] load metadata for docker.io/library/busybox:1.37",
                started="2026-01-02T03:04:05Z",
                completed="2026-01-02T03:04:05.2Z",
            ),
            vertex(
                "importing cache manifest from registry.example.com/app:buildcache-master",
                started="2026-01-02T03:59:59.999999999Z",
                completed="2026-01-02T04:00:00.049999999Z",
            ),
            json.dumps({"statuses": [{"id": "exporting to image"}]}),
        ]
    )
    assert [round(each) for each in startup.steps(said).values()] == [200, 50, 0, 0]
