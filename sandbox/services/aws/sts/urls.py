"""The routes of STS: moto's, with our responses."""

from moto.sts.urls import url_bases
from moto.sts.urls import url_paths as moto_paths

from sandbox.services.aws.sts.responses import StsResponse

url_paths = dict.fromkeys(moto_paths, StsResponse.dispatch)

__all__ = ["url_bases", "url_paths"]
