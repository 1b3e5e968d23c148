"""A resource as the engine manages it, with assertions after every step."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.values import UNKNOWN, Properties
from tests.sandbox.provider_client import ProviderClient, details


@dataclass
class Managed:
    """One resource, as the engine keeps it in its state."""

    client: ProviderClient
    token: str
    name: str
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)

    def check(self, inputs: Properties) -> Properties:
        checked, failures = self.client.check(self.token, self.name, inputs, self.inputs)
        assert not failures
        return checked

    def create(self, inputs: Properties) -> "Managed":
        self.inputs = self.check(inputs)
        predicted = self.client.create(self.token, self.name, self.inputs, preview=True)[1]
        self.id, self.outputs = self.client.create(self.token, self.name, self.inputs)
        for key, value in predicted.items():
            assert came_true(value, self.outputs.get(key)), f"the preview promised another {key}"
        self.assert_settled(inputs)
        return self

    def diff(self, inputs: Properties) -> dict[str, str]:
        return details(self.client.diff(self.token, self.name, self.inputs, self.check(inputs), outputs=self.outputs))

    def update(self, inputs: Properties) -> dict[str, str]:
        """Update as the engine does; the diff's details."""
        found = self.diff(inputs)
        checked = self.check(inputs)
        self.outputs = self.client.update(
            self.token, self.name, self.id, outputs=self.outputs, old_inputs=self.inputs, inputs=checked
        )
        self.inputs = checked
        self.assert_settled(inputs)
        return found

    def refresh(self) -> bool:
        """Take over the live state; return whether the resource still exists."""
        live_id, self.outputs, self.inputs = self.client.read(self.token, self.name, self.id, self.outputs, self.inputs)
        return live_id != ""

    def delete(self) -> None:
        self.client.delete(self.token, self.name, self.id, self.outputs)
        outputs, inputs = self.outputs, self.inputs
        assert not self.refresh()
        self.outputs, self.inputs = outputs, inputs
        self.client.delete(self.token, self.name, self.id, self.outputs)

    def assert_settled(self, inputs: Properties) -> None:
        """Assert that nothing is left to do, neither now nor after a refresh."""
        assert self.diff(inputs) == {}
        outputs = self.outputs
        assert self.refresh()
        assert self.outputs == outputs, "a refresh found other outputs than were recorded"
        assert self.diff(inputs) == {}, "a second update would not be without changes"


def came_true(predicted: Any, actual: Any) -> bool:
    """Whether a preview's value came true; an unknown one always did."""
    if isinstance(predicted, dict) and isinstance(actual, dict):
        return all(came_true(value, actual.get(key)) for key, value in predicted.items())
    if isinstance(predicted, list) and isinstance(actual, list):
        return len(predicted) == len(actual) and all(map(came_true, predicted, actual))
    return predicted is UNKNOWN or bool(predicted == actual)
