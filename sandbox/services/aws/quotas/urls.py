"""The routes of Service Quotas: moto's, with our responses."""

from moto.servicequotas.urls import url_bases

from sandbox.services.aws.quotas.responses import QuotasResponse

__all__ = ["url_bases", "url_paths"]

url_paths = {"{0}/$": QuotasResponse.dispatch}
