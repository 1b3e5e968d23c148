"""Moto looks for a backend's routes beside its models; these are moto's own, with more operations."""

from moto.ecr.urls import url_bases

from sandbox.services.aws.ecr.responses import EcrResponse

__all__ = ["url_bases", "url_paths"]

url_paths = {"{0}/$": EcrResponse.dispatch}
