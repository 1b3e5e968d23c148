"""Checks of the job graph: GitLab refuses the whole file if one job is wrong. `limits` checks its numbers."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from pipeline.jobs import names
from pipeline.model import Job, Pipeline, Reference, Rule
from stacks.problems import Problem, nearest


def check(pipeline: Pipeline) -> Iterator[Problem]:
    """Find every error in the graph. Each names the setting that the job comes from."""
    jobs = {job.name: job for job in pipeline.jobs}
    for name, count in Counter(job.name for job in pipeline.jobs).items():
        if count > 1:
            yield Problem(
                path=jobs[name].origin,
                message=f"there are {count} jobs called {name}",
                hint="Give each image its own name.",
            )
    for job in pipeline.jobs:
        yield from _job(job, jobs, pipeline.stages)
    yield from _cycle(pipeline, jobs)


def _job(job: Job, jobs: Mapping[str, Job], stages: Sequence[str]) -> Iterator[Problem]:
    for need in job.needs or ():
        if need.job not in jobs or jobs[need.job].hidden:
            yield Problem(
                path=job.origin,
                message=f"{job.name} needs {need.job}, which does not exist",
                hint=nearest(need.job, list(jobs)),
            )
    lines = (*job.rules, *job.before_script, *job.script)
    changes = (rule.changes.paths for rule in job.rules if isinstance(rule, Rule) and rule.changes)
    references = [each for each in (*lines, *changes) if isinstance(each, Reference)]
    for template in (*job.extends, *dict.fromkeys(reference.job for reference in references)):
        if template not in jobs:
            yield Problem(
                path=job.origin,
                message=f"{job.name} extends {template}, which does not exist",
                hint=nearest(template, list(jobs)),
            )
    if job.stage and job.stage not in (*stages, names.LAST_STAGE):
        yield Problem(
            path=job.origin,
            message=f"{job.name} is in the stage {job.stage}, which does not exist",
            hint=nearest(job.stage, stages),
        )


def _cycle(pipeline: Pipeline, jobs: Mapping[str, Job]) -> Iterator[Problem]:
    # A job inherits the needs of the templates that it extends, so both kinds of edge count.
    graph = {job.name: [*job.extends, *(need.job for need in job.needs or ())] for job in pipeline.jobs}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        yield Problem(
            path=jobs[cycle[0]].origin,
            message=f"jobs wait for each other in a cycle: {' -> '.join(reversed(cycle))}",
            hint="Remove one of these images from the other's depends-on.",
        )
