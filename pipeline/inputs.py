"""The inputs from which a pipeline is generated."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

from stacks.projects import Image, Project
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class PipelineInputs:
    """One project of a stack, and the registry's host, which is the only input from the cloud.

    `settings` have passed `stacks.parsing.parse`: every image that another depends on exists, and no dependencies form
    a cycle. `source` is the file that people edit, such as `stacks/Pulumi.dev.yaml`.
    """

    settings: Settings
    project: Project
    registry_host: str
    source: str

    def repository_url(self, image: Image) -> str:
        """The URL that the image is pushed to and pulled from, without a tag."""
        return f"{self.registry_host}/{self.settings.repository_of(self.project, image)}"

    def image(self, name: str) -> Image:
        """The project's image with this name."""
        return self._images[name]

    def with_dependencies(self, image: Image) -> Sequence[Image]:
        """The image and all that it is built on, directly or not, each once."""
        found, waiting = self._with_dependencies, [image]
        while waiting:  # without recursion, which Python limits to chains of some 1,000 images
            each = waiting[-1]
            missing = [name for name in each.depends_on if name not in found]
            if missing:
                waiting += [self.image(name) for name in missing]
                continue
            together = {each.name: each}
            for name in each.depends_on:
                together |= found[name]
            found[waiting.pop().name] = together
        return tuple(found[image.name].values())

    @cached_property
    def _with_dependencies(self) -> dict[str, dict[str, Image]]:
        return {}

    @cached_property
    def in_order(self) -> Sequence[Image]:
        """All images that the project builds, each after those that it is built on."""
        return self._ordered(self.project.built)

    def in_order_under(self, image: Image) -> Sequence[Image]:
        """The images that it is built on, directly or not, each after those that it is built on, and at last itself."""
        return self._ordered(self.with_dependencies(image))

    def _ordered(self, images: Sequence[Image]) -> Sequence[Image]:
        known = {image.name: image for image in images}
        graph = {image.name: [name for name in image.depends_on if name in known] for image in images}
        return [known[name] for name in TopologicalSorter(graph).static_order()]

    @cached_property
    def origin(self) -> str:
        """The project's key in the settings."""
        return f"buildyard:projects[{self.settings.projects.index(self.project)}]"

    def origin_of(self, image: Image) -> str:
        """The image's key in the settings."""
        return f"{self.origin}.images[{self._positions[image.name]}]"

    @cached_property
    def _images(self) -> dict[str, Image]:
        return {image.name: image for image in self.project.images}

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {image.name: position for position, image in enumerate(self.project.images)}
