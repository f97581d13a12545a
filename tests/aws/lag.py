"""IAM's eventual consistency: a change is visible at once and enforced some seconds later.

In an account with a lag, what a user's access key may do is judged by the state of the user as it was
`lag` seconds ago, and each decision draws its own lag from a range: hosts differ. Roles' sessions are
judged at once, so that the responder is never helped by the lag.
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
"""

import bisect
import random
import threading
import time

from moto.iam.models import iam_backends

from . import callers

_lags = {}
_history = {}
_lock = threading.Lock()


def set_lag(account, low, high):
    _lags[account] = (low, high)
    remember(account, since=0.0)


def remember(account, since=None):
    """Keeps how every user of the account stands now. Called after each change."""
    if account not in _lags:
        return
    now = time.time() if since is None else since
    with _lock:
        for partition, backend in iam_backends[account].items():
            for user in list(backend.users.values()):
                for key in list(user.access_keys):
                    caller = callers.find(key.access_key_id, partition)
                    _history.setdefault(key.access_key_id, []).append((now, caller))


def enforced(caller):
    """The caller as IAM's hosts know it."""
    if caller.kind != "user" or caller.account not in _lags:
        return caller
    moment = time.time() - random.uniform(*_lags[caller.account])
    states = _history.get(caller.key, [])
    known = bisect.bisect_right(states, moment, key=lambda state: state[0])
    return states[known - 1][1] if known else callers.Caller(key=caller.key)
