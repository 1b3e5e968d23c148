"""GitLab's limits for a pipeline.

Source of the defaults: https://docs.gitlab.com/administration/instance_limits/
"""

from collections.abc import Iterator

from pipeline import rules
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names
from pipeline.model import Pipeline
from stacks.problems import Problem

MAX_FILE_BYTES = 2 * 1024 * 1024
"""`max_yaml_size_bytes`, per file. GitLab counts the memory that the parsed file takes: see `size`."""

MAX_INCLUDES = 150


MAX_PATTERNS = 10 * rules.MAX_CHANGES
"""Patterns of one image: a limit of our own. GitLab compares each with every changed file, in each job of the image."""


def check(pipeline: Pipeline, inputs: PipelineInputs) -> Iterator[Problem]:
    """Find every limit that the pipeline as a whole exceeds, of GitLab and of the project's settings.

    `render` divides the pipeline to keep the limits of one file; `graph` checks the limits of one job.
    """
    alternatives = {names.manifest_manual(image) for image in inputs.project.images}
    largest = sum(not job.hidden and job.name not in alternatives for job in pipeline.jobs)
    if inputs.project.max_jobs is not None and largest > inputs.project.max_jobs:
        yield Problem(
            path=f"{inputs.origin}.max-jobs",
            message=f"a pipeline of {len(inputs.project.images)} images has up to {largest} jobs, "
            f"and GitLab takes {inputs.project.max_jobs}",
            hint="Raise the limit in GitLab and here, or move images to another project.",
        )
    for image in inputs.project.images:
        patterns = rules.changed_paths(inputs, image)
        if len(patterns) > MAX_PATTERNS:
            yield Problem(
                path=f"{inputs.origin_of(image)}.depends-on",
                message=f"{image.name} is made from {len(patterns)} folders and files, those of the images under it "
                f"included, and at most {MAX_PATTERNS} can be watched",
                hint="Depend on fewer images, or move several contexts into one folder.",
            )
