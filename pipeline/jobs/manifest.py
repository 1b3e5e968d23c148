"""`build-NAME:manifest`: joins the builds of an image under the pipeline's tag."""

import shlex
from collections.abc import Iterator
from dataclasses import replace

from pipeline import rules
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names, templates
from pipeline.model import Job, Need, Reference, When
from stacks.names import dotenv_suffix
from stacks.projects import Image


def manifest_jobs(inputs: PipelineInputs, image: Image) -> Iterator[Job]:
    """The image's manifest job, which follows its builds whether they start automatically or are manual.

    An image has two manifest jobs, and a pipeline contains one of them. The builds of dependent images need the first
    job if the pipeline contains it. If it were also there when the builds are manual, the other builds would wait until
    somebody starts them. So that other jobs can need them by name, an image without dependents has both, too.
    """
    architectures = inputs.settings.architectures_of(image)
    platforms = [f"{architecture}={architecture.platform}" for architecture in architectures]
    builds = [names.build(image, architecture) for architecture in architectures]
    job = Job(
        name=names.manifest(image.name),
        origin=inputs.origin_of(image),
        extends=(templates.MANIFEST,),
        needs=tuple(Need(job=name) for name in builds),
        resource_group=names.resource_group(image),
        script=(
            shlex.join(
                [
                    *("publish_image", dotenv_suffix(image.name), image.name, inputs.repository_url(image)),
                    *platforms,
                ]
            ),
            *([shlex.join(["release_version", "move", inputs.repository_url(image)])] if image.semver else ()),
        ),
    )
    first = (*rules.by_trust(inputs), *rules.by_git_tag(inputs, image))
    requested, changed = rules.when_requested(inputs, image), rules.when_changed(inputs, image)
    yield replace(
        job,
        rules=(
            *first,
            requested,
            replace(rules.OTHERS_REQUESTED, when=When.NEVER),
            Reference(names.files(image), "rules"),
            Reference(templates.MANIFEST, "rules"),
        ),
    )
    yield Job(
        name=names.manifest_manual(image),
        origin=inputs.origin_of(image),
        extends=(job.name,),
        rules=(
            *first,
            replace(requested, when=When.NEVER),
            rules.OTHERS_REQUESTED,
            *(replace(rule, when=When.NEVER) for rule in changed),
            Reference(templates.MANIFEST_MANUAL, "rules"),
        ),
    )
