"""Moto looks for a backend's routes beside its models; these are moto's own."""

from moto.iam.urls import url_bases, url_paths

__all__ = ["url_bases", "url_paths"]
