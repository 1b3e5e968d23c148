"""`container-get-tag`: computes the pipeline's image tag while the builds run."""

from pipeline import rules, scripts
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names, templates
from pipeline.model import Artifacts, Job
from stacks import tags


def tag_job(inputs: PipelineInputs) -> Job:
    """The job that passes `IMAGE_TAG` to the manifest jobs. No build waits for it."""
    project = inputs.project
    arguments = [project.default_branch, project.time_zone, tags.LATEST, tags.CACHE_PREFIX]
    return Job(
        name=names.TAG,
        origin=inputs.origin,
        extends=(templates.BRIEF,),
        needs=(),
        rules=(*rules.by_trust(inputs), rules.IN_EVERY_PIPELINE),
        script=(scripts.python("tag.py", *arguments),),
        artifacts=Artifacts(dotenv="build.env"),
    )
