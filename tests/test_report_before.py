"""What an identity could do before it was contained: whatever somebody takes away, writes over or changes of it afterwards,
no report is calmer by it, and none says no where nobody knows."""

import pytest

from .test_report import EXFILTRATION, report
from .test_report_look import ADMINISTRATOR
from .test_report_versions import ALL, attach, document, may, plain, versions  # noqa: F401

NOTHING = {"Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"}
LEVELS = ["low", "medium", "high", "critical"]


def contain(world, user):
    world.responder().invoke(world.event(EXFILTRATION, user))


def found(world, user):
    return report(world, user.id)["evidence"]["report"]


def before_and_after(world, user, change):
    """Two reports, of which the first is of an administrator, and what somebody changes between them."""
    contain(world, user)
    first = found(world, user)
    assert first["could"]["administrator"]["answer"] == "yes", first["could"]["administrator"]
    change()
    second = found(world, user)
    levels = [LEVELS.index(it["risk"]["level"]) for it in (first, second)]
    assert levels[1] >= levels[0], (first["risk"], second["risk"])
    return second["could"]


def detach_from_the_group(world):
    iam = world.iam
    iam.create_group(GroupName="admins")
    iam.attach_group_policy(GroupName="admins", PolicyArn=ADMINISTRATOR)
    iam.add_user_to_group(GroupName="admins", UserName="alice")
    return lambda: iam.detach_group_policy(GroupName="admins", PolicyArn=ADMINISTRATOR)


def make_another_version_count(world):
    team = versions(world, "team", [ALL])
    attach(world, team)

    def change():
        world.iam.create_policy_version(PolicyArn=team, PolicyDocument=document(NOTHING), SetAsDefault=True)
        world.iam.delete_policy_version(PolicyArn=team, VersionId="v1")

    return change


def write_over_it(world):
    may(world, ALL)
    return lambda: may(world, NOTHING)


@pytest.mark.seconds(20)
@pytest.mark.parametrize(
    ("prepare", "what"),
    [(detach_from_the_group, "group admins"), (make_another_version_count, ":policy/team"), (write_over_it, "inline policy own")],
)
def test_what_somebody_takes_out_of_its_policies_after_containment_makes_no_report_calmer(world, plain, prepare, what):  # noqa: F811
    could = before_and_after(world, plain, prepare(world))
    assert could["administrator"]["answer"] == "not-known", could
    [why] = could["unread"]
    assert "edited since a response found them" in why and why.endswith(what), why
    # And AWS's answers, which are by the texts of now, are held against nothing.
    assert why in could["simulation"]["without"], could["simulation"]


@pytest.mark.seconds(20)
@pytest.mark.parametrize("how", ["the tag is taken away", "a tag is added", "it is renamed"])
def test_what_somebody_changes_of_the_identity_after_containment_makes_no_report_calmer(world, plain, how):  # noqa: F811
    iam = world.iam
    if how == "the tag is taken away":
        iam.tag_user(UserName="alice", Tags=[{"Key": "team", "Value": "admin"}])
        may(world, ALL | {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "admin"}}})
        change = lambda: iam.untag_user(UserName="alice", TagKeys=["team"])  # noqa: E731
    elif how == "a tag is added":
        may(world, ALL, ALL | {"Effect": "Deny", "Condition": {"StringEquals": {"aws:PrincipalTag/left": "yes"}}})
        change = lambda: iam.tag_user(UserName="alice", Tags=[{"Key": "left", "Value": "yes"}])  # noqa: E731
    else:
        may(world, ALL | {"Condition": {"StringEquals": {"aws:username": "alice"}}})
        change = lambda: iam.update_user(UserName="alice", NewUserName="alicia")  # noqa: E731
    could = before_and_after(world, plain, change)
    wanted = ("yes", "renamed since") if how == "it is renamed" else ("depends", "its tags are not those of before")
    assert could["administrator"]["answer"] == wanted[0], could
    assert any(wanted[1] in it for it in could["notes"]), could["notes"]


def test_a_tag_that_we_write_decides_nothing(world, plain):  # noqa: F811
    """An organisation may deny by our mark what a containment leaves."""
    may(world, ALL, ALL | {"Effect": "Deny", "Condition": {"StringLike": {"aws:PrincipalTag/IncidentStatus": "*"}}})
    contain(world, plain)
    assert found(world, plain)["could"]["administrator"]["answer"] == "yes"


def test_a_deny_that_came_after_containment_counts_for_nothing_where_the_texts_of_before_are_not_known(world, plain):  # noqa: F811
    """The snapshot has no texts, because they could not be read then: what can't be told apart in time depends."""
    may(world, ALL)
    world.fault("iam:GetUserPolicy", "AccessDenied", status=403, times=1)
    contain(world, plain)
    may(world, ALL, ALL | {"Effect": "Deny"})
    could = found(world, plain)["could"]
    assert could["administrator"]["answer"] == "depends", could
    [why] = could["unread"]
    assert "no response kept it" in why and why.endswith("inline policy own"), why


def test_what_nobody_changed_is_answered_with_a_no(world, plain):  # noqa: F811
    contain(world, plain)
    could = found(world, plain)["could"]
    assert (could["administrator"]["answer"], could["unread"]) == ("no", []), could
