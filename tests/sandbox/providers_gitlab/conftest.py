from tests.sandbox.services_gitlab.conftest import client as cloud
from tests.sandbox.services_gitlab.conftest import first_start, url

__all__ = ["cloud", "first_start", "url"]
