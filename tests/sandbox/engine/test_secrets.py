"""Secrets: encrypted in the state by Pulumi's scheme, and in clear text nowhere."""

import io
import json
import stat
from pathlib import Path

import pytest
from rich.console import Console

from sandbox.engine import operation
from sandbox.engine.display import Display, print_details, print_outputs
from sandbox.engine.encryption import Crypter, read_passphrase
from sandbox.engine.errors import EngineError
from sandbox.values import Secret
from tests.sandbox.engine.bench import PASSPHRASE, Bench

PROGRAM = """
    a = Thing("a", secret=pulumi.Output.secret("hunter2"), nested={"deep": [pulumi.Output.secret("hunter3")]})
    b = Thing("b", Options(additional_secret_outputs=["arn"]), size=1)
    pulumi.export("token", a.secret)
    pulumi.export("plain", "seen")
    pulumi.export("arn", b.arn)
"""


def test_the_state_holds_secrets_encrypted_only(bench: Bench) -> None:
    bench.deploy(PROGRAM)
    text = bench.state_text()
    for secret in ("hunter2", "hunter3", PASSPHRASE):
        assert secret not in text
    assert isinstance(bench.resources()["b"].outputs["arn"], Secret), "an additional secret output is encrypted too"
    assert (stack := bench.stack()).outputs(stack.file)["token"] == Secret("hunter2"), "and comes back whole"
    assert bench.provider.objects[bench.resources()["a"].id]["secret"] == "hunter2", "the cloud gets the plain value"


def test_an_unchanged_secret_keeps_its_ciphertext(bench: Bench) -> None:
    bench.deploy(PROGRAM)
    resources, _ = bench.stack().file.load()
    file = bench.stack().file
    loaded, _ = file.load()
    assert file.same(resources, loaded)
    bench.program(PROGRAM + '\n    Thing("c")\n')
    before = _ciphertexts(bench)
    assert bench.update().ok
    assert _ciphertexts(bench) == before, "a state under version control must not churn"


def test_no_output_for_people_shows_a_secret(bench: Bench) -> None:
    bench.program(PROGRAM)
    console = Console(file=io.StringIO(), width=200)
    with Display(console, "Update") as display:
        report = operation.update(bench.stack(), display)
    print_details(console, report)
    print_outputs(console, report.outputs)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "hunter" not in shown
    assert "[secret]" in shown
    assert "seen" in shown


def test_a_wrong_passphrase_is_told_and_changes_nothing(bench: Bench) -> None:
    bench.deploy(PROGRAM)
    before = bench.state_text()
    bench.environment["PULUMI_CONFIG_PASSPHRASE"] = "wrong"
    with pytest.raises(EngineError, match="passphrase does not open"):
        bench.update()
    assert bench.state_text() == before


def test_a_passphrase_is_made_once_at_random_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "passphrase"
    first = read_passphrase({}, path)
    assert len(first) >= 32
    assert read_passphrase({}, path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_passphrase({"PULUMI_CONFIG_PASSPHRASE": ""}, path) == "", "an empty one set by the user counts"
    named = tmp_path / "named"
    named.write_text("from a file\n")
    assert read_passphrase({"PULUMI_CONFIG_PASSPHRASE_FILE": str(named)}, path) == "from a file"


def test_what_pulumi_itself_sealed_is_opened() -> None:
    # Written by `pulumi config set --secret` (v3.260) with this passphrase.
    crypter = Crypter(PASSPHRASE, "v1:4S+fDXfdTPQ=:v1:xWm19gdjqoJg4n50:xEUkyWBa6FAimB0hXgneI12Dav8dDQ==")
    sealed = "v1:/i3kQjJWobyC3E1m:+r4FvI+xc44XN+JkdyFZWrZ6+Hf36wTf1FI44XFQO30="
    assert crypter.decrypt(sealed) == "sealed-by-pulumi"
    assert crypter.encrypt("sealed-by-pulumi") != sealed, "a nonce is never used twice"


def test_damaged_ciphertext_is_an_error_and_not_a_traceback() -> None:
    crypter = Crypter.create("p")
    for damaged in ("v2:a:b", "v1:!!:??", crypter.encrypt("x")[:-8] + "AAAAAA=="):
        with pytest.raises(EngineError):
            crypter.decrypt(damaged)


def _ciphertexts(bench: Bench) -> list[str]:
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if "ciphertext" in value:
                found.append(value["ciphertext"])
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(json.loads(bench.state_text()))
    return sorted(found)
