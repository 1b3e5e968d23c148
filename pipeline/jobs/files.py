"""`.buildyard-files-NAME`: the files that an image is made from, written once and read by the rules of all its jobs."""

from pipeline import rules
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names
from pipeline.model import Job
from stacks.settings import Image


def files_template(inputs: PipelineInputs, image: Image) -> Job:
    """The template with the lists of the image's patterns."""
    return Job(name=names.files(image), origin=inputs.origin_of(image), lists=rules.path_lists(inputs, image))
