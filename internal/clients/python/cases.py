"""What the scripts have in common: where the router is, what providers answer,
and how a case is reported."""

import hashlib
import json
import os
import time
import traceback

BASE = os.environ["ROUTER"]
KEY = "sk-client"

# What the providers answer, as question_test.go has it.
GREETING = "Grüße from the provider, 世界 👋."
ARGUMENTS = {"city": "Tromsø", "days": 3}
STRUCTURED = {"city": "Tromsø", "degrees": -4, "sky": ["clear", "dark"]}
TOOL_SAYS = "The tool says: "

_cases = []


def case(name, always=False):
    """A case. One that has to hold however the first deployment fails is done
    once for each of its turns."""

    def register(attempt):
        _cases.append((name, attempt, int(os.environ["TURNS"]) if always else 1))
        return attempt

    return register


def run():
    """Try all cases, one after the other, and print a line for each."""
    for name, attempt, times in _cases:
        error = ""
        try:
            for _ in range(times):
                attempt()
        except Exception:
            error = traceback.format_exc()
        print(json.dumps({"case": name, "error": error}), flush=True)


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def content(n):
    """Content for files and images, of all values."""
    return bytes(i * 31 % 256 for i in range(n))


def fingerprint(data):
    """What a provider says of bytes that have arrived."""
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"


def failure(attempt):
    """The error that something ends with."""
    try:
        attempt()
    except Exception as error:
        return error
    raise AssertionError("got an answer, want an error")


class Watched:
    """Keeps what came of each request: its status, the router's attempts, and
    when it was made."""

    def __init__(self):
        self.times, self.statuses, self.attempts = [], [], []

    def request(self, _):
        self.times.append(time.monotonic())

    def response(self, response):
        self.statuses.append(response.status_code)
        self.attempts.append(int(response.headers.get("X-LLM-Attempts", "0")))
