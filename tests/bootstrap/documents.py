"""The policies of the roles of a stack, as the bootstrap project makes them."""

from collections.abc import Sequence

from bootstrap import role_documents
from bootstrap.targets import Account, Purpose, Stack, State
from components.policy_documents import Document
from stacks.config import read_file

ACCOUNT = Account(id="123456789012", partition="aws")
STATE = State(
    bucket="example-buildyard-state",
    key="arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000000",
)


def stack(name: str = "prod", *, others: Sequence[str] = ()) -> Stack:
    """A stack with a file in stacks/."""
    return Stack(name=name, account=ACCOUNT, region="eu-central-1", settings=read_file(name), others=others)


def documents(purpose: Purpose, of: Stack | None = None) -> list[Document]:
    """The policies of one of its roles."""
    target = of or stack()
    by_purpose = {
        Purpose.PREVIEW: lambda: role_documents.preview(target, STATE),
        Purpose.DEPLOY: lambda: role_documents.deploy(target, STATE),
        Purpose.BUILDER: lambda: role_documents.builder(target),
    }
    return list(by_purpose[purpose]().values())
