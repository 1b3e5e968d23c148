"""The facts of an image by which scripts compare a published image with a commit."""

import hashlib
import json
import posixpath
import shlex
from collections.abc import Iterator, Sequence

from pipeline.inputs import PipelineInputs
from pipeline.jobs import names
from stacks.projects import IMAGE_CONTEXT, FromVariable, Image


def image_inputs(function: str, inputs: PipelineInputs, images: Sequence[Image]) -> str:
    """The call of a shell function with these images, as in `scripts/inputs.py`."""
    return " \\\n  ".join([function, *(shlex.quote(json.dumps(_facts(inputs, image))) for image in images)])


def build_options(image: Image) -> Iterator[str]:
    """BuildKit's options that the settings of an image decide, each as words of the shell."""
    if image.target:
        yield shlex.join(["--opt", f"target={image.target}"])
    for name, source in image.contexts.items():
        if source.startswith(IMAGE_CONTEXT):
            yield shlex.join(["--opt", f"context:{name}={source}"])
        else:
            # The prefix keeps the name apart from `context` and `dockerfile`, which name the image's own folders.
            yield shlex.join(["--local", f"named-{name}={source}", "--opt", f"context:{name}=local:named-{name}"])
    for name, value in image.build_args.items():
        if isinstance(value, FromVariable):
            # Two words if the variable is set, else none. The shell does not evaluate the value.
            variable = value.variable
            yield f'${{{variable}+--opt}} ${{{variable}+"build-arg:{name}=${variable}"}}'
        else:
            yield shlex.join(["--opt", f"build-arg:{name}={value}"])


def dockerfile_of(image: Image) -> tuple[str, str]:
    """The folder and the name of the image's Dockerfile."""
    folder, file = posixpath.split(image.dockerfile_path)
    return folder or ".", file


def _facts(inputs: PipelineInputs, image: Image) -> dict[str, object]:
    options = [image.context, *dockerfile_of(image), *build_options(image)]
    architectures = inputs.settings.architectures_of(image)
    return {
        "name": image.name,
        "repository": inputs.repository_url(image),
        "options": hashlib.sha256(json.dumps(options).encode()).hexdigest()[:12],
        "paths": list(dict.fromkeys([*(() if image.watch else image.folders), image.dockerfile_path])),
        **({"globs": list(image.watch)} if image.watch else {}),
        "on": list(image.depends_on),
        "minutes": image.timeout_minutes,
        "jobs": [names.build(image, architecture) for architecture in architectures],
    }
