"""Where the sandbox keeps its data, and where its running parts are: all that a client of it needs to know."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sandbox.services.document import write_private

DIRECTORY_VARIABLE = "BUILDYARD_SANDBOX_DIR"
REGION = "ap-east-1"  # of the seeded cluster
CREDENTIALS = "sandbox"  # the emulated AWS takes any; these are recognisable and open no real account

_FILE = "endpoints.json"


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """A running sandbox: its process, the base URLs of its services, and the ports of its Pulumi providers.

    `code` identifies the code that the process runs.
    """

    pid: int
    aws: str
    gitlab: str
    kubernetes: str
    providers: Mapping[str, int]
    gitlab_token: str = field(repr=False)
    code: str = ""
    proxy: str = ""
    """The HTTPS proxy that leads to the addresses of EKS clusters; processes of older code have none."""
    session: Mapping[str, str] = field(default_factory=dict, repr=False)
    """AWS's variables with the credentials of a role; empty for an administrator."""

    def environment(self) -> dict[str, str]:
        """The variables that lead any client here, and nowhere else: tools of AWS and GitLab, and Pulumi's engine."""
        return {
            "AWS_ENDPOINT_URL": self.aws,
            "AWS_ACCESS_KEY_ID": CREDENTIALS,
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,  # boto3 and the AWS CLI read only this one
            **self.session,
            "GITLAB_BASE_URL": f"{self.gitlab}/api/v4/",
            "GITLAB_TOKEN": self.gitlab_token,
            **dict.fromkeys(("HTTPS_PROXY", "https_proxy"), self.proxy),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
            "PULUMI_DEBUG_PROVIDERS": ",".join(f"{name}:{port}" for name, port in self.providers.items()),
        }


def data_directory() -> Path:
    """Where the sandbox keeps everything: `.sandbox` in the repository, or what `BUILDYARD_SANDBOX_DIR` names."""
    named = os.environ.get(DIRECTORY_VARIABLE)
    return Path(named).resolve() if named else Path(__file__).resolve().parent.parent / ".sandbox"


def read_endpoints(directory: Path) -> Endpoints | None:
    """The endpoints as the sandbox's process described them; None if it did not, or the file is damaged.

    The process may have died since: see `server.running`.
    """
    try:
        return Endpoints(**json.loads((directory / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_endpoints(directory: Path, endpoints: Endpoints) -> None:
    """Write the description in one step, readable by its owner alone: it has GitLab's token."""
    write_private(directory / _FILE, json.dumps(asdict(endpoints), indent=2) + "\n")


def forget_endpoints(directory: Path) -> None:
    (directory / _FILE).unlink(missing_ok=True)
