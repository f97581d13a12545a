"""AWS's own API models, from botocore: parsing a request's input, and checking it as AWS does."""

import re

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol


def parameters(response, operation):
    request = response.normalized_request
    protocol = determine_request_protocol(operation.service_model, request.content_type)
    parts = {
        "method": request.method,
        "values": request.values,
        "headers": request.headers,
        "body": request.data,
        "url_path": request.path,
        "url_params": response.uri_match,
    }
    return PROTOCOL_PARSERS[protocol](operation).parse(parts) or {}


def errors(shape, value, path="request"):
    """Every violation of the model: required members, enums, lengths, ranges, patterns."""
    yield from _CHECKS.get(shape.type_name, lambda *_: ())(shape, value, path)


def _structure(shape, value, path):
    if not isinstance(value, dict):
        yield f"{path}: expected a structure"
        return
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"{path}.{name}: required"
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from errors(member, value[name], f"{path}.{name}")


def _list(shape, value, path):
    if not isinstance(value, list):
        yield f"{path}: expected a list"
        return
    yield from _size(shape, len(value), path)
    for index, element in enumerate(value):
        yield from errors(shape.member, element, f"{path}[{index}]")


def _map(shape, value, path):
    yield from _size(shape, len(value), path)
    for key, element in value.items():
        yield from errors(shape.key, key, f"{path} key")
        yield from errors(shape.value, element, f"{path}[{key}]")


def _string(shape, value, path):
    if not isinstance(value, str):
        yield f"{path}: expected text"
        return
    if getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path}: not one of {shape.enum}"
    yield from _size(shape, len(value), path)
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, value):
        yield f"{path}: does not match {pattern}"


def _number(shape, value, path):
    yield from _size(shape, value, path)


def _size(shape, size, path):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        yield f"{path}: {size} is outside {low}..{high}"


_JAVA_CLASSES = {r"\p{Z}": r"\s", r"\p{L}": "A-Za-z", r"\p{N}": "0-9", r"\p{S}": r"$+<>=^`|~", r"\u0020": " "}


def _matches(pattern, value):
    for java, python in _JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.fullmatch(pattern, value, re.S | re.A) is not None
    except re.error:  # A pattern that only Java can read is not checked.
        return True


_CHECKS = {"structure": _structure, "list": _list, "map": _map, "string": _string, "integer": _number, "long": _number}
