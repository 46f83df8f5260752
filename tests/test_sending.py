"""One message to a receiver: where it may go, what came of it, and how little is read of the answer."""

import asyncio
import os
import socket
import threading
import time
from email.utils import formatdate

import pytest

from gouache import calling, sending
from gouache.sending import post
from tests.receivers import NAME, PUBLIC, later, receiver, say
from tests.receivers import certificate as certificate
from tests.receivers import world as world


def send(url, *, private=True):
    return asyncio.run(post(url, b'{"a": 1}', {"webhook-id": "msg_1"}, private_networks=private))


def test_a_message_arrives_as_it_is():
    with receiver() as there:
        assert send(there.url) == sending.Answer(204)
    (message,) = there.messages
    assert (message.path, message.body) == ("/told?token=secret", b'{"a": 1}')
    assert message.headers["host"] == f"127.0.0.1:{there.port}"
    assert message.messageid == "msg_1"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
    ],
)
def test_a_private_address_is_not_called(host, world):
    with receiver() as there:
        answer = send(f"http://{host}:{there.port}/", private=False)
    refusals = ("leads to a private network", "has an address that cannot be called")
    assert answer.error.startswith(refusals)
    assert answer.is_final
    assert (there.messages, world.reached) == ([], [])


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::1", PUBLIC]])
def test_a_name_one_of_whose_addresses_is_private_is_not_called(addresses, world):
    world.leads(NAME, *addresses)
    answer = send(f"http://{NAME}/", private=False)
    assert answer.error.startswith("leads to a private network")
    assert world.reached == []


def test_a_name_that_is_led_elsewhere_after_it_was_judged_is_not_followed(world):
    world.leads(NAME, [PUBLIC], ["127.0.0.1"])
    with receiver() as there, receiver() as inside:
        world.sites[PUBLIC] = there.port
        url = f"http://{NAME}:{inside.port}/"
        assert send(url, private=False).status == 204
        assert world.asked == [NAME]
        assert world.reached == [PUBLIC]
        assert send(url, private=False).is_final
    assert len(there.messages) == 1
    assert there.messages[0].headers["host"] == f"{NAME}:{inside.port}"
    assert inside.messages == []


def test_another_address_of_the_name_is_tried_where_one_does_not_answer(world):
    world.leads(NAME, "127.0.0.1", PUBLIC)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with receiver() as there:
        world.sites[PUBLIC] = there.port
        assert send(f"http://{NAME}:{port}/").status == 204
    assert world.reached == ["127.0.0.1", PUBLIC]


def test_a_certificate_is_checked_against_the_name_and_not_the_address(world, certificate, trusted):
    world.leads(NAME, "127.0.0.1")
    world.leads("other.test", "127.0.0.1")
    with receiver(certificate=certificate) as there:
        assert send(f"https://{NAME}:{there.port}/").status == 204
        for host in ("other.test", "127.0.0.1"):
            answer = send(f"https://{host}:{there.port}/")
            assert answer.error.startswith("has a certificate that is refused: ")
            assert "mismatch" in answer.error
    assert len(there.messages) == 1


@pytest.fixture
def trusted(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    calling.certificates.cache_clear()
    yield
    calling.certificates.cache_clear()


def test_a_certificate_that_nobody_vouches_for_is_refused(world, certificate):
    world.leads(NAME, "127.0.0.1")
    with receiver(certificate=certificate) as there:
        answer = send(f"https://{NAME}:{there.port}/")
    assert answer.error == "has a certificate that is refused: self-signed certificate"
    assert (answer.is_final, there.messages) == (False, [])


def test_a_receiver_without_tls_is_said():
    with receiver() as there:
        answer = send(there.url.replace("http:", "https:"))
    assert answer.error == "does not speak TLS as we do"


def test_a_redirect_is_not_followed():
    with receiver() as inside:

        def lead_inside(request):
            say(request, 307, Location=inside.url)

        with receiver(lead_inside) as there:
            answer = send(there.url)
    assert answer.error == "answered 307, a redirect, which is not followed"
    assert (len(there.messages), inside.messages) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_refusal_is_said_with_its_status(status):
    with receiver(status) as there:
        assert send(there.url) == sending.Answer(status, f"answered {status}")


def test_gone_is_final():
    with receiver(410) as there:
        assert send(there.url).is_final


def test_a_receiver_may_say_when_to_come_again():
    def in_a_minute(request):
        say(request, 503, Retry_After="60")

    def by_date(request):
        say(request, 429, Retry_After=formatdate(time.time() + 90, usegmt=True))

    def in_no_words_we_know(request):
        say(request, 503, Retry_After="soon")

    with receiver(in_a_minute, by_date, in_no_words_we_know) as there:
        assert send(there.url).retry_after_seconds == 60
        assert send(there.url).retry_after_seconds == pytest.approx(90, abs=5)
        assert send(there.url).retry_after_seconds is None


def test_nobody_there_is_said():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    answer = send(f"http://127.0.0.1:{port}/")
    assert (answer.error, answer.is_final) == ("cannot be connected to", False)


def test_a_name_that_leads_nowhere_is_said():
    assert send("http://nowhere.invalid/").error == "has a name that leads nowhere"


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "\N{CIRCLED DIGIT ONE}.example", "a..b"])
def test_a_name_that_is_none_is_said(host):
    assert send(f"http://{host}/").error in (
        "has an address that cannot be called",
        "has a name that leads nowhere",
    )


def test_a_slow_receiver_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(calling, "CONNECT_SECONDS", 0.3)
    with receiver(later(3)) as there:
        begun = time.monotonic()
        answer = send(there.url)
    assert answer.error == "did not answer in time"
    assert time.monotonic() - begun < 2


def test_a_receiver_that_answers_drop_by_drop_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(sending, "WHOLE_SECONDS", 1)

    def drop_by_drop(request):
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(30):
            request.wfile.write(b"X: y\r\n")
            time.sleep(0.2)

    with receiver(drop_by_drop) as there:
        begun = time.monotonic()
        answer = send(there.url)
    assert answer.error == "did not answer in time"
    assert time.monotonic() - begun < 3


def test_a_huge_answer_is_not_read():
    written = []
    done = threading.Event()

    def endless(request):
        request.send_response(200)
        request.end_headers()
        try:
            for _ in range(2000):
                written.append(request.wfile.write(bytes(100_000)))
        except OSError:
            pass
        finally:
            done.set()

    with receiver(endless) as there:
        assert send(there.url) == sending.Answer(200)
        assert done.wait(10)
    assert sum(written) < 20_000_000  # what fits into the buffers of the system


def test_what_is_no_http_is_said():
    def nonsense(request):
        request.wfile.write(b"220 mail.example ESMTP\r\n")

    with receiver(nonsense) as there:
        assert send(there.url).error == "broke off the connection (RemoteProtocolError)"


def test_no_proxy_of_the_environment_is_used(monkeypatch):
    with receiver() as proxy, receiver() as there:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert os.environ["http_proxy"]
        assert send(there.url).status == 204
    assert (len(there.messages), proxy.messages) == (1, [])
