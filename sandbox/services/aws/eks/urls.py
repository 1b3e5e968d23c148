"""The routes of EKS: moto's, with our responses, and those of the added operations."""

from moto.eks.urls import url_bases
from moto.eks.urls import url_paths as moto_paths

from sandbox.services.aws.eks.auth import EksAuthResponse
from sandbox.services.aws.eks.responses import EksResponse

_ADDED = (
    "{0}/clusters/(?P<name>[^/]+)/access-entries$",
    "{0}/clusters/(?P<name>[^/]+)/access-entries/(?P<principalArn>.+)$",  # and what is below an entry
    "{0}/clusters/(?P<name>[^/]+)/addons$",
    "{0}/clusters/(?P<name>[^/]+)/addons/(?P<addonName>[^/]+)$",
    "{0}/clusters/(?P<name>[^/]+)/node-groups/(?P<nodegroupName>[^/]+)/update-version$",
    "{0}/clusters/(?P<name>[^/]+)/pod-identity-associations$",
    "{0}/clusters/(?P<name>[^/]+)/pod-identity-associations/(?P<associationId>[^/]+)$",
    "{0}/clusters/(?P<name>[^/]+)/updates$",
    "{0}/clusters/(?P<name>[^/]+)/updates/(?P<updateId>[^/]+)$",
)

url_paths = {
    **dict.fromkeys((*moto_paths, *_ADDED), EksResponse.dispatch),
    "{0}/clusters/(?P<name>[^/]+)/assume-role-for-pod-identity$": EksAuthResponse.dispatch,
}

__all__ = ["url_bases", "url_paths"]
