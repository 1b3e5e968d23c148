"""`build-NAME:ARCHITECTURE`: one image, built natively for one architecture and pushed by digest."""

import posixpath
import shlex
from collections.abc import Iterator

from pipeline.inputs import PipelineInputs
from pipeline.jobs import names, templates
from pipeline.jobs.resources import overwrites
from pipeline.model import Job, Need, Reference
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
        rules=(Reference(names.files(image), "rules"), Reference(templates.BUILD, "rules")),
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
    for name in image.depends_on:
        yield shlex.join(["use_image", name, inputs.repository_url(inputs.image(name))])
    for secret, variable in image.secrets.items():
        yield shlex.join(["use_secret", secret, variable])
    folder, file = posixpath.split(posixpath.normpath(posixpath.join(image.context, image.dockerfile)))
    where = [image.name, inputs.repository_url(image), image.context, folder or ".", file]
    lines = [shlex.join(["build_image", *where]), *(shlex.join(option) for option in _options(image))]
    yield " \\\n  ".join(lines)


def _options(image: Image) -> Iterator[list[str]]:
    if image.target:
        yield ["--opt", f"target={image.target}"]
    for name, value in image.build_args.items():
        yield ["--opt", f"build-arg:{name}={value}"]
