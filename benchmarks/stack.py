"""The settings of a stack with any number of images."""

from typing import Any


def stack_config(images: int) -> dict[str, Any]:
    """The `config` of a stack with one project; every tenth image is a base of the nine after it."""
    return {
        "aws:region": "ap-east-1",
        "buildyard:cluster": {"name": "ci"},
        "buildyard:registry": {"account": "123456789012"},
        "buildyard:projects": [
            {
                "path": "platform/images",
                "default-branch": "master",
                "images": [_image(number) for number in range(images)],
            }
        ],
    }


def _image(number: int) -> dict[str, Any]:
    base = number - number % 10
    image: dict[str, Any] = {"name": f"image-{number:04}", "context": f"images/image-{number:04}"}
    return image if number == base else {**image, "depends-on": [f"image-{base:04}"]}
