"""An API of AWS under its own host, for builds: the sandbox's AWS answers."""

from collections.abc import Callable

import requests
from werkzeug.wrappers import Request, Response


def aws_api(aws: str) -> Callable[[Request], Response]:
    """A handler that passes requests to the AWS at this URL."""

    def answer(request: Request) -> Response:
        passed = requests.request(
            request.method,
            aws + request.full_path.rstrip("?"),
            data=request.get_data(),
            headers={name: value for name, value in request.headers if name.lower() != "host"},
            timeout=60,
        )
        return Response(passed.content, passed.status_code, content_type=passed.headers.get("Content-Type"))

    return answer
