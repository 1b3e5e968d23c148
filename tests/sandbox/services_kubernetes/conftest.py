from pathlib import Path

import pytest
from flask.testing import FlaskClient

from sandbox.services.kubernetes import create_app


@pytest.fixture
def api(tmp_path: Path) -> FlaskClient:
    return create_app(tmp_path, "http://127.0.0.1:1").test_client()
