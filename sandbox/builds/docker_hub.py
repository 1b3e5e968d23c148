"""Docker Hub for builds: anybody may pull the sandbox's base images."""

from collections.abc import Callable

from werkzeug.wrappers import Request, Response

from sandbox.builds.distribution import Distribution

HOST = "registry-1.docker.io"
PREFIX = "docker.io"
"""The repository prefix of its images, which keeps them apart from those of ECR."""


def docker_hub(images: Distribution) -> Callable[[Request], Response]:
    """The host: it answers from the registry that stores the images."""

    def answer(request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return Response("The sandbox's Docker Hub refuses pushes.\n", 405)
        path = request.path if request.path == "/v2/" else request.path.replace("/v2/", f"/v2/{PREFIX}/", 1)
        return images.pass_on(request, path)

    return answer
