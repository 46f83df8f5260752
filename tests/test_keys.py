"""Named keys: rows of the settings, whom they let in, and the commands that list and make them."""

import logging
import re
from hashlib import sha256

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from gouache.callers import NOBODY, Callers, missing_keys
from gouache.cli import app
from gouache.errors import SettingsError
from gouache.settings import check_exposure, read_settings, shown_settings
from tests.opening import new, opened
from tests.served import served

HOUSE = "the-key-of-the-house-itself"
ADA = "a-key-that-is-ada-s-alone"
BOB = "a-key-that-is-bob-s-alone"


def digest(key):
    return sha256(key.encode()).hexdigest()


ROWS = {"ada": {"sha256": digest(ADA)}, "bob": {"key_env": "BOB_KEY"}}


@pytest.fixture
def bob_has_a_key(monkeypatch):
    monkeypatch.setenv("BOB_KEY", BOB)


def of(client, key):
    return {
        "headers": {"Authorization": f"Bearer {key}", "Origin": str(client.base_url).rstrip("/")}
    }


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({}, "keys.ada.key_env or sha256 must say how the key is known: one of both"),
        ({"key_env": "A", "sha256": digest(ADA)}, "one of both"),
        ({"sha256": ADA}, "keys.ada.sha256 must match"),
        ({"key_env": ADA}, "keys.ada.key_env must match"),
        ({"key": ADA}, "keys.ada has no field 'key'; did you mean key_env?"),
        ({"sha256": digest(ADA), "budget_usd": -1}, "keys.ada.budget_usd must be"),
        ({"sha256": digest(ADA), "budget_period": "year"}, "must be one of day, month"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_and_its_key_not_shown(row, sentence):
    with pytest.raises(SettingsError, match=re.escape(sentence)) as caught:
        read_settings(keys={"ada": row})
    assert ADA not in caught.value.message


def test_a_name_that_cannot_be_one_is_refused():
    with pytest.raises(SettingsError, match="keys"):
        read_settings(keys={"Ada": ROWS["ada"]})


def test_callers_are_known_by_their_keys(bob_has_a_key):
    callers = Callers(read_settings(api_key=HOUSE, keys=ROWS))
    assert [callers.of_key(key) for key in (HOUSE, ADA, BOB)] == [None, "ada", "bob"]
    for wrong in ("", " ", ADA[:-1], ADA + "x", digest(ADA), "ada", "\udc80"):
        assert callers.of_key(wrong) == NOBODY
    assert Callers(read_settings()).is_open
    assert not Callers(read_settings(keys=ROWS)).is_open


def test_a_variable_without_a_key_opens_nothing(monkeypatch):
    settings = read_settings(keys=ROWS)
    assert missing_keys(settings) == ["bob"]
    assert Callers(settings).of_key("") == NOBODY
    monkeypatch.setenv("BOB_KEY", "too short")
    with pytest.raises(SettingsError, match="16 characters or more") as caught:
        Callers(settings)
    assert "too short" not in caught.value.message


def test_the_digest_of_no_key_opens_nothing():
    assert Callers(read_settings(keys={"ada": {"sha256": digest("")}})).of_key("") == NOBODY


@pytest.mark.parametrize("api_key", [ADA, None])
def test_a_key_that_two_rows_have_is_refused(monkeypatch, api_key):
    monkeypatch.setenv("BOB_KEY", ADA)
    rows = ROWS if api_key is None else {"bob": ROWS["bob"]}
    with pytest.raises(SettingsError, match=r"keys\.bob: another row has the same key"):
        Callers(read_settings(api_key=api_key, keys=rows))


def test_keys_are_shown_by_name_only(bob_has_a_key):
    settings = read_settings(api_key=HOUSE, keys=ROWS)
    assert shown_settings(settings)["keys"] == "ada, bob"
    for text in (repr(settings), str(shown_settings(settings))):
        for secret in (HOUSE, BOB, digest(ADA)):
            assert secret not in text


def test_with_keys_other_machines_may_reach_the_server():
    check_exposure(read_settings(host="0.0.0.0", keys=ROWS))


def test_with_named_keys_alone_nobody_comes_in_without_one(tmp_path, bob_has_a_key, caplog):
    caplog.set_level(logging.DEBUG)
    with served(tmp_path, start=False, keys=ROWS) as server, server.client() as client:
        for path in ("/tasks", "/stubs", "/usage", "/openapi.json", "/v1/models"):
            assert client.get(path).status_code == 401
            assert client.get(path, **of(client, "a-wrong-key-of-nobody")).status_code == 401
            for key in (ADA, BOB):
                assert client.get(path, **of(client, key)).status_code == 200
        assert client.get("/v1/models", headers={"api-key": ADA}).status_code == 200
        assert client.get("/tasks", headers={"api-key": ADA}).status_code == 401
        assert client.get("/health").status_code == 200
        assert client.get("/ui").headers["location"].startswith("/ui/login")
        document = client.get("/openapi.json", **of(client, ADA)).json()
        assert document["security"]
    assert ADA not in caplog.text and BOB not in caplog.text


def log_in(client, key):
    origin = {"Origin": str(client.base_url).rstrip("/")}
    return client.post("/ui/login", data={"key": key}, headers=origin)


def test_the_page_shows_what_is_the_key_s_with_which_one_has_logged_in(tmp_path):
    task = {"tasktype": "generate_image", "params": {"prompt": "An ocelot"}}
    with served(tmp_path, start=False, api_key=HOUSE, keys={"ada": ROWS["ada"]}) as server:
        with server.client() as ada:
            assert log_in(ada, "a-wrong-key-of-nobody").status_code == 401
            assert log_in(ada, ADA).status_code == 303
            assert "An ocelot" not in ada.get("/ui").text
            made = ada.post("/tasks", json=task, **of(ada, HOUSE)).json()["taskuuid"]
            assert "An ocelot" not in ada.get("/ui").text
            assert ada.get(f"/ui/tasks/{made}").status_code == 404
            own = ada.post("/tasks", json=task, **of(ada, ADA)).json()["taskuuid"]
            assert own in ada.get("/ui").text and made not in ada.get("/ui").text
            assert "GOUACHE_API_KEY" in ada.get(f"/ui/tasks/{own}").text
        with server.client() as house:
            assert log_in(house, HOUSE).status_code == 303
            assert own in house.get("/ui").text and made in house.get("/ui").text


@pytest.mark.parametrize(
    "rows", [{}, {"bea": ROWS["ada"]}, {"ada": {"sha256": digest(BOB)}}], ids=str
)
def test_a_session_ends_with_the_row_or_the_key_it_was_begun_with(tmp_path, rows):
    row = {"ada": ROWS["ada"]}
    with served(tmp_path, start=False, api_key=HOUSE, keys=row) as server, server.client() as ada:
        log_in(ada, ADA)
        cookie = ada.cookies["gouache_session"]
    for keys, status in ((row, 200), (rows, 303), (row, 200)):
        with (
            served(tmp_path, start=False, api_key=HOUSE, keys=keys) as server,
            server.client(cookies={"gouache_session": cookie}) as ada,
        ):
            assert ada.get("/ui").status_code == status


def test_a_session_is_not_turned_into_another_s(tmp_path):
    with served(tmp_path, start=False, keys=ROWS) as server:
        with server.client() as ada:
            log_in(ada, ADA)
            expires, _, signature = ada.cookies["gouache_session"].split(".")
        for name, proof in (("", signature), ("bob", signature), ("", ""), ("bob", "")):
            cookies = {"gouache_session": f"{expires}.{name}.{proof}"}
            with server.client(cookies=cookies) as other:
                assert other.get("/ui").status_code == 303


def statements_of(service, do):
    found = []

    def note(connection, cursor, statement, *rest):
        found.append(statement)

    sa.event.listen(service._engine, "before_cursor_execute", note)
    try:
        do()
    finally:
        sa.event.remove(service._engine, "before_cursor_execute", note)
    return found


def test_an_owner_costs_no_statement(tmp_path):
    with opened(tmp_path, start=False, keys={"ada": ROWS["ada"]}, plain={}) as service:
        service.submit(new("The first asks for its queue"))
        of_the_house, of_ada = (
            statements_of(seen, lambda seen=seen: seen.submit(new("A dog")))
            for seen in (service, service.seen_by("ada"))
        )
        assert of_the_house == of_ada
        assert any("INSERT INTO tasks" in statement for statement in of_ada)


def said(*arguments):
    return CliRunner().invoke(app, ["keys", *arguments])


def test_the_keys_are_listed_on_the_command_line(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOUACHE_API_KEY", HOUSE)
    (tmp_path / "gouache.toml").write_text(
        f'[keys.ada]\nsha256 = "{digest(ADA)}"\nbudget_usd = 5\n\n[keys.bob]\nkey_env = "BOB_KEY"\n'
    )
    assert said().stdout.splitlines() == [
        "api_key  the house's own  set",
        "ada  sha256  5 USD a month",
        "bob  the variable BOB_KEY, not set",
    ]
    monkeypatch.setenv("BOB_KEY", BOB)
    found = said()
    assert "the variable BOB_KEY, set" in found.stdout
    for secret in (HOUSE, ADA, BOB, digest(ADA)):
        assert secret not in found.output


def test_a_new_key_is_shown_once_with_its_row(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = said("new", "ada")
    assert found.exit_code == 0
    key, _, lines = found.stdout.partition("\n")
    (tmp_path / "gouache.toml").write_text(lines)
    callers = Callers(read_settings())
    assert callers.of_key(key) == "ada"
    assert len(key) >= 40 and key not in lines
    again = said("new", "ada")
    assert again.exit_code != 0
    assert "there is a key named ada" in again.stderr
    for wrong in (["new"], ["new", "Ada"], ["new", "a b"], ["old", "ada"]):
        assert said(*wrong).exit_code != 0


def test_the_doctor_names_keys_that_open_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gouache.toml").write_text('engine = "fake"\n[keys.bob]\nkey_env = "BOB_KEY"\n')
    found = CliRunner().invoke(app, ["doctor", "--data-dir", str(tmp_path)])
    assert "the key bob opens nothing: set its variable" in found.stdout
    monkeypatch.setenv("BOB_KEY", BOB)
    found = CliRunner().invoke(app, ["doctor", "--data-dir", str(tmp_path)])
    assert "opens nothing" not in found.stdout and BOB not in found.output
