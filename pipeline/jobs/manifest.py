"""`build-NAME:manifest`: the builds of an image joined under the pipeline's tag."""

import shlex
from collections.abc import Iterator
from dataclasses import replace

from pipeline import rules
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names, templates
from pipeline.model import Job, Need, When
from stacks.settings import Image


def manifest_jobs(inputs: PipelineInputs, image: Image) -> Iterator[Job]:
    """The image's manifest job, which follows its builds whether these start by themselves or by hand.

    An image that others depend on has two such jobs, of which a pipeline holds one. The builds of the others need the
    first if it is there; were it there also when the image is built by hand, they would wait for somebody to do that.
    """
    architectures = inputs.settings.architectures_of(image)
    platforms = [f"{architecture}={architecture.platform}" for architecture in architectures]
    builds = [names.build(image, architecture) for architecture in architectures]
    job = Job(
        name=names.manifest(image.name),
        origin=inputs.origin_of(image),
        extends=(templates.MANIFEST,),
        needs=tuple(Need(job=name) for name in [names.TAG, *builds]),
        script=(shlex.join(["publish_image", image.name, inputs.repository_url(image), *platforms]),),
    )
    if not inputs.is_depended_on(image):
        yield job
        return
    by_itself = (*rules.when_changed(inputs, image), *rules.always())
    yield replace(job, rules=by_itself)
    yield replace(
        job,
        name=names.manifest_manual(image),
        rules=(*(replace(rule, when=When.NEVER) for rule in by_itself), rules.IN_EVERY_PIPELINE),
    )
