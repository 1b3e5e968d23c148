"""GitLab's limits for a pipeline and its files, as far as settings can exceed them.

`render` divides the pipeline to keep the limits of one file, and `rules` divides the files of an image to keep that of
one rule. The defaults of GitLab's settings: https://docs.gitlab.com/administration/instance_limits/
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from pipeline import paths
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names
from pipeline.model import Job, Pipeline
from stacks.problems import Problem

MAX_FILE_BYTES = 2 * 1024 * 1024
"""`max_yaml_size_bytes`, per file. GitLab counts the memory that the parsed file takes: see `size`."""

MAX_INCLUDES = 150
"""`ci_max_includes`, for the whole pipeline."""

MAX_TOTAL_BYTES = MAX_INCLUDES * MAX_FILE_BYTES
"""`ci_max_total_yaml_size_bytes`, for all files of a pipeline.

Source: https://gitlab.com/gitlab-org/gitlab/-/merge_requests/160826
"""

MAX_FILES = MAX_TOTAL_BYTES // MAX_FILE_BYTES
"""The most files of a pipeline. A file that includes the others may be included itself, so it counts, too."""

MAX_NEEDS = 50
"""`ci_needs_size_limit`. Source: https://docs.gitlab.com/administration/instance_limits/#needs-job-limits"""

MAX_FILE_NAME = 255
"""The longest name of a file on Linux: a runner could not check the repository out. Source: limits.h, NAME_MAX."""

MAX_NUMBER = len(f".{MAX_FILES}")
"""The longest part of a file's name that `render` adds."""

MAX_PATTERNS = 10 * paths.MAX_CHANGES
"""Patterns of one image: a limit of our own. GitLab compares each with every changed file, in each job of the image."""


def check(pipeline: Pipeline, inputs: PipelineInputs) -> Iterator[Problem]:
    """Find every limit that the pipeline exceeds, of GitLab and of the project's settings."""
    for job in pipeline.jobs:
        yield from _needs(job)
    yield from _jobs(pipeline, inputs)
    yield from _file_name(inputs)


def _needs(job: Job) -> Iterator[Problem]:
    if len(job.needs or ()) > MAX_NEEDS:
        yield Problem(
            path=f"{job.origin}.depends-on",
            message=f"{job.name} would need {len(job.needs or ())} jobs, and GitLab takes {MAX_NEEDS} at most",
            hint="Add an image in between that contains what several of them have in common.",
        )


def _jobs(pipeline: Pipeline, inputs: PipelineInputs) -> Iterator[Problem]:
    alternatives = {names.manifest_manual(image) for image in inputs.project.built}
    largest = sum(not job.hidden and job.name not in alternatives for job in pipeline.jobs)
    if inputs.project.max_jobs is not None and largest > inputs.project.max_jobs:
        yield Problem(
            path=f"{inputs.origin}.max-jobs",
            message=f"a pipeline of {len(inputs.project.built)} images has up to {largest} jobs, "
            f"and GitLab takes {inputs.project.max_jobs}",
            hint="Raise the limit in GitLab and here, or move images to another project.",
        )


def _file_name(inputs: PipelineInputs) -> Iterator[Problem]:
    name = PurePosixPath(inputs.project.pipeline_path)
    too_long = [part for part in name.parts[:-1] if len(part) > MAX_FILE_NAME]
    if too_long or len(name.name) + MAX_NUMBER > MAX_FILE_NAME:
        yield Problem(
            path=f"{inputs.origin}.pipeline-path",
            message="the name of the file or of its folder is too long to be checked out",
            hint=f"Use folders of at most {MAX_FILE_NAME} characters, and a file of {MAX_FILE_NAME - MAX_NUMBER}.",
        )


def check_images(inputs: PipelineInputs) -> Iterator[Problem]:
    """Find the images with too many dependencies. Generating their jobs would take long."""
    for image in inputs.project.built:
        patterns = paths.changed(inputs, image)
        if len(patterns) > MAX_PATTERNS:
            yield Problem(
                path=f"{inputs.origin_of(image)}.depends-on",
                message=f"{image.name} is made from {len(patterns)} folders and files, those of the images under it "
                f"included, and at most {MAX_PATTERNS} can be watched",
                hint="Depend on fewer images, or move several contexts into one folder.",
            )
