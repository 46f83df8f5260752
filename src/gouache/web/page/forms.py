"""The form that starts a task: what it offers, what was typed, and what is wrong with it.

Each form carries a key that was made with it. What is sent with it and says the same is the same
task, however often it comes: a double click, a reload, the way back
(`test_the_same_form_sent_twice_makes_one_task`).
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from gouache.contract import QUALITIES, SIZES, GenerateImage
from gouache.errors import GouacheError, RequestError
from gouache.given import problems
from gouache.service import Service

Options = Sequence[tuple[str, str]]

NO_STUB, NEW_STUB = "none", "new"
FIELDS = ("prompt", "size", "quality", "model", "stub", "style", "filename", "seed")
PARAMS = ("prompt", "size", "quality", "style", "filename", "seed")
MORE = ("style", "filename", "seed")
"""The fields that are not in sight at first."""

SIZE_WORDS = {"1024x1024": "Square", "1024x1792": "Tall", "1792x1024": "Wide"}
QUALITY_WORDS = {"standard": "Standard", "hd": "HD, takes longer"}
_KEY = re.compile("[A-Za-z0-9_-]{16,64}")


@dataclass(frozen=True)
class Form:
    """What was chosen so far, what there is to choose from, and a sentence for each wrong field."""

    key: str
    prompt: str = ""
    size: str = SIZES[0]
    quality: str = QUALITIES[0]
    model: str = ""
    stub: str = NO_STUB
    style: str = ""
    filename: str = ""
    seed: str = ""
    post: bool = True
    fixed: str = ""
    done: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    models: Options = ()
    styles: Options = ()
    stubs: Options = ()

    id = "start"
    sizes = [(size, f"{SIZE_WORDS[size]}, {size.replace('x', '×')}") for size in SIZES]
    qualities = [(quality, QUALITY_WORDS[quality]) for quality in QUALITIES]

    def __getitem__(self, name: str) -> str:
        """Return what was typed into a field."""
        return str(getattr(self, name))

    @property
    def title(self) -> str:
        """What the form is for."""
        return "Draw another picture on this stub" if self.fixed else "Draw a picture"

    @property
    def first_error(self) -> str | None:
        """The first field that is wrong."""
        return next((name for name in FIELDS if name in self.errors), None)

    @property
    def has_more(self) -> bool:
        """Whether the fields that are not in sight at first have something to show."""
        return any(self[name] or name in self.errors for name in MORE) or not self.post

    @property
    def once(self) -> str:
        """The idempotency key: of this form, and of what is said in it."""
        said = json.dumps([*(self[name] for name in FIELDS), self.post, self.fixed])
        return f"page-{self.key}-{hashlib.sha256(said.encode()).hexdigest()[:32]}"

    @property
    def stubref(self) -> str | None:
        """The stub it is for; None for none, and for one that is still to be made."""
        return self.fixed or (None if self.stub in (NO_STUB, NEW_STUB) else self.stub)


def new_key() -> str:
    """Return a key for a form."""
    return secrets.token_urlsafe(18)


def checked_key(key: str) -> str:
    """Return the key of a form that was sent.

    Raises:
        RequestError: it is none of ours.
    """
    if not _KEY.fullmatch(key):
        raise RequestError("the form is not complete; load the page again", param="key")
    return key


def blank(service: Service, stubs: Sequence[str] = (), *, fixed: str = "") -> Form:
    """Return a new form, for a stub or for any of these."""
    return _with_choices(service, stubs, Form(key=new_key(), fixed=fixed))


def given(service: Service, sent: Mapping[str, str], stubs: Sequence[str] = ()) -> Form:
    """Return the form as it was sent.

    Raises:
        RequestError: it has no key.
    """
    values = {name: sent.get(name, "").strip() for name in FIELDS if name in sent}
    form = Form(
        key=checked_key(sent.get("key", "")),
        post="post" in sent,
        fixed=sent.get("fixed", ""),
        **values,  # type: ignore[arg-type]
    )
    return _with_choices(service, stubs, form)


def task_of(service: Service, form: Form) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the task that a form asks for, and a sentence for each field that cannot be used."""
    params: dict[str, Any] = {name: form[name] for name in PARAMS if form[name]}
    if form.seed.isascii() and form.seed.isdecimal():
        params["seed"] = int(form.seed[:20])
    if not form.post:
        params["disable_model_response"] = True
    gateway, _, params["model"] = form.model.partition("/")
    row = service.settings.all_gateways.get(gateway)
    wrong = {} if row and params["model"] else {"model": "choose one of the models"}
    try:
        GenerateImage.model_validate(params)
    except ValidationError as error:
        for problem in problems(GenerateImage, error):
            wrong.setdefault(problem.path, problem.sentence)
    uuid = str(row.taskapigatewayuuid) if row else ""
    return {"tasktype": "generate_image", "taskapigatewayuuid": uuid, "params": params}, wrong


def blamed(error: GouacheError) -> dict[str, str]:
    """Return the field that an error of the service is about, or the whole form, with the sentence."""
    name = (error.param or "").rpartition(".")[2].replace("stubref", "stub")
    return {name if name in FIELDS else "whole": error.message}


def _with_choices(service: Service, stubs: Sequence[str], form: Form) -> Form:
    models, styles = _drawn_by(service)
    listed = [form.stub] if form.stubref and form.stubref not in stubs else []
    return replace(
        form,
        models=models,
        model=form.model or models[0][0] if models else "",
        styles=[("", "As the prompt says"), *((style, style) for style in styles)],
        stubs=[
            (NO_STUB, "None"),
            (NEW_STUB, "A new stub"),
            *((stubref, stubref) for stubref in [*listed, *stubs]),
        ],
    )


def _drawn_by(service: Service) -> tuple[Options, Sequence[str]]:
    """Return the models of all gateways that can be used, and the styles of any of them."""
    models, styles = [], dict[str, None]()
    rows = service.settings.all_gateways
    for name in rows:
        try:
            can = service.gateways.capabilities(name)
        except GouacheError:
            continue  # `gouache doctor` says why
        place = f" ({name})" if len(rows) > 1 else ""
        models += [(f"{name}/{asked}", f"{asked}{place}") for asked in can.models]
        styles.update(dict.fromkeys(can.styles))
    return models, list(styles)
