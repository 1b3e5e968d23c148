"""Generation of a project's pipeline from its settings."""

from pipeline import graph, limits, rules
from pipeline.inputs import PipelineInputs
from pipeline.jobs.build import build_jobs, image_template
from pipeline.jobs.check import check_job
from pipeline.jobs.files import files_template
from pipeline.jobs.manifest import manifest_jobs
from pipeline.jobs.tag import tag_job
from pipeline.jobs.templates import templates
from pipeline.model import Pipeline
from stacks.problems import SettingsError


def generate(inputs: PipelineInputs) -> Pipeline:
    """Generate the project's pipeline. Raises `SettingsError`, with every reason, if GitLab would refuse it."""
    problems = [*limits.check_images(inputs)]
    if problems:
        raise SettingsError(problems, source=inputs.source)
    images = [
        job
        for image in inputs.project.built
        for job in (
            files_template(inputs, image),
            image_template(inputs, image),
            *build_jobs(inputs, image),
            *manifest_jobs(inputs, image),
        )
    ]
    pipeline = Pipeline(
        project=inputs.project.path,
        path=inputs.project.pipeline_path,
        source=inputs.source,
        stages=(inputs.project.stage,),
        workflow=rules.workflow(inputs.project.default_branch),
        variables=rules.VARIABLES,
        is_whole=not inputs.project.has_own_jobs,
        jobs=tuple(
            rules.completed(inputs, job) for job in (*templates(inputs), tag_job(inputs), check_job(inputs), *images)
        ),
    )
    problems = [*graph.check(pipeline), *limits.check(pipeline, inputs)]
    if problems:
        raise SettingsError(problems, source=inputs.source)
    return pipeline
