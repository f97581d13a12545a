"""IAM's policy language: does a set of documents allow a request?

Pure functions over documents. What can't be evaluated fails loudly; it is never guessed.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import datetime as dt
import functools
import ipaddress
import json
import re

UTC = dt.timezone.utc


class Unsupported(Exception):
    """A condition operator that this evaluator does not know."""


# What `${*}`, `${?}` and `${$}` stand for: the characters themselves, and no pattern.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
LITERAL = {"*": "\ue000", "?": "\ue001", "$": "\ue002"}
_CHARACTERS = {literal: character for character, literal in LITERAL.items()}


def _spelt_out(text):
    return "".join(_CHARACTERS.get(c, c) for c in text) if isinstance(text, str) else text


def as_list(value):
    return value if isinstance(value, list) else [value]


def glob(pattern, text, ignore_case=False):
    """`*` and `?`, over the whole text. What was written as `${*}` is a star."""
    if ignore_case:
        pattern, text = pattern.lower(), text.lower()
    return _compiled(pattern).fullmatch(text) is not None


@functools.lru_cache(4096)
def _compiled(pattern):
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(_CHARACTERS.get(c, c)) for c in pattern)
    return re.compile("".join(parts), re.S)


@functools.lru_cache(4096)
def _parsed(document):
    """Nobody changes what they get: documents are read by every call."""
    return json.loads(document)


def arn_like(pattern, arn):
    """Each of the six parts of an ARN on its own: a `*` does not reach over a colon."""
    if pattern == "*":
        return True
    left, right = pattern.split(":", 5), arn.split(":", 5)
    return len(left) == len(right) == 6 and all(map(glob, left, right))


def _date(text):
    text = str(text)
    if text.isdigit():
        return dt.datetime.fromtimestamp(int(text), UTC)
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def _compare(convert, test):
    return lambda want, have: test(convert(have), convert(want))


OPERATORS = {
    "StringEquals": lambda want, have: want == have,
    "StringEqualsIgnoreCase": lambda want, have: want.lower() == have.lower(),
    "StringLike": glob,
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    "NumericEquals": _compare(float, lambda a, b: a == b),
    "NumericLessThan": _compare(float, lambda a, b: a < b),
    "NumericLessThanEquals": _compare(float, lambda a, b: a <= b),
    "NumericGreaterThan": _compare(float, lambda a, b: a > b),
    "NumericGreaterThanEquals": _compare(float, lambda a, b: a >= b),
    "DateEquals": _compare(_date, lambda a, b: a == b),
    "DateLessThan": _compare(_date, lambda a, b: a < b),
    "DateLessThanEquals": _compare(_date, lambda a, b: a <= b),
    "DateGreaterThan": _compare(_date, lambda a, b: a > b),
    "DateGreaterThanEquals": _compare(_date, lambda a, b: a >= b),
    "Bool": lambda want, have: str(want).lower() == str(have).lower(),
    "IpAddress": lambda want, have: ipaddress.ip_address(have) in ipaddress.ip_network(want, strict=False),
}
NEGATIONS = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}


def _substitute(text, context):
    """`${aws:username}` and its like; one without a value matches nothing."""

    def value(match):
        name = match.group(1)
        if name in LITERAL:
            return LITERAL[name]
        found = context.get(name.lower())
        return found if isinstance(found, str) else "\0missing"

    return re.sub(r"\$\{([^}]+)\}", value, text) if isinstance(text, str) else text


def conditions_hold(block, context):
    return all(
        _condition_holds(operator, key, as_list(want), context)
        for operator, keys in (block or {}).items()
        for key, want in keys.items()
    )


def _condition_holds(operator, key, want, context):
    quantifier, base = operator.split(":", 1) if ":" in operator else (None, operator)
    if_exists = base.endswith("IfExists")
    base = base.removesuffix("IfExists")
    have = context.get(key.lower())
    if base == "Null":
        return all((str(w).lower() == "true") == (have is None) for w in want)
    negated = base in NEGATIONS
    test = OPERATORS.get(NEGATIONS.get(base, base))
    if test is None:
        raise Unsupported(operator)
    if have is None:
        # `ForAnyValue` of no value holds of none, negated or not.
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
        return if_exists or quantifier == "ForAllValues" or (negated and quantifier is None)
    want = [_substitute(w, context) for w in want]
    if NEGATIONS.get(base, base) not in ("StringLike", "ArnEquals", "ArnLike"):
        want = [_spelt_out(w) for w in want]
    matches = [any(test(w, value) for w in want) != negated for value in as_list(have)]
    every = quantifier == "ForAllValues" or (quantifier is None and negated)
    return all(matches) if every else any(matches)


def _principal_matches(principal, who):
    if principal == "*":
        return True
    for kind, values in principal.items():
        for value in as_list(values):
            if kind == "Service" and value == who.get("service"):
                return True
            if kind != "AWS":
                continue
            if value == "*" or value in who.get("arns", ()):
                return True
            account = re.fullmatch(r"(?:arn:aws[\w-]*:iam::)?(\d{12})(?::root)?", value)
            if account and account.group(1) == who.get("account"):
                return True
    return False


def evaluate(documents, action, resources, context, who=None):
    """'allow', 'deny' or 'implicit', for documents of one kind. `who` is for trust policies."""
    allowed = set()
    for document in documents:
        document = _parsed(document) if isinstance(document, str) else document
        for statement in as_list(document["Statement"]):
            if not _statement_applies(statement, action, context, who):
                continue
            for resource in resources:
                if not _names_resource(statement, resource, context):
                    continue
                if statement["Effect"] == "Deny":
                    return "deny"
                allowed.add(resource)
    return "allow" if allowed >= set(resources) else "implicit"


def _statement_applies(statement, action, context, who):
    if "Action" in statement:
        named = any(glob(a, action, True) for a in as_list(statement["Action"]))
    else:
        named = not any(glob(a, action, True) for a in as_list(statement["NotAction"]))
    if not named:
        return False
    if who is not None:
        if "Principal" in statement and not _principal_matches(statement["Principal"], who):
            return False
        if "NotPrincipal" in statement and _principal_matches(statement["NotPrincipal"], who):
            return False
    return conditions_hold(statement.get("Condition"), context)


def _names_resource(statement, resource, context):
    if "Resource" in statement:
        return any(glob(_substitute(r, context), resource) for r in as_list(statement["Resource"]))
    if "NotResource" in statement:
        return not any(glob(_substitute(r, context), resource) for r in as_list(statement["NotResource"]))
    return True
