"""The gitlab provider: pulumi-gitlab's kinds and functions that Buildyard uses, over python-gitlab."""

from gitlab.exceptions import GitlabError

from sandbox.providers.framework import Property, Provider
from sandbox.providers.gitlab.connection import Connection, connect
from sandbox.providers.gitlab.lookups import LOOKUPS
from sandbox.providers.gitlab.repository_file import RepositoryFile
from sandbox.providers.gitlab.repository_lookups import REPOSITORY_FUNCTIONS
from sandbox.providers.gitlab.runner import ProjectRunnerEnablement, UserRunner
from sandbox.providers.gitlab.variables import GroupVariable, ProjectVariable

VERSION = "10.4.0"  # of the pulumi-gitlab whose schema this follows
_CONFIGURATION = (
    "baseUrl",
    "cacertFile",
    "clientCert",
    "clientKey",
    "configFile",
    "context",
    "earlyAuthCheck",
    "enableAutoCiSupport",
    "headers",
    "insecure",
    "retries",
    "token",
)


def provider() -> Provider[Connection]:
    return Provider(
        name="gitlab",
        version=VERSION,
        connect=connect,
        kinds=(UserRunner(), ProjectRunnerEnablement(), RepositoryFile(), ProjectVariable(), GroupVariable()),
        functions=(*LOOKUPS, *REPOSITORY_FUNCTIONS),
        configuration={name: Property() for name in _CONFIGURATION},
        is_missing=lambda error: isinstance(error, GitlabError) and error.response_code == 404,
    )
