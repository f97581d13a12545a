"""Whether Slack takes a token. The token goes to Slack and nowhere else, in one header, and into no message."""

import json
import urllib.error
import urllib.request

# https://docs.slack.dev/reference/methods/auth.test needs no scope, and posts nothing.
METHOD = "auth.test"


def tried(token, endpoint_url=None):
    """What is wrong, and whether Slack said so itself. A simulated AWS has its own Slack, and its own tokens."""
    base = f"{endpoint_url.rstrip('/')}/_slack/api/" if endpoint_url else "https://slack.com/api/"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=utf-8"}
    try:
        request = urllib.request.Request(base + METHOD, b"{}", headers)
        with urllib.request.urlopen(request, timeout=5) as answer:
            said = json.load(answer)
    except ValueError:
        # Of the header or of the answer; the first has the token in its text.
        return "no token that a header takes, or no answer of Slack's", False
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}", False
    except OSError as error:
        return type(error).__name__, False
    if said.get("ok") is True:
        return None, True
    return str(said.get("error", "?"))[:40], True
