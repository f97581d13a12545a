"""Who signed a request: an administrator of the test, a user's access key, or a role's session."""

import dataclasses
import datetime as dt
import re

from moto.iam.models import iam_backends
from moto.sts.models import AssumedRole
from moto.sts.responses import TokenResponse

# The tests set up and inspect accounts with the key SIMADMIN<account> and any secret.
ADMINISTRATOR = re.compile(r"^SIMADMIN(\d{12})$")

# Every session by its access key, and when it was issued, which moto does not keep.
_SESSIONS = {}
# The account that each access key was last found in: there are hundreds to look through.
_ACCOUNTS = {}
# The tags that each session was given, which moto does not keep either.
_SESSION_TAGS = {}


@dataclasses.dataclass
class Caller:
    kind: str = "unknown"
    account: str | None = None
    arn: str | None = None
    key: str | None = None
    secret: str | None = None
    token: str | None = None
    active: bool = True
    issued: dt.datetime | None = None
    expires: dt.datetime | None = None
    name: str | None = None
    user_id: str | None = None
    arns: frozenset = frozenset()
    principal_arn: str | None = None
    documents: tuple = ()
    boundary: str | None = None
    session_policy: str | None = None
    # The principal's own tags, and those of the session.
    tags: tuple = ()


def find(key, partition):
    administrator = ADMINISTRATOR.match(key or "")
    if administrator:
        account = administrator.group(1)
        return Caller("administrator", account, f"arn:{partition}:iam::{account}:root", key)
    return _session(key, partition) or _user(key, partition) or Caller(key=key)


def every_session():
    """Access keys and moto's sessions, in the order in which they were issued."""
    return [(key, session) for key, (session, _) in list(_SESSIONS.items())]


def account_of(key):
    """The account that an access key belongs to, of a user or of a session."""
    known = _ACCOUNTS.get(key)
    # A key that nobody has asked about is most often of the newest account.
    for account in [known] if _holds(known, key) else reversed(list(iam_backends)):
        if _holds(account, key):
            _ACCOUNTS[key] = account
            return account
    return None


def _holds(account, key):
    return account is not None and any(key in backend.access_keys for backend in list(iam_backends[account].values()))


def _session(key, partition):
    session, issued = _SESSIONS.get(key, (None, None))
    if session is None or session.partition != partition:
        return None
    caller = Caller(
        "assumed-role",
        session.account_id,
        session.arn,
        key,
        secret=session.secret_access_key,
        token=session.session_token,
        issued=issued,
        expires=session.expiration,
        name=session.role_arn.split("/")[-1],
        user_id=session.user_id,
        arns=frozenset({session.arn, session.role_arn}),
        principal_arn=session.role_arn,
        session_policy=session.policy,
    )
    backend = iam_backends[session.account_id][partition]
    try:
        role = backend.get_role_by_arn(session.role_arn)
    except Exception:  # The role was deleted: its sessions can do nothing.
        return caller
    inline = [backend.get_role_policy(role.name, n)[1] for n in backend.list_role_policies(role.name)]
    attached = backend.list_attached_role_policies(role.name)[0]
    caller.documents = (*inline, *map(default_document, attached))
    # A session's tag takes the place of the role's.
    caller.tags = (*_pairs(role.tags), *_pairs(_SESSION_TAGS.get(key)))
    caller.boundary = role.permissions_boundary_arn
    return caller


def _user(key, partition):
    account = account_of(key)
    backend = iam_backends[account][partition] if account else None
    for user in list(backend.users.values()) if backend else ():
        found = next((k for k in user.access_keys if k.access_key_id == key), None)
        if found is None:
            continue
        inline = [backend.get_user_policy(user.name, n)["policy_document"] for n in backend.list_user_policies(user.name)]
        attached = list(backend.list_attached_user_policies(user.name)[0])
        for group in backend.get_groups_for_user(user.name):
            inline += [backend.get_group_policy(group.name, n)["policy_document"] for n in backend.list_group_policies(group.name)]
            attached += backend.list_attached_group_policies(group.name)[0]
        return Caller(
            "user",
            account,
            user.arn,
            key,
            secret=found.secret_access_key,
            active=found.status == "Active",
            name=user.name,
            user_id=user.id,
            arns=frozenset({user.arn}),
            principal_arn=user.arn,
            documents=(*inline, *map(default_document, attached)),
            boundary=getattr(user, "permissions_boundary_arn", None) or None,
            tags=tuple(_pairs(user.tags)),
        )
    return None


def _pairs(tags):
    return [(tag["Key"], tag["Value"]) for tag in tags or []]


def default_document(policy):
    return next(version.document for version in policy.versions if version.is_default)


_initialise = AssumedRole.__init__


def _remember_issue(self, *args, **kwargs):
    _initialise(self, *args, **kwargs)
    _SESSIONS[self.access_key_id] = (self, dt.datetime.now(dt.timezone.utc))


def _keeping_tags(original):
    def assume_role(self):
        answer = original(self)
        _SESSION_TAGS[answer.result["Credentials"].access_key_id] = self.sim_params.get("Tags")
        return answer

    return assume_role


AssumedRole.__init__ = _remember_issue
TokenResponse.assume_role = _keeping_tags(TokenResponse.assume_role)
