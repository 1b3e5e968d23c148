"""`build-NAME:ARCHITECTURE`: one image, built natively for one architecture and pushed by digest."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace

from pipeline import rules
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names, templates
from pipeline.jobs.inputs import build_options, dockerfile_of, image_inputs
from pipeline.jobs.resources import overwrites
from pipeline.model import Artifacts, Job, Need, Reference, When
from stacks.projects import Command, Image


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
            *rules.by_git_tag(inputs, image),
            rules.when_requested(inputs, image),
            replace(rules.OTHERS_REQUESTED, when=When.MANUAL, allow_failure=True),
            Reference(names.files(image), "rules"),
            Reference(templates.BUILD, "rules"),
        ),
        script=("\n".join(_script(inputs, image)),),
        artifacts=Artifacts(codequality=templates.FINDINGS) if image.lint else None,
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
    if image.semver:
        yield shlex.join(["release_version", "check"])
    if given := [*image.depends_on, *image.contexts]:
        yield shlex.join(["check_stages", image.dockerfile_path, *given])
    if image.depends_on and inputs.settings.registry.blob_mounting:
        # The words of the option contain no spaces.
        yield f'mount_layers "$(own_repository {shlex.quote(inputs.repository_url(image))})" $named_contexts'
    built = [image.name, inputs.repository_url(image)]
    lines = [shlex.join(["build_image", *built, image.context, *dockerfile_of(image)]), *build_options(image)]
    yield " \\\n  ".join(lines)
    if image.lint:
        stage = [image.target] if image.target else []
        yield shlex.join(["lint_dockerfile", image.dockerfile_path, templates.FINDINGS, *stage])
    yield shlex.join(["report_metrics", *built])
    if image.test:
        yield shlex.join(["test_image", *built, _exec_form(image.test)])


def _exec_form(command: Command) -> str:
    """The arguments of a RUN instruction, on one line.

    Source: https://docs.docker.com/reference/dockerfile/#exec-form
    """
    words = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
    return json.dumps(words).replace("<", "\\u003c")  # `<<` could begin a here-document
