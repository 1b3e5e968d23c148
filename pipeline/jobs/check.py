"""`container-check-latest`: whether the tag that moves with the default branch is what the newest commit gives."""

from pipeline import rules, scripts
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names, templates
from pipeline.jobs.inputs import image_inputs
from pipeline.model import Job
from stacks import tags

_MINUTES_AFTER_A_BUILD = 20


def check_job(inputs: PipelineInputs) -> Job:
    """The job that ends a pipeline of the default branch. It waits for builds of older pipelines."""
    images = inputs.in_order
    return Job(
        name=names.CHECK,
        origin=inputs.origin,
        extends=(templates.BRIEF,),
        stage=names.LAST_STAGE,
        timeout=templates.minutes(max(image.timeout_minutes for image in images) + _MINUTES_AFTER_A_BUILD),
        dependencies=(),
        rules=(*rules.by_trust(inputs), *rules.when_any_is_built_on_the_default_branch(inputs)),
        before_script=(
            templates.login(inputs),
            scripts.function("check_latest", "check_latest.py", tags.LATEST),
        ),
        script=(image_inputs("check_latest", inputs, images),),
    )
