"""An open hub is for this machine only."""

from __future__ import annotations

import pytest

from hub.errors import Forbidden, Misconfigured
from hub.messages import Caller
from hub.security import OPEN, authorize, caller_of, check_exposure, is_loopback

HOST = (b"host", b"127.0.0.1:8080")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_loopback_may_be_listened_to(host: str) -> None:
    check_exposure(host)
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "hub.example", "", "127.0.0.1.example"])
def test_any_other_address_is_refused(host: str) -> None:
    with pytest.raises(Misconfigured, match="loopback"):
        check_exposure(host)


def test_a_local_request_is_open() -> None:
    assert caller_of([HOST], ("127.0.0.1", 1)) == OPEN
    assert caller_of([(b"host", b"[::1]:80"), (b"origin", b"http://localhost:3000")], ("::1", 1)) == OPEN


@pytest.mark.parametrize(
    "header",
    [
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"forwarded", b"for=127.0.0.1"),
        (b"origin", b"null"),
        (b"origin", b"https://elsewhere.example"),
        (b"host", b"elsewhere.example"),
        (b"host", b"[oops"),
    ],
)
def test_what_came_from_elsewhere_is_refused(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(Forbidden):
        caller_of([HOST, header], ("127.0.0.1", 1))


def test_another_machine_is_refused() -> None:
    with pytest.raises(Forbidden):
        caller_of([HOST], ("192.0.2.1", 1))


def test_a_caller_belongs_to_an_organisation() -> None:
    authorize(OPEN, "read", "Patient")
    with pytest.raises(Forbidden):
        authorize(Caller(organisation=""), "read", "Patient")
