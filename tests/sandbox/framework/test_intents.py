"""Notes of resources that are being created: what finds a resource after the providers were killed."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import grpc
import pytest

from sandbox.providers.framework import Intents, Property, Provider, ResourceKind, serve
from sandbox.values import SECRET_SIGNATURE, SIGNATURE, Properties, Secret
from tests.sandbox.provider_client import PROVIDER, ProviderClient

BOX = "boxes:index/box:Box"
URNS = "urn:pulumi:test::project::"


class Box(ResourceKind[str]):
    type = BOX
    inputs: ClassVar = {"how": Property(), "key": Property()}

    def __init__(self, data: Path) -> None:
        self._data = data
        self.noted: list[dict[str, Any]] = []
        self.modes: list[int] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def candidates(self, connection: str, inputs: Properties) -> list[str]:
        return ["box"]

    def create(self, connection: str, inputs: Properties) -> tuple[str, Properties]:
        notes = Intents(self._data).left(URNS)
        self.noted = list(notes.values())
        self.modes = [path.stat().st_mode & 0o777 for path in notes]
        self.begun.set()
        match inputs["how"]:
            case "slow":
                self.go_on.wait(20)
            case "refused":
                raise ValueError("no")
            case "unanswered":
                raise TimeoutError
        return "box", inputs

    def read(self, connection: str, resource_id: str, outputs: Properties) -> Properties | None:
        return {}

    def delete(self, connection: str, resource_id: str, outputs: Properties) -> None: ...


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@pytest.fixture
def client(tmp_path: Path, box: Box) -> Iterator[ProviderClient]:
    provider = Provider(
        name="boxes",
        version="1.0.0",
        connect=lambda _: "connected",
        kinds=[box],
        is_unanswered=lambda error: isinstance(error, TimeoutError),
    )
    server, port = serve(provider, intents=Intents(tmp_path))
    client = ProviderClient(port)
    yield client
    client.close()
    server.stop(None)


def left(data: Path) -> int:
    """How many notes are left. The last one may go just after its answer."""
    deadline = time.monotonic() + 2
    while Intents(data).left(URNS) and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(Intents(data).left(URNS))


def test_a_note_is_there_while_a_resource_is_created(tmp_path: Path, box: Box, client: ProviderClient) -> None:
    client.create(BOX, "memo", {"how": "at once", "key": Secret("hunter22")})
    key = {SIGNATURE: SECRET_SIGNATURE, "plaintext": '"hunter22"'}
    urn = f"{URNS}{BOX}::memo"
    assert box.noted == [{"urn": urn, "type": BOX, "provider": PROVIDER, "inputs": {"how": "at once", "key": key}}]
    assert box.modes == [0o600], "others could read its secrets"
    assert left(tmp_path) == 0


def test_a_preview_leaves_no_note(tmp_path: Path, client: ProviderClient) -> None:
    client.create(BOX, "memo", {"how": "at once"}, preview=True)
    assert not (tmp_path / "creating").exists()


@pytest.mark.parametrize(("how", "count"), [("refused", 0), ("unanswered", 1)])
def test_a_note_stays_if_nobody_knows_whether_it_was_created(
    tmp_path: Path, client: ProviderClient, how: str, count: int
) -> None:
    with pytest.raises(grpc.RpcError):
        client.create(BOX, "memo", {"how": how})
    assert left(tmp_path) == count


def test_a_note_stays_if_the_client_has_gone(tmp_path: Path, box: Box, client: ProviderClient) -> None:
    def create() -> None:
        with pytest.raises((grpc.RpcError, ValueError)):
            client.create(BOX, "memo", {"how": "slow"})

    thread = threading.Thread(target=create)
    thread.start()
    assert box.begun.wait(10)
    client.close()
    thread.join(10)
    time.sleep(0.2)  # until the server knows
    box.go_on.set()
    assert left(tmp_path) == 1


def test_notes_of_other_stacks_are_not_this_ones(tmp_path: Path) -> None:
    Intents(tmp_path).note(urn="urn:pulumi:test2::project::a:b:C::c", type_="a:b:C", provider=PROVIDER, inputs={})
    assert Intents(tmp_path).left(URNS) == {}


def test_a_note_that_a_killed_provider_was_writing_is_none(tmp_path: Path) -> None:
    (tmp_path / "creating").mkdir()
    (tmp_path / "creating" / "half.json.new").write_text('{"urn": "urn:pul')
    Intents(tmp_path).forget_drafts()
    assert list((tmp_path / "creating").iterdir()) == [], "its secrets would stay on the disk"
