"""Against an attacker who uses IAM's enforcement lag to undo us: few runs here, the figures in
docs/attacker.md come from many."""

import concurrent.futures
import datetime
import re
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .experiments.attacker import DOORS, EXFILTRATION, Setting, one_run
from .harness.victims import Role, User, allowed


@pytest.fixture
def url(world):
    return world.url


@pytest.mark.seconds(14)
def test_a_bot_that_fights_back_is_reported_and_never_wrongly_called_contained(url):
    """Whether it is outlasted depends on how busy this machine is; what is said of it does not."""
    result = one_run(url, Setting(accomplice=False))
    assert not result["false"] and result["reversals"] > 0


@pytest.mark.seconds(14)
def test_a_fast_bot_is_never_wrongly_called_contained(url):
    result = one_run(url, Setting(poll=0.05, accomplice=False))
    assert not result["false"] and result["reversals"] > 0


@pytest.mark.seconds(14)
def test_an_accomplice_keeps_the_verdict_down(url):
    result = one_run(url, Setting())
    assert not result["false"] and result["verdict"] in ("NotContained", "SuspectsOpen")


@pytest.mark.seconds(14)
def test_the_guardrail_makes_the_quarantine_hold_against_a_fast_bot(url):
    result = one_run(url, Setting(scp=True, poll=0.05, accomplice=False))
    assert (result["verdict"], result["contained"]) == ("Contained", True)


def test_the_guardrail_makes_the_quarantine_hold_against_an_administrator_who_tries_every_door(url):
    result = one_run(url, Setting(scp=True, poll=0.05, accomplice=False, administrator=True))
    assert result["contained"] and not result["false"] and result["doors_tried"] >= len(DOORS)


@pytest.mark.seconds(14)
def test_no_second_delivery_is_wrongly_called_contained_while_an_accomplice_is_at_large(url):
    result = one_run(url, Setting(scp=True, deliveries=3))
    assert not result["false"] and result["verdict"] in ("NotContained", "SuspectsOpen"), result
    assert len(result["later"]) == 3 and "Contained" not in result["later"], result


@pytest.mark.seconds(14)
def test_what_is_reported_during_a_restore_is_never_wrongly_called_contained(url):
    result = one_run(url, Setting(scp=True, accomplice=False, restore=True))
    assert not result["false"] and result["contained"], result


def test_without_it_an_administrator_gets_the_identity_back_and_nobody_says_contained(url):
    result = one_run(url, Setting(poll=0.05, accomplice=False, administrator=True))
    assert not result["contained"] and not result["false"]


def respond_while(world, user, meddle, settle=3, timeout=20):
    """The response to a finding about the user, while somebody meddles a moment after the strike."""
    responder = world.responder(timeout=timeout, SETTLE_SECONDS=str(settle))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(responder.invoke, world.event(EXFILTRATION, user))
        while "iam:AttachUserPolicy" not in world.writes():
            time.sleep(0.02)
        time.sleep(0.5)
        meddle()
        answer.result()
    return responder.last_report()


def test_what_is_undone_is_put_back_and_counted(world):
    world.deploy()
    user = User(world)

    def meddle():
        world.iam.detach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
        world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[1]["AccessKeyId"], Status="Active")

    report = respond_while(world, user, meddle)
    assert report["verdict"] == "Contained"
    assert len(report["reversals"]) == 2 and all("was undone" in it for it in report["reversals"])
    state = user.state()
    assert "AWSDenyAll" in state["policies"] and set(state["keys"].values()) == {"Inactive"}
    [alert] = world.alerts()
    assert "AN ATTACKER IS FIGHTING BACK: what was done was undone 2 times, and put back." in alert["Message"]
    assert "Undone by somebody, and put back:" in alert["Message"]


@pytest.mark.seconds(8)
def test_an_alert_says_that_something_was_put_back_only_where_it_was(world):
    """From then on the account refuses it: an administrator's policy, say."""
    world.deploy()
    user = User(world)

    def meddle():
        for action in ("iam:AttachUserPolicy", "iam:PutUserPermissionsBoundary"):
            world.fault(action, "AccessDenied", status=403)
        world.iam.detach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")

    report = respond_while(world, user, meddle)
    assert report["verdict"] == "NotContained" and report["reversals"] and not user.is_denied()
    [alert] = world.alerts()
    assert re.search(r"FIGHTING BACK: what was done was undone \d times\.", alert["Message"]), alert["Message"]
    assert "put back" not in alert["Message"] and "How to undo" not in alert["Message"]
    assert "- aws iam attach-user-policy --user-name alice" in alert["Message"]


def test_a_new_key_is_found_and_deactivated(world):
    world.deploy()
    user = User(world)

    def meddle():
        world.iam.delete_access_key(UserName="alice", AccessKeyId=user.keys[1]["AccessKeyId"])
        world.iam.create_access_key(UserName="alice")

    report = respond_while(world, user, meddle)
    assert report["verdict"] == "Contained"
    assert any("was created during the response" in it for it in report["reversals"])
    assert set(user.state()["keys"].values()) == {"Inactive"}


def test_a_user_renamed_during_the_response_is_followed(world):
    world.deploy()
    user = User(world)
    report = respond_while(world, user, lambda: world.iam.update_user(UserName="alice", NewUserName="ecila"))
    assert report["verdict"] == "Contained" and report["principal"] == {"type": "user", "name": "ecila", "id": user.id}
    assert "user alice was renamed to ecila" in report["reversals"]


@pytest.mark.parametrize("code", ["Throttling", "ServiceFailure"])
def test_a_renamed_user_is_looked_for_as_long_as_there_is_time(world, code):
    """Six answers are more than one call of the SDK tries."""
    world.deploy(SettleSeconds="2")
    user = User(world)
    world.fault("iam:ListUsers", code, status=400 if code == "Throttling" else 500, times=6)
    rename = lambda: world.iam.update_user(UserName="alice", NewUserName="ecila")  # noqa: E731
    report = respond_while(world, user, rename, timeout=50)
    assert report["verdict"] == "Contained" and report["principal"]["name"] == "ecila", report["reason"]
    attached = world.iam.list_attached_user_policies(UserName="ecila")["AttachedPolicies"]
    assert "AWSDenyAll" in [it["PolicyName"] for it in attached]


def test_a_renamed_user_that_may_not_be_looked_for_is_told_at_once(world):
    world.deploy(SettleSeconds="2")
    user = User(world)
    world.fault("iam:ListUsers", "AccessDenied", status=403)
    report = respond_while(world, user, lambda: world.iam.update_user(UserName="alice", NewUserName="ecila"))
    assert report["verdict"] == "Unverified" and "could not be looked up" in report["reason"]


def test_a_user_recreated_during_the_response_is_a_suspect(world):
    world.deploy()
    user = User(world, groups=())

    def meddle():
        world.iam.update_user(UserName="alice", NewUserName="ecila")
        world.iam.create_user(UserName="alice")

    report = respond_while(world, user, meddle)
    assert report["verdict"] == "SuspectsOpen"
    assert any(f"{world.member}:user/alice" in it for it in report["open"])
    namesake = world.iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    assert namesake == []


def test_somebody_created_during_the_response_caps_the_verdict(world):
    world.deploy()
    user = User(world)
    report = respond_while(world, user, lambda: world.iam.create_user(UserName="svc-backup"))
    assert report["verdict"] == "SuspectsOpen"
    assert any("svc-backup" in it for it in report["open"])


def test_what_can_not_be_read_was_not_seen_to_hold(world):
    world.deploy()
    user = User(world)
    faults = lambda: world.fault("iam:ListAttachedUserPolicies", "AccessDenied", status=403)  # noqa: E731
    report = respond_while(world, user, faults, timeout=16)
    assert report["verdict"] == "Unverified"


def test_a_barrier_that_can_not_be_put_back_is_told_at_once(world):
    world.deploy()
    user = User(world)
    world.fault("iam:UpdateAccessKey", "AccessDenied", status=403)
    responder, began = world.responder(SETTLE_SECONDS="12"), time.monotonic()
    assert responder.invoke(world.event(EXFILTRATION, user))["errorType"] == "ResponseIncomplete"
    assert time.monotonic() - began < 8
    [alert] = world.alerts()
    assert "NOT CONTAINED" in alert["Subject"]


def certificate():
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "alice")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_every_other_credential_is_deactivated(world):
    world.deploy(RemoveLoginProfile="true")
    user, iam = User(world), world.iam
    iam.create_login_profile(UserName="alice", Password="correct-Horse-7-battery")
    iam.upload_ssh_public_key(UserName="alice", SSHPublicKeyBody="ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ== alice")
    iam.upload_signing_certificate(UserName="alice", CertificateBody=certificate())
    iam.create_service_specific_credential(UserName="alice", ServiceName="bedrock.amazonaws.com")
    [report] = world.responder().invoke(world.event(EXFILTRATION, user))["reports"]
    assert report["verdict"] == "Contained"
    assert {it["Status"] for it in iam.list_ssh_public_keys(UserName="alice")["SSHPublicKeys"]} == {"Inactive"}
    listed = iam.list_service_specific_credentials(UserName="alice")["ServiceSpecificCredentials"]
    assert {it["Status"] for it in listed} == {"Inactive"}
    assert {it["Status"] for it in iam.list_signing_certificates(UserName="alice")["Certificates"]} == {"Inactive"}
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_login_profile(UserName="alice")


def test_a_role_is_denied_everything_where_that_is_asked_for(world):
    world.deploy(QuarantineRoles="true")
    role = Role(world)
    [report] = world.responder().invoke(world.event("command-contain-role", role=role))["reports"]
    assert report["verdict"] == "Contained"
    attached = world.iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"]
    assert "AWSDenyAll" in [it["PolicyName"] for it in attached]
    assert not allowed(role.session().list_users)
