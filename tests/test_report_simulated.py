"""AWS's own answers in a report: of the identity as it was before containment, beside what is read of its policies, and held
against that."""

import json

import pytest

from .harness.victims import Role, User
from .harness.world import POLICIES
from .test_missing_mfa import ENFORCED, console_user, respond
from .test_overprivileged import OVERPRIVILEGED
from .test_report import EXFILTRATION, report
from .test_report_look import in_the_middle
from .test_revocation import OUTSIDE, REVOCATION

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
READ_SECRET = "secretsmanager:GetSecretValue"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(*actions):
    return {"Effect": "Deny", "Action": list(actions), "Resource": "*"}


def simulated(world, user="alice", **fields):
    answer = report(world, user, **fields)["evidence"]
    answer["markdown"] = answer["markdown"].replace("\\", "")  # Every colon in a name is escaped.
    return answer, answer["report"], answer["report"]["could"]["simulation"]


def asked(world):
    return [it["params"] for it in world.journal() if it["action"] == "iam:SimulatePrincipalPolicy"]


def answers(simulation, differing=False):
    """By action, of those on whatever resource."""
    found = [it for it in simulation["answers"] if "resource" not in it and (it.get("differs") or not differing)]
    return {it["action"]: (it["own"], it["aws"]) for it in found}


def agree(simulation):
    assert not [it for it in simulation["answers"] if it.get("differs")], simulation
    assert "not_simulated" not in simulation and "without" not in simulation, simulation
    return answers(simulation)


def poor(world, name="alice", **more):
    """A user with nothing but an inline policy for S3."""
    return User(world, name=name, policies=[], groups=(), **more)


def test_aws_answers_about_the_user_as_it_was_before_containment(world):
    world.deploy()
    user = User(world)
    world.responder().invoke(world.event(EXFILTRATION, user))
    assert user.is_denied()
    answer, found, simulation = simulated(world)
    by_action = agree(simulation)
    assert len(by_action) > 190 and set(by_action.values()) == {("yes", "yes")}, by_action
    # Nothing but our deny is left out, and all is asked in a few calls that end.
    calls = asked(world)
    assert all(it["PolicyExclusionList"] == [{"PolicyArn": DENY_ALL}] and it["PolicySourceArn"] == user.arn for it in calls)
    assert len(calls) < 12 and any(it.get("Marker") for it in calls) and max(len(it["ActionNames"]) for it in calls) == 50
    now = world.iam.simulate_principal_policy(PolicySourceArn=user.arn, ActionNames=["iam:CreateUser"])["EvaluationResults"]
    assert now[0]["EvalDecision"] == "explicitDeny"
    assert "none says otherwise than what is read here" in answer["markdown"] and "AWS's own simulation" in answer["html"]
    assert any("service control policies but for what AWS's own simulation" in it for it in found["not_looked_at"])


def test_what_a_service_control_policy_forbids_is_where_aws_says_otherwise(world):
    world.deploy()
    User(world)
    world.control("control-policies", {"account": world.member, "documents": [document(deny("iam:CreateUser", READ_SECRET))]})
    answer, found, simulation = simulated(world)
    assert answers(simulation, differing=True) == {"iam:CreateUser": ("yes", "no"), READ_SECRET: ("yes", "no")}
    assert all("service control policy" in it["why"] for it in simulation["answers"] if it.get("differs"))
    [point] = [it for it in found["open_points"] if "disagree" in it]
    assert f"{READ_SECRET} (yes here, no by AWS: a service control policy" in point
    assert "AWS's own simulation says otherwise of 2 actions" in found["summary"][2]
    [line] = [it for it in answer["markdown"].splitlines() if it.startswith("| secretsmanager:GetSecretValue |")]
    assert "| any | yes | no |" in line
    # And beside the way that takes it.
    assert "AWS's own simulation says otherwise: secretsmanager:GetSecretValue" in answer["markdown"]


def test_what_a_response_took_is_there_in_aws_answers_too(world):
    world.deploy(TrustedProducts="product/*/default")
    user = User(world, policies=["AdministratorAccess"], groups=("operators",))
    world.iam.put_group_policy(GroupName="operators", PolicyName="both", PolicyDocument=document(allow("*")))
    world.iam.attach_group_policy(GroupName="operators", PolicyArn="arn:aws:iam::aws:policy/IAMFullAccess")
    world.responder().invoke(world.event(OVERPRIVILEGED, user))
    state = user.state()
    assert state["policies"] == [] and state["groups"] == []
    _, found, simulation = simulated(world)
    assert set(agree(simulation).values()) == {("yes", "yes")} and found["could"]["administrator"]["answer"] == "yes"
    added = [json.loads(it)["Statement"] for it in asked(world)[0]["PolicyInputList"]]
    assert len(added) == 3 and "PolicyExclusionList" not in asked(world)[0]


def test_what_can_not_be_added_back_is_held_against_nothing(world):
    """The policy was deleted once it was detached: nobody knows what it said."""
    world.deploy(TrustedProducts="product/*/default")
    user = poor(world)
    arn = world.iam.create_policy(PolicyName="all", PolicyDocument=document(allow("*")))["Policy"]["Arn"]
    world.iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    world.responder().invoke(world.event(OVERPRIVILEGED, user))
    world.iam.delete_policy(PolicyArn=arn)
    answer, _, simulation = simulated(world)
    [without] = simulation["without"]
    assert arn in without and answers(simulation)["iam:CreateUser"] == ("not-known", "no")
    assert answers(simulation, differing=True) == {} and "AWS's answers are without: policy arn" in answer["markdown"]


def test_without_the_permission_one_line_says_so_and_all_else_stands(world):
    world.deploy()
    User(world)
    _, before, _ = simulated(world)
    world.fault("iam:SimulatePrincipalPolicy", "AccessDenied", status=403)
    answer, found, simulation = simulated(world)
    why = "`iam:SimulatePrincipalPolicy` is not allowed to the investigator's role"
    assert simulation == {"answers": {"not_asked": why}}
    assert len([it for it in answer["markdown"].splitlines() if "SimulatePrincipalPolicy" in it]) == 1
    assert not any("SimulatePrincipalPolicy" in it for it in found["open_points"]) and found["risk"] == before["risk"]
    assert {**found["could"], "simulation": None} == {**before["could"], "simulation": None}
    assert [it["through"] for it in world.faults()] == [1]


def test_a_simulation_that_answered_nothing_is_no_agreement(world):
    """A policy that AWS can't evaluate fails every batch."""
    world.deploy()
    poor(world)
    world.fault("iam:SimulatePrincipalPolicy", "PolicyEvaluation", status=500)
    answer, found, simulation = simulated(world)
    assert "PolicyEvaluation" in simulation["answers"]["not_asked"]
    assert "none says otherwise" not in answer["markdown"]
    assert any(it.startswith("service and resource control policies") for it in found["not_looked_at"])


def test_an_action_that_aws_does_not_know_takes_no_other_with_it(world):
    world.deploy()
    User(world)
    unknown = ["iam:PutUserPolicy", READ_SECRET]
    world.control("simulator", {"account": world.member, "unknown": unknown})
    answer, _, simulation = simulated(world)
    assert [it["actions"] for it in simulation["not_simulated"]] == [[it] for it in unknown]
    assert len(answers(simulation)) > 190 and not set(unknown) & set(answers(simulation))
    assert "Not simulated: iam:PutUserPolicy: AWS does not take it" in answer["markdown"]
    assert len(asked(world)) < 40


def test_what_aws_does_not_take_at_all_is_not_asked_action_by_action(world):
    world.deploy()
    User(world)
    world.fault("iam:SimulatePrincipalPolicy", "InvalidInput")
    _, found, simulation = simulated(world)
    assert "AWS does not take it (InvalidInput" in simulation["answers"]["not_asked"]
    assert [it["through"] for it in world.faults()] == [2] and found["could"]["administrator"]["answer"] == "yes"


def test_a_call_that_is_made_again_leaves_out_the_same(world):
    world.deploy()
    user = User(world)
    world.responder().invoke(world.event(EXFILTRATION, user))
    world.fault("iam:SimulatePrincipalPolicy", "Throttling", times=2)
    _, _, simulation = simulated(world)
    assert set(agree(simulation).values()) == {("yes", "yes")} and [it["times"] for it in world.faults()] == [0]


@pytest.mark.seconds(8)
def test_what_could_not_be_asked_because_aws_throttled_is_named(world):
    world.deploy()
    User(world)
    world.fault("iam:SimulatePrincipalPolicy", "Throttling", after=2)
    answer, found, simulation = simulated(world)
    answered = answers(simulation)
    assert len(answered) == 50 and set(answered.values()) == {("yes", "yes")}
    left = {action for it in simulation["not_simulated"] for action in it["actions"]}
    assert not left & set(answered) and len(left) > 140
    assert all("AWS asked for fewer calls" in it["why"] for it in simulation["not_simulated"])
    assert "Not simulated: " in answer["markdown"] and found["could"]["administrator"]["answer"] == "yes"


@pytest.mark.seconds(4)
def test_a_simulator_that_does_not_answer_holds_no_report_up(world):
    world.deploy()
    User(world)
    world.fault("iam:SimulatePrincipalPolicy", "ServiceFailure", status=500, delay_ms=500)
    _, found, simulation = simulated(world)
    assert "ServiceFailure" in simulation["answers"]["not_asked"] and found["could"]["administrator"]["answer"] == "yes"


def test_what_depends_on_a_condition_is_no_yes_and_no_no(world):
    world.deploy()
    poor(world)
    with_mfa = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    own = {"StringEquals": {"aws:username": "${aws:username}"}}
    team = {"StringEquals": {"aws:PrincipalTag/team": "red"}}
    statements = [allow("iam:*", Condition=with_mfa), allow("ec2:*", Condition=own), allow("lambda:*", Condition=team)]
    world.iam.put_user_policy(UserName="alice", PolicyName="own", PolicyDocument=document(*statements))
    world.iam.tag_user(UserName="alice", Tags=[{"Key": "team", "Value": "red"}])
    _, _, simulation = simulated(world)
    found = agree(simulation)
    assert found["iam:CreateUser"] == ("depends", "depends") and found["ec2:RunInstances"] == ("yes", "yes")
    # Tags are not told to AWS.
    assert found["lambda:CreateFunction"] == ("yes", "depends")
    [create] = [it for it in simulation["answers"] if it["action"] == "iam:CreateUser"]
    assert create["depends_on"] == ["aws:MultiFactorAuthPresent"]


def test_what_may_be_done_to_one_resource_is_asked_about_that_one(world):
    world.deploy()
    poor(world)
    world.iam.put_user_policy(UserName="alice", PolicyName="bucket", PolicyDocument=document(allow("s3:*", ["arn:aws:s3:::plans", "arn:aws:s3:::plans/*"])))
    world.iam.put_user_policy(UserName="alice", PolicyName="secret", PolicyDocument=document(allow(READ_SECRET, "arn:aws:secretsmanager:*:*:secret:db-*")))
    world.control("control-policies", {"account": world.member, "documents": [document(deny("secretsmanager:*"))]})
    _, _, simulation = simulated(world)
    on_one = {it["action"]: it for it in simulation["answers"] if "resource" in it}
    read = on_one["s3:GetObject"]
    assert (read["own"], read["aws"]) == ("yes", "yes") and read["resource"].startswith("arn:aws:s3:::plans/")
    secret = on_one[READ_SECRET]
    assert secret["differs"] and ":secret:db-" in secret["resource"] and "service control policy" in secret["why"]
    assert answers(simulation)["s3:GetObject"] == ("no", "no")


def test_the_boundary_that_our_deny_took_the_place_of_bounds_aws_answers(world):
    world.deploy()
    more = ["ReadOnlyAccess", "PowerUserAccess", "AmazonEC2FullAccess", "AmazonVPCFullAccess", "AmazonSQSFullAccess"]
    users = [User(world, name=name, groups=(), policies=[*POLICIES, *more, "AmazonSNSFullAccess", "AmazonRDSFullAccess"]) for name in ("alice", "bob")]
    bound = world.iam.create_policy(PolicyName="bound", PolicyDocument=document(allow("s3:*")))["Policy"]["Arn"]
    world.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=bound)
    responder = world.responder()
    for user in users:
        responder.invoke({"command": "contain", "account": world.member, "user": user.name, "reason": "a key in a paste"})
        assert user.state()["boundary"] == DENY_ALL
    _, _, simulation = simulated(world)
    found = agree(simulation)
    assert found["iam:CreateUser"] == ("no", "no") and found["s3:GetObject"] == ("yes", "yes")
    [create] = [it for it in simulation["answers"] if it["action"] == "iam:CreateUser"]
    assert create["why"] == "the permissions boundary does not allow it"
    [given] = asked(world)[0]["PermissionsBoundaryPolicyInputList"]
    assert json.loads(given)["Statement"][0]["Action"] == "s3:*" and "PolicyExclusionList" not in asked(world)[0]
    # Who had none before is not bounded by ours.
    calls = len(asked(world))
    _, _, simulation = simulated(world, "bob")
    assert agree(simulation)["iam:CreateUser"] == ("yes", "yes")
    assert asked(world)[calls]["PolicyExclusionList"] == [{"PolicyType": "permission-boundary"}]


def test_a_policy_that_only_bears_the_name_of_ours_counts(world):
    """A customer's own AWSDenyAll, a user's and a group's AWSRevokeOlderSessions, and AWS's deny by a group."""
    world.deploy()
    user = poor(world)
    iam = world.iam
    iam.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    own = iam.create_policy(PolicyName="AWSDenyAll", PolicyDocument=document(deny("s3:*")))["Policy"]["Arn"]
    iam.attach_user_policy(UserName="alice", PolicyArn=own)
    iam.put_user_policy(UserName="alice", PolicyName=REVOCATION, PolicyDocument=document(deny("lambda:*")))
    iam.create_group(GroupName="odd+=,.@-_name")
    iam.put_group_policy(GroupName="odd+=,.@-_name", PolicyName=REVOCATION, PolicyDocument=document(deny("ec2:*")))
    iam.add_user_to_group(GroupName="odd+=,.@-_name", UserName="alice")
    responder = world.responder()
    responder.invoke(world.event(EXFILTRATION, user))
    _, _, simulation = simulated(world)
    found = agree(simulation)
    assert [found[it] for it in ("s3:GetObject", "lambda:CreateFunction", "ec2:RunInstances", "iam:CreateUser")] == [("no", "no")] * 3 + [("yes", "yes")]
    # By its ARN our deny is left out of groups too, and is put back where a group has it.
    iam.attach_group_policy(GroupName="odd+=,.@-_name", PolicyArn=DENY_ALL)
    other = poor(world, name="bob")
    iam.add_user_to_group(GroupName="odd+=,.@-_name", UserName="bob")
    responder.invoke(world.event(EXFILTRATION, other))
    _, _, simulation = simulated(world, "bob")
    assert set(agree(simulation).values()) == {("no", "no")}


def test_our_revocation_of_a_roles_sessions_is_left_out_and_no_other_policy_of_it(world):
    world.deploy()
    role = Role(world)
    session = role.session()
    assert session.list_users()
    world.responder().invoke(world.event(OUTSIDE, role=role))
    assert REVOCATION in role.state()["inline"]
    found = report(world, role="app")["evidence"]["report"]["could"]["simulation"]
    assert set(agree(found).values()) == {("yes", "yes")}
    ours = {"PolicyName": REVOCATION, "AttachmentType": "role", "AttachmentName": "app"}
    assert asked(world)[0]["PolicyExclusionList"] == [{"InlinePolicyIdentifier": ours}]
    # What nobody of ours put there is not.
    other = Role(world, name="other")
    world.iam.put_role_policy(RoleName="other", PolicyName=REVOCATION, PolicyDocument=document(deny("*")))
    calls = len(asked(world))
    found = report(world, role="other")["evidence"]["report"]["could"]["simulation"]
    assert other.arn == asked(world)[calls]["PolicySourceArn"] and "PolicyExclusionList" not in asked(world)[calls]
    assert set(agree(found).values()) == {("no", "no")}


def test_the_hold_of_a_console_is_left_out_as_well(world):
    world.deploy(**ENFORCED, MissingMfaAction="console")
    user = console_user(world)
    respond(world, user)
    hold = f"arn:aws:iam::{world.member}:policy/SecurityRequireMfa"
    assert "SecurityRequireMfa" in user.state()["policies"]
    _, found, simulation = simulated(world)
    assert set(agree(simulation).values()) == {("yes", "yes")} and found["could"]["administrator"]["answer"] == "yes"
    assert asked(world)[0]["PolicyExclusionList"] == [{"PolicyArn": hold}]


def test_a_containment_while_aws_simulates_is_none_of_what_aws_is_asked(world):
    """"About the identity as it was before containment": the simulator is asked for 25 s after the ledger was read last."""
    world.deploy()
    user = User(world)
    contain = lambda: world.responder().invoke(world.event(EXFILTRATION, user))  # noqa: E731
    made = in_the_middle(world, contain, "iam:SimulatePrincipalPolicy")
    answers = made["could"]["simulation"]["answers"]
    points = [it for it in made["open_points"] if "disagree" in it]
    assert user.is_denied() and made["could"]["administrator"]["answer"] == "yes"
    assert not points, points
    # Nothing is held against what AWS said of somebody else's deny, or of ours.
    assert "began or was taken back while AWS was asked" in answers["not_asked"], answers


def test_of_whom_is_gone_aws_is_not_asked(world):
    world.deploy()
    user = poor(world)
    world.responder().invoke(world.event(EXFILTRATION, user))
    iam = world.iam
    for key in user.keys:
        iam.delete_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"])
    iam.detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    iam.delete_user_policy(UserName="alice", PolicyName="bucket")
    iam.delete_user(UserName="alice")
    # Whoever bears the name by now is somebody else.
    User(world)
    _, _, simulation = simulated(world, user.id)
    assert simulation["answers"] == {"not_asked": "it is not there any more"} and asked(world) == []


def test_a_role_may_be_asked_about_whatever_its_path(world):
    world.deploy()
    role = Role(world, name="deep", path="/team/x/")
    assert role.arn.endswith("role/team/x/deep")
    found = report(world, role="deep")["evidence"]["report"]["could"]["simulation"]
    assert agree(found)["iam:CreateUser"] == ("yes", "yes")


def test_what_a_policy_names_makes_nothing_of_a_report_but_text(world):
    world.deploy()
    poor(world)
    hostile = "arn:aws:s3:::x|y<b>[z](http://e.example)<@U1>/*"
    world.iam.put_user_policy(UserName="alice", PolicyName="x", PolicyDocument=document(allow("s3:*", hostile, Sid="x")))
    world.control("control-policies", {"account": world.member, "documents": [document(deny("s3:*"))]})
    answer, _, simulation = simulated(world)
    assert [it for it in simulation["answers"] if it.get("differs")], simulation
    assert "<b>" not in answer["html"] + answer["markdown"] and "](http" not in answer["markdown"]
    assert "http://e.example" not in answer["markdown"]
