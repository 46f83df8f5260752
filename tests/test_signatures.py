"""Signatures, checked by the library that receivers use."""

import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from gouache.signatures import headers, key_of, new_secret

BODY = '{"prompt": "Grüße"}'.encode()


def test_a_receiver_takes_the_signature():
    secret = new_secret()
    signed = headers(secret, "msg_1", int(time.time()), BODY)
    assert Webhook(secret).verify(BODY, signed) == {"prompt": "Grüße"}


@pytest.mark.parametrize("change", ["body", "id", "time", "secret"])
def test_a_receiver_refuses_what_was_changed(change):
    secret, body = new_secret(), BODY
    moment = int(time.time())
    signed = headers(secret, "msg_1", moment, body)
    if change == "body":
        body += b" "
    elif change == "id":
        signed["webhook-id"] = "msg_2"
    elif change == "time":
        signed["webhook-timestamp"] = str(moment + 1)
    else:
        secret = new_secret()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, signed)


def test_two_secrets_differ_and_have_32_bytes():
    assert new_secret() != new_secret()
    assert len(key_of(new_secret())) == 32


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "*" * 40, "x" * 44, "whsec_" + "A" * 100]
)
def test_what_is_no_secret_is_refused_and_not_shown(secret):
    with pytest.raises(ValueError, match="must be whsec_ and then 24 to 64 bytes") as refused:
        key_of(secret)
    assert len(secret) < 10 or secret not in str(refused.value)
