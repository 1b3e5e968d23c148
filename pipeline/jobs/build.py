"""`build-NAME:ARCHITECTURE`: one image, built natively for one architecture and pushed by digest."""

import shlex
from collections.abc import Iterator
from dataclasses import replace

from pipeline import rules
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names, templates
from pipeline.jobs.inputs import build_options, dockerfile_of, image_inputs
from pipeline.jobs.resources import overwrites
from pipeline.model import Job, Need, Reference, When
from stacks.settings import Image


def image_template(inputs: PipelineInputs, image: Image) -> Job:
    """The template of the image's build jobs: everything except the architecture."""
    needs = tuple(Need(job=names.manifest(name), optional=True) for name in image.depends_on)
    timeout = templates.minutes(image.timeout_minutes)
    return Job(
        name=names.template(image),
        origin=inputs.origin_of(image),
        extends=(templates.BUILD,),
        variables=overwrites(inputs.settings.resources_of(image), inputs.settings.runners.defaults),
        timeout=timeout if timeout != templates.BUILD_TIMEOUT else None,
        needs=needs or None,
        rules=(
            *rules.by_trust(inputs),
            rules.when_requested(inputs, image),
            replace(rules.OTHERS_REQUESTED, when=When.MANUAL, allow_failure=True),
            Reference(names.files(image), "rules"),
            Reference(templates.BUILD, "rules"),
        ),
        script=("\n".join(_script(inputs, image)),),
    )


def build_jobs(inputs: PipelineInputs, image: Image) -> Iterator[Job]:
    """One build job per architecture."""
    for architecture in inputs.settings.architectures_of(image):
        yield Job(
            name=names.build(image, architecture),
            origin=inputs.origin_of(image),
            extends=(names.template(image), templates.architecture_name(architecture)),
        )


def _script(inputs: PipelineInputs, image: Image) -> Iterator[str]:
    """Calls of the functions in `scripts/build.sh`, quoted for the shell. GitLab expands no variables in a script."""
    yield image_inputs("use_images", inputs, inputs.in_order_under(image))
    for secret, variable in image.secrets.items():
        yield shlex.join(["use_secret", secret, variable])
    where = [image.name, inputs.repository_url(image), image.context, *dockerfile_of(image)]
    lines = [shlex.join(["build_image", *where]), *(shlex.join(option) for option in build_options(image))]
    yield " \\\n  ".join(lines)
