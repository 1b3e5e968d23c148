"""Docker Hub as a build meets it: the base images that the sandbox has, for everybody to pull."""

from collections.abc import Callable

from werkzeug.wrappers import Request, Response

from sandbox.builds.distribution import Distribution

HOST = "registry-1.docker.io"
PREFIX = "docker.io"
"""Under which the registry keeps its images, apart from those that are pushed to ECR."""


def docker_hub(images: Distribution) -> Callable[[Request], Response]:
    """Docker Hub in front of the registry that keeps its images."""

    def answer(request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return Response("The sandbox's Docker Hub takes no images.\n", 405)
        path = request.path if request.path == "/v2/" else request.path.replace("/v2/", f"/v2/{PREFIX}/", 1)
        return images.pass_on(request, path)

    return answer
