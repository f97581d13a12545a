"""Every call of asking for what a sweep found, failing in every way it can: nobody is asked twice, nobody is forgotten,
and nothing is done for what could not be read."""

import concurrent.futures

import pytest

from .harness.ledger import Table
from .harness.requests import iam_writes
from .harness.sweeps import Organisation, told
from .test_lease import killed

REPORT = "iam:GenerateCredentialReport"
FAULTS = {
    "throttled-once": {"code": "Throttling", "status": 400, "times": 1},
    "reset-before": {"reset": "before", "times": 1},
    "reset-after": {"reset": "after", "times": 1},
    "denied": {"code": "AccessDenied", "status": 403, "times": 3},
    "broken": {"code": "ServiceFailure", "status": 500, "times": 7},
}
ACTS = ["sts:AssumeRole", "iam:GetUser", "iam:ListMFADevices", "iam:GetLoginProfile", "iam:ListAccessKeys", "dynamodb:GetItem", "dynamodb:UpdateItem", "sns:Publish"]


def active(organisation):
    keys = organisation.account.iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    return [it for it in keys if it["Status"] == "Active"]


def questions(world):
    return [it for it in world.alerts() if "WAITING" in it["Subject"]]


def up_to_asking(world, **parameters):
    organisation = Organisation(world, **parameters)
    organisation.account.user("alice")
    organisation.day(0)
    [message] = organisation.sweep(7)
    world.alerts()
    return organisation, message


def brought(organisation, message, times=12):
    """As the queue brings it, until it comes through: how often it did not."""
    for number in range(times):
        answer = organisation.hygiene.invoke(message)
        if "errorType" not in answer:
            return number, answer["reports"]
        assert answer["errorType"] == "ResponseIncomplete", answer
    raise AssertionError(f"it did not come through: {answer}")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", ACTS)
def test_asking_is_tried_again_until_it_comes_through_and_asks_once(world, call, fault):
    organisation, message = up_to_asking(world)
    world.fault(call, **FAULTS[fault])
    failed, reports = brought(organisation, message)
    assert failed or fault != "denied"
    assert [it["verdict"] for it in reports] == ["Waiting"]
    organisation.hygiene.invoke(message)
    # What was published, and never answered, is published again.
    assert len(questions(world)) == (2 if (call, fault) == ("sns:Publish", "reset-after") else 1)
    assert [it for it in iam_writes(world) if it != REPORT] == [] and active(organisation)


@pytest.mark.parametrize("fault", ["denied", "broken"])
@pytest.mark.parametrize("call", ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"])
def test_what_can_not_be_counted_or_kept_is_not_released(world, call, fault):
    organisation = Organisation(world)
    organisation.account.user("alice")
    organisation.day(0)
    organisation.sweep(7)
    world.fault(call, **{**FAULTS[fault], "times": 9})
    command = {"command": "sweep-release", **organisation.of_day(7), "release": {}}
    answer = organisation.hygiene.invoke(command)
    assert answer.get("errorType") == "ResponseIncomplete" and "nobody was asked" in answer["errorMessage"], answer


@pytest.mark.parametrize("call", ["iam:ListMFADevices", "iam:GetLoginProfile", "iam:UpdateAccessKey", "iam:TagUser"])
def test_what_is_enforced_is_tried_again_and_never_done_for_what_could_not_be_read(world, call):
    organisation, message = up_to_asking(world, PlaybookModes="missing-mfa=enforce")
    world.fault(call, "AccessDenied", status=403, times=2)
    is_read = call in ("iam:ListMFADevices", "iam:GetLoginProfile")
    answer = organisation.hygiene.invoke(message)
    assert answer.get("errorType") == "ResponseIncomplete", answer
    assert not is_read or active(organisation)
    _, reports = brought(organisation, message)
    assert reports[0]["verdict"] in ("Contained", "InProgress")


@pytest.mark.seconds(10)
def test_who_is_killed_while_asking_has_asked_once_when_it_is_brought_again(world):
    organisation, message = up_to_asking(world)
    world.fault("sns:Publish", delay_ms=4_000, times=1)
    killed(world, message, lambda: [it for it in Table(world).items("request#") if "plan_hash" in it], part="hygiene")
    _, [report] = brought(organisation, message)
    assert report["verdict"] == "Waiting" and len(Table(world).items("request#")) == 1
    assert questions(world)


@pytest.mark.seconds(10)
def test_who_is_killed_half_way_through_what_is_enforced_is_taken_up(world):
    organisation, message = up_to_asking(world, PlaybookModes="missing-mfa=enforce", SettleSeconds="3")
    killed(world, message, lambda: "iam:UpdateAccessKey" in iam_writes(world), part="hygiene")
    Table(world).pass_time()
    _, [report] = brought(organisation, message)
    assert report["verdict"] == "Contained" and not active(organisation)
    assert told(organisation.day(8)[1])["alice"] == ("ended", "done")


def test_an_account_that_comes_to_two_at_once_is_asked_about_once(world):
    organisation, message = up_to_asking(world)
    other = world.responder(part="hygiene")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = [it.result() for it in [pool.submit(organisation.hygiene.invoke, message), pool.submit(other.invoke, message)]]
    assert {it["reports"][0]["request"] for it in answers} == {answers[0]["reports"][0]["request"]}
    assert len([it for it in Table(world).items("request#") if "plan_hash" in it]) == 1
