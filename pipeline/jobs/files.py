"""`.buildyard-files-NAME`: the files that an image is made from, and the rules that build it when one changes.

Each is written once, and the image's jobs refer to them: together they are most of the pipeline's size.
"""

from pipeline import paths, rules
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names
from pipeline.model import Job
from stacks.projects import Image


def files_template(inputs: PipelineInputs, image: Image) -> Job:
    """The template with the image's lists of patterns and its rules."""
    return Job(
        name=names.files(image),
        origin=inputs.origin_of(image),
        lists=paths.lists(paths.changed(inputs, image)),
        rules=rules.when_changed(inputs, image),
    )
