"""Each playbook on the wire: a real event in, the identity's state before and after, as boto3 and
the identity's own credentials see it."""

import datetime as dt
import json

from botocore.exceptions import ClientError

from .harness.victims import Role, User, allowed, user_state
from .harness.world import POLICIES

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
QUARANTINED = [*sorted(["AWSDenyAll", *POLICIES])]


def report(answer):
    assert "reports" in answer, answer
    assert len(answer["reports"]) == 1, answer
    return answer["reports"][0]


def outcomes(report):
    return {(it["action"], it["outcome"]) for it in report["actions"]}


def test_compromised_user(world):
    world.deploy(response_plan=True, rotation=True)
    user = User(world)
    before = user.state()
    assert user.key_works(0) and user.key_works(1)

    it = report(world.responder().invoke(world.event(EXFILTRATION, user)))

    assert it["verdict"] == "Contained"
    assert it["principal"] == {"type": "user", "name": "alice", "id": user.id}
    after = user.state()
    assert after["policies"] == QUARANTINED
    assert set(after["keys"].values()) == {"Inactive"}
    assert after["groups"] == before["groups"] and after["inline"] == before["inline"]
    assert after["tags"]["SecurityIncident"] == "AutomatedSecurityQuarantine"
    assert after["tags"]["FindingId"] == it["finding_id"]
    assert not user.key_works(0) and not user.key_works(1)
    # The former state is in the report, for whoever has to put it back.
    assert sorted(it["before"]["groups"]) == before["groups"]
    assert len(it["before"]["attached_policies"]) == 3
    assert "inline policies are left in place: bucket" in it["notes"]
    [rotation] = world.rotations()
    assert rotation["Parameters"] == {"UserName": ["alice"], "UserId": [user.id]}
    [incident] = world.incidents()
    assert "alice" in incident["title"] and incident["impact"] == 2
    [alert] = world.alerts()
    assert alert["Subject"].startswith("Compromised credential")
    assert "aws iam detach-user-policy --user-name alice" in alert["Message"]
    assert alert["MessageAttributes"]["verdict"]["Value"] == "Contained"


def test_the_quarantine_stops_sessions_of_the_user_too(world):
    """Deactivating a key leaves the sessions that were minted from it alive."""
    world.deploy()
    user = User(world)
    event = world.event("guardduty-impact-iam-user-anomalous-behavior-session", user)
    it = report(world.responder().invoke(event))
    assert it["verdict"] == "Contained" and it["access_key"].startswith("ASIA")
    assert "AWSDenyAll" in user.state()["policies"] and not user.key_works()


def test_compromised_role(world):
    world.deploy()
    role = Role(world)
    stolen = role.session()
    assert allowed(stolen.list_users)

    name = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
    it = report(world.responder().invoke(world.event(name, role=role)))

    assert it["verdict"] == "Contained" and it["principal"]["type"] == "role"
    assert not allowed(stolen.list_users)
    state = role.state()
    [statement] = state["inline"]["AWSRevokeOlderSessions"]["Statement"]
    assert statement["Effect"] == "Deny" and "aws:TokenIssueTime" in statement["Condition"]["DateLessThan"]
    assert state["tags"]["SecurityIncident"] == "AutomatedSecurityQuarantine"
    assert len(world.ops_items()) == 1


def test_new_sessions_after_a_revocation_are_said_to_be_open(world):
    world.deploy()
    role, responder = Role(world), world.responder()
    event = world.event("guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws", role=role)
    assert report(responder.invoke(event))["verdict"] == "Contained"
    event["detail"]["service"]["eventLastSeen"] = "2099-01-01T00:00:00.000Z"
    it = report(responder.invoke(event))
    assert it["verdict"] == "SuspectsOpen"
    assert any("revoking is not enough" in line and "isolate the instance i-" in line for line in it["open"])


def test_attack_sequence_contains_every_actor(world):
    world.deploy()
    user, role = User(world), Role(world)
    stolen = role.session()
    event = world.event("guardduty-attack-sequence-iam-compromised-credentials", user, role)
    reports = world.responder().invoke(event)["reports"]
    assert {(it["principal"]["type"], it["verdict"]) for it in reports} == {("user", "Contained"), ("role", "Contained")}
    assert not user.key_works() and not allowed(stolen.list_users)


def test_federated_session_leads_to_its_issuer(world):
    world.deploy()
    user = User(world)
    name = "guardduty-exfiltration-iam-user-anomalous-behavior-federated"
    assert report(world.responder().invoke(world.event(name, user)))["verdict"] == "Contained"
    assert "AWSDenyAll" in user.state()["policies"]


def test_overprivileged_user(world):
    world.deploy(TrustedProducts="product/aws/*,product/*/default")
    user = User(world)
    event = world.event("security-hub-simulation-administrator-access", user)
    finding = world.finding(event)

    it = report(world.responder().invoke(event))

    assert it["verdict"] == "Contained" and it["playbook"] == "overprivileged-user"
    after = user.state()
    assert after["policies"] == [] and after["groups"] == [] and after["inline"] == ["bucket"]
    assert set(after["keys"].values()) == {"Inactive"}
    assert after["tags"]["SecurityIncident"] == "AutoRemediated"
    assert finding()["Workflow"]["Status"] == "NOTIFIED"
    assert finding()["Note"]["UpdatedBy"] == "iam-responder"
    # Keys first: a working key could put back what is detached.
    writes = world.writes()
    assert max(i for i, a in enumerate(writes) if a == "iam:UpdateAccessKey") < writes.index("iam:DetachUserPolicy")


def test_prowler_finding_by_its_generator(world):
    world.deploy(TrustedProducts="product/prowler/prowler")
    user = User(world)
    event = world.event("security-hub-prowler-iam-user-administrator-access", user)
    world.finding(event)
    assert report(world.responder().invoke(event))["playbook"] == "overprivileged-user"
    assert user.state()["policies"] == []


def test_long_lists_are_read_to_their_end(world):
    """The simulated AWS answers four at a time."""
    world.deploy(TrustedProducts="product/aws/*,product/*/default")
    policies = [*POLICIES, "ReadOnlyAccess", "PowerUserAccess", "AmazonEC2FullAccess", "AmazonVPCFullAccess"]
    user = User(world, policies=policies, groups=[f"group-{n}" for n in range(9)])
    event = world.event("security-hub-simulation-administrator-access", user)
    world.finding(event)
    report(world.responder().invoke(event))
    after = user.state()
    assert after["policies"] == [] and after["groups"] == []


def test_policies_and_groups_that_hold_a_deny_are_left(world):
    """They may be all that holds the user back."""
    world.deploy(TrustedProducts="product/aws/*,product/*/default")
    user, iam = User(world), world.iam
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"}]}
    document = json.dumps(deny)
    fence = iam.create_policy(PolicyName="fence", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_user_policy(UserName="alice", PolicyArn=fence)
    iam.put_group_policy(GroupName="developers", PolicyName="fence", PolicyDocument=document)
    event = world.event("security-hub-simulation-administrator-access", user)
    world.finding(event)
    it = report(world.responder().invoke(event))
    assert it["verdict"] == "Contained"
    assert user.state()["policies"] == ["fence"] and user.state()["groups"] == ["developers"]
    assert "left in place, because it holds a Deny: developers" in it["notes"]


def test_root_access_key(world):
    world.deploy(response_plan=True)
    event = world.event("security-hub-iam-4-root-access-key")
    finding = world.finding(event)

    it = report(world.responder().invoke(event))

    assert it["verdict"] == "Refused" and "a person must" in it["reason"]
    assert not [action for action in world.writes() if action.startswith("iam:")]
    assert finding()["Workflow"]["Status"] == "NOTIFIED"
    assert len(world.incidents()) == 1
    [alert] = world.alerts()
    assert "delete every access key of the root user" in alert["Message"]


def test_guardduty_finding_on_root(world):
    world.deploy()
    it = report(world.responder().invoke(world.event("guardduty-impact-iam-user-anomalous-behavior-root")))
    assert it["playbook"] == "root-access-key" and it["verdict"] == "Refused"
    assert not [action for action in world.writes() if action.startswith("iam:")]


def test_unused_user(world):
    world.deploy()
    user = User(world)
    before = user.state()
    event = world.event("security-hub-iam-8-unused-credentials", user)
    finding = world.finding(event)

    assert report(world.responder(part="hygiene").invoke(event))["verdict"] == "Contained"

    after = user.state()
    assert set(after["keys"].values()) == {"Inactive"}
    assert (after["policies"], after["groups"]) == (before["policies"], before["groups"])
    assert after["tags"]["SecurityIncident"] == "AutoRemediated"
    assert finding()["Workflow"]["Status"] == "NOTIFIED"


def test_resolved_on_success(world):
    world.deploy(ResolvedOnSuccess="true")
    event = world.event("security-hub-iam-8-unused-credentials", User(world))
    finding = world.finding(event)
    report(world.responder(part="hygiene").invoke(event))
    assert finding()["Workflow"]["Status"] == "RESOLVED"


def test_unauthorized_user(world):
    world.deploy()
    user = User(world, name="backdoor")
    it = report(world.responder().invoke(world.event("cloudtrail-create-user", user)))
    assert it["verdict"] == "Contained" and it["playbook"] == "unauthorized-user"
    after = user.state()
    assert after["policies"] == QUARANTINED and set(after["keys"].values()) == {"Inactive"}
    [alert] = world.alerts()
    assert f"created by arn:aws:iam::{world.member}:role/Admin" in alert["Message"]


def test_a_user_that_is_not_visible_yet_is_waited_for(world):
    world.deploy()
    user = User(world, name="backdoor")
    world.fault("iam:GetUser", "NoSuchEntity", status=404, times=2)
    event = world.event("cloudtrail-create-user", user)
    event["detail"]["eventTime"] = dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert report(world.responder().invoke(event))["verdict"] == "Contained"


def test_the_barest_simulation_is_about_the_account_that_sent_it(world):
    world.deploy(Simulation="true")
    user = User(world)
    event = world.event("simulation-instance-credential-exfiltration-barest", user)
    assert event["account"] == world.member and set(event["detail"]) == {"type", "severity", "resource"}
    assert report(world.responder().invoke(event))["verdict"] == "Contained"
    assert not user.key_works()


def test_exposed_key_leads_to_its_user(world):
    world.deploy()
    user = User(world)
    it = report(world.responder().invoke(world.event("health-risk-credentials-exposed-key-only", user)))
    assert it["verdict"] == "Contained" and it["principal"]["name"] == "alice"
    assert not user.key_works()


def test_unique_id_in_the_place_of_a_name(world):
    world.deploy()
    for n in range(5):
        world.iam.create_user(UserName=f"bystander-{n}")
    user = User(world)
    event = world.event("security-hub-iam-8-unused-credentials", user)
    [resource] = event["detail"]["findings"][0]["Resources"]
    resource["Id"], resource["Details"] = f"arn:aws:iam::{world.member}:user/{user.id}", {}
    world.finding(event)
    it = report(world.responder(part="hygiene").invoke(event))
    assert it["principal"] == {"type": "user", "name": "alice", "id": user.id}


def test_a_role_whose_name_is_missing_is_found_by_its_id(world):
    world.deploy()
    role = Role(world)
    stolen = role.session()
    name = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
    event = world.event(name, role=role)
    del event["detail"]["resource"]["accessKeyDetails"]["userName"]
    it = report(world.responder().invoke(event))
    assert it["verdict"] == "Contained" and it["principal"] == {"type": "role", "name": "app", "id": role.id}
    assert not allowed(stolen.list_users)


def test_renamed_user_is_found_by_its_id(world):
    world.deploy()
    user = User(world)
    event = world.event(EXFILTRATION, user)
    world.iam.update_user(UserName="alice", NewUserName="bob")
    namesake = world.iam.create_user(UserName="alice")["User"]
    assert namesake["UserId"] != user.id
    world.identify(user="alice", created="2020-01-01T00:00:00")
    it = report(world.responder().invoke(event))
    assert it["principal"]["name"] == "bob" and it["verdict"] == "Contained"
    assert user_state(world.iam, "alice")["policies"] == []


def test_each_finding_of_an_event_is_judged_alone(world):
    world.deploy()
    alice, bob = User(world), User(world, name="bob", groups=())
    event = world.event("security-hub-two-findings", alice)
    event = json.loads(json.dumps(event).replace("AIDABOBBOBBOBBOBBOB22", bob.id))
    findings = [world.finding(event, 0), world.finding(event, 1)]
    reports = [report(world.responder(part=part).invoke(event)) for part in ("responder", "hygiene")]
    assert {(it["principal"]["name"], it["playbook"]) for it in reports} == {("alice", "compromised-credential"), ("bob", "unused-user")}
    assert "AWSDenyAll" in alice.state()["policies"] and "AWSDenyAll" not in bob.state()["policies"]
    assert [finding()["Workflow"]["Status"] for finding in findings] == ["NOTIFIED", "NOTIFIED"]


def test_the_button_contains_whatever_the_severity(world):
    world.deploy()
    user = User(world)
    event = world.event("security-hub-custom-action-contain-identity", user)
    event["detail"]["findings"][0]["Workflow"]["Status"] = "RESOLVED"
    world.finding(event)
    assert report(world.responder().invoke(event))["playbook"] == "compromised-credential"
    assert not user.key_works()


def test_commands_take_the_same_path(world):
    world.deploy()
    user, role = User(world), Role(world)
    responder = world.responder()
    assert report(responder.invoke(world.event("command-contain-user", user)))["verdict"] == "Contained"
    assert report(responder.invoke(world.event("command-contain-role", role=role)))["verdict"] == "Contained"
    assert not user.key_works() and "AWSRevokeOlderSessions" in role.state()["inline"]


def test_simulation_when_it_is_on(world):
    world.deploy(Simulation="true")
    user = User(world)
    event = world.event("simulation-exfiltration-iam-user-anomalous-behavior", user)
    assert report(world.responder().invoke(event))["verdict"] == "Contained"


def test_a_stuffed_quota_falls_back_to_the_boundary(world):
    world.deploy()
    more = ["ReadOnlyAccess", "PowerUserAccess", "AmazonEC2FullAccess", "AmazonVPCFullAccess", "AmazonSQSFullAccess"]
    user = User(world, policies=[*POLICIES, *more, "AmazonSNSFullAccess", "AmazonRDSFullAccess"])
    it = report(world.responder().invoke(world.event(EXFILTRATION, user)))
    assert it["verdict"] == "Contained"
    assert ("AttachDenyAll", "skipped") in outcomes(it) and ("SetDenyAllBoundary", "applied") in outcomes(it)
    assert user.state()["boundary"] == "arn:aws:iam::aws:policy/AWSDenyAll"
    assert not user.key_works()


def test_fifty_tags_do_not_hold_up_containment(world):
    world.deploy()
    user = User(world)
    world.iam.tag_user(UserName="alice", Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(50)])
    it = report(world.responder().invoke(world.event(EXFILTRATION, user)))
    assert it["verdict"] == "Contained" and ("Tag", "skipped") in outcomes(it)
    assert not user.key_works()


def test_the_same_event_twice_changes_nothing_more(world):
    world.deploy(response_plan=True, rotation=True)
    user = User(world)
    responder = world.responder()
    event = world.event(EXFILTRATION, user)
    report(responder.invoke(event))
    after = user.state()
    seen = len(world.writes())
    it = report(responder.invoke(event))
    assert it["verdict"] == "Contained" and user.state() == after
    assert not [action for action in world.writes()[seen:] if action.startswith("iam:Tag") or action == "iam:UpdateAccessKey"]
    assert len(world.incidents()) == 1 and len(world.rotations()) == 1


def test_the_sdks_own_endpoint_variable_works_too(world):
    """And an empty ENDPOINT_URL, as the template declares it, is none."""
    world.deploy()
    user = User(world)
    responder = world.responder(ENDPOINT_URL="", AWS_ENDPOINT_URL=world.url)
    assert report(responder.invoke(world.event(EXFILTRATION, user)))["verdict"] == "Contained"


def test_gov_cloud(world):
    """The partition comes from the event and is in every ARN."""
    world.region = "us-gov-west-1"
    world.deploy()
    user = User(world)
    it = report(world.responder().invoke(world.event("guardduty-exfiltration-iam-user-anomalous-behavior-gov-cloud", user)))
    assert it["verdict"] == "Contained" and not user.key_works()
    attached = world.iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    assert "arn:aws-us-gov:iam::aws:policy/AWSDenyAll" in [policy["PolicyArn"] for policy in attached]


def test_the_responders_own_session_can_gain_nothing(world):
    """A stolen session of the remediation role can deny, and give nobody anything."""
    world.deploy()
    User(world)
    lambda_role = world.control("role-credentials", {"role_arn": world.responder_role, "region": world.region})
    own = {k.lower(): v for k, v in lambda_role.items()}
    sts = world.client("sts", **own)
    role = f"arn:aws:iam::{world.member}:role/SecurityRemediationRole"
    session = sts.assume_role(RoleArn=role, RoleSessionName="stolen", ExternalId="an-external-id-of-the-tests")["Credentials"]
    iam = world.client(
        "iam",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    anything = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    refused = [
        lambda: iam.attach_user_policy(UserName="alice", PolicyArn=admin),
        lambda: iam.put_user_policy(UserName="alice", PolicyName="x", PolicyDocument=anything),
        lambda: iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=admin),
        lambda: iam.put_role_policy(RoleName="SecurityRemediationRole", PolicyName="x", PolicyDocument=anything),
        lambda: iam.attach_role_policy(RoleName="SecurityRemediationRole", PolicyArn=admin),
        lambda: iam.create_access_key(UserName="alice"),
        lambda: iam.create_user(UserName="mallory"),
        lambda: iam.tag_user(UserName="alice", Tags=[{"Key": "Department", "Value": "root"}]),
    ]
    for call in refused:
        try:
            call()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied", error
        else:
            raise AssertionError("the session could do it")
