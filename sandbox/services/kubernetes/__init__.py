"""A Kubernetes API on this machine: it stores objects as the API server does, and runs nothing."""

from sandbox.services.kubernetes.app import create_app

__all__ = ["create_app"]
