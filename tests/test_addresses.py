"""Addresses that others hand in: what is taken for one, and which lead into private networks."""

from ipaddress import ip_address

import pytest

from gouache.addresses import is_public, is_written_private, web_address

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "93.184.216.34",
    "::ffff:93.184.216.34",
    "64:ff9b::93.184.216.34",
    "2002:5db8:d822::1",
    "2606:2800:220:1:248:1893:25c8:1946",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_not_public(address):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_world_is_public(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        *(f"[{a}]" if ":" in a else a for a in PRIVATE),
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.0.0.1.",
        "\N{FULLWIDTH DIGIT ONE}\N{FULLWIDTH DIGIT TWO}\N{FULLWIDTH DIGIT SEVEN}.0.0.1",
    ],
)
def test_a_private_address_is_known_in_every_spelling(host):
    assert is_written_private(web_address(f"http://{host}:8080/path"))


@pytest.mark.parametrize("host", ["example.org", "1.1.1.1", "[2606:2800:220:1::1]", "10.example"])
def test_a_name_is_judged_only_where_it_is_called(host):
    assert not is_written_private(web_address(f"https://{host}/"))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "https://example.org:8443/a/b?c=d#e",
        "https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example/",
        "http://[2606:2800:220:1::1]:80/",
        "https://example.org/@someone",
    ],
)
def test_a_web_address_is_taken_as_it_is(url):
    assert web_address(url) == url


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "must begin with https:// or http://"),
        ("ftp://example.org/", "must begin with"),
        ("file:///etc/passwd", "must begin with"),
        ("example.org/hook", "must begin with"),
        ("https://ada@example.org/", "without a name or password"),
        ("https://ada:secret@example.org/", "without a name or password"),
        ("http://", "must be an address like"),
        ("http:///path", "must be an address like"),
        ("http://?x", "must be an address like"),
        ("http://exa mple.org/", "must be an address like"),
        ("http://example.org/a b", "must be an address like"),
        ("http://example.org\\@127.0.0.1/", "without a name or password"),
        ("http://example.org\\.internal/", "must be an address like"),
        ("http://example.org/\r\nX: y", "must be an address like"),
        ("http://%31%32%37.0.0.1/", "must be an address like"),
        ("http://[fe80::1%25eth0]/", "must be an address like"),
        ("http://example.org:0/", "must be an address like"),
        ("http://example.org:65536/", "must be an address like"),
        ("http://example.org:x/", "must be an address like"),
        ("http://[::1/", "must be an address like"),
        ("https://example.org/" + "a" * 2000, "at most 2,000 characters"),
    ],
)
def test_what_is_no_web_address_is_refused(url, sentence):
    with pytest.raises(ValueError, match=sentence):
        web_address(url)
