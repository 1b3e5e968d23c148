"""`container-get-tag`: the pipeline's tags, for other jobs."""

from pipeline import rules, scripts
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names, templates
from pipeline.model import Artifacts, Job


def tag_job(inputs: PipelineInputs) -> Job:
    """The job that tells other jobs the pipeline's tags. The pipeline's own jobs compute them for themselves."""
    return Job(
        name=names.TAG,
        origin=inputs.origin,
        extends=(templates.BRIEF,),
        needs=(),
        rules=(*rules.by_trust(inputs), *rules.when_any_is_built(inputs)),
        before_script=(
            templates.image_tags(inputs),
            scripts.function("check_requested", "requested.py", *(image.name for image in inputs.project.built)),
        ),
        script=("check_requested", "image_tags tags >build.env", "cat build.env"),
        artifacts=Artifacts(dotenv="build.env"),
    )
