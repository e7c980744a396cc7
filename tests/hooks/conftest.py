"""The service and a photo, for the hooks of real systems; `sh scripts/test_hooks.sh` installs those."""

from pathlib import Path

import pytest

from tests.hooks.running import Service, make_photo


@pytest.fixture(scope="session")
def _service(tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("service"))
    yield service
    service.stop()


@pytest.fixture
def service(_service):
    """The service, running."""
    return _service.start()


@pytest.fixture(scope="session")
def photo():
    """A JPEG, 840 x 560, with a face, a place and a thumbnail that shows the face again."""
    return make_photo()


@pytest.fixture
def files():
    """A function: {path: bytes} of all files under a folder."""

    def read(folder):
        return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}

    return read
