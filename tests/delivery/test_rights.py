"""Tests of the comparison of rights, as sets with wildcards."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.rights import Grant, UnreadableError, gained, iam_grants, kubernetes_grants

PARTS = st.sampled_from(["a", "b", "a:*", "a:b", "*", "a:?", "[a]"])
GRANTS = st.lists(st.builds(Grant, action=PARTS, target=PARTS, condition=st.sampled_from(["", "c", "d"])), max_size=6)


@given(grants=GRANTS)
def test_what_was_allowed_is_not_gained(grants: list[Grant]) -> None:
    assert gained(grants, grants) == []


@given(old=GRANTS, new=GRANTS)
def test_all_that_is_not_covered_is_gained(old: list[Grant], new: list[Grant]) -> None:
    found = gained(old, new)
    for grant in new:
        covered = any(
            other.covers(grant)
            or ((other.action, other.target) == (grant.action, grant.target) and not other.condition)
            for other in old
        )
        assert covered != (grant in found)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (Grant(action="*", target="*"), Grant(action="s3:Get*", target="arn:b")),
        (Grant(action="ecr:Put*", target="arn:?"), Grant(action="ECR:PutImage", target="arn:x")),
        (Grant(action="a", target="t"), Grant(action="a", target="t", condition="only at night")),
    ],
)
def test_the_narrower_grant_is_none_and_the_wider_one_is(wide: Grant, narrow: Grant) -> None:
    assert gained([wide], [narrow]) == []
    assert gained([narrow], [wide]) == [wide]


def test_a_statement_of_exceptions_compares_as_a_whole() -> None:
    def document(*actions: str) -> str:
        return json.dumps({"Statement": {"Effect": "Allow", "NotAction": list(actions), "Resource": "*"}})

    assert gained(iam_grants(document("iam:*")), iam_grants(document("iam:*"))) == []
    [wider] = gained(iam_grants(document("iam:*", "s3:*")), iam_grants(document("iam:*")))
    assert wider.action == "all but iam:*"


@pytest.mark.parametrize(
    "document", ["{", "[]", '{"Statement": 7}', '{"Statement": [[]]}', '{"Version": "2012-10-17"}']
)
def test_what_is_no_policy_is_refused(document: str) -> None:
    with pytest.raises(UnreadableError):
        iam_grants(document)


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(UnreadableError):
        kubernetes_grants(["pods"])  # type: ignore[list-item]


def test_a_thousand_images_compare_in_moments() -> None:
    def document(images: int) -> str:
        resources = [f"arn:aws:ecr:eu-central-1:123456789012:repository/image-{index}" for index in range(images)]
        actions = [f"ecr:Action{index}" for index in range(12)] + ["ecr:Describe*"]
        return json.dumps({"Statement": [{"Effect": "Allow", "Action": actions, "Resource": resources}]})

    start = time.process_time()
    assert len(gained(iam_grants(document(1000)), iam_grants(document(1001)))) == 13
    assert time.process_time() - start < 5
