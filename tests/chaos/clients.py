"""Clients that hand in work over HTTP and write down what they were promised.

Each prompt is used once, so that what came of a post can be found in the tables. A post with a key is
repeated until it is answered, as a client does whose connection broke; one without is not.
"""

import random
import threading
import time
from dataclasses import dataclass, field

import httpx2

PAUSE_SECONDS = (0.05, 0.3)
PATIENCE_SECONDS = 90


@dataclass
class Promises:
    """What clients were promised, and what they cannot know."""

    accepted: dict = field(default_factory=dict)  # the task's UUID: its prompt
    keyed: set = field(default_factory=set)  # prompts that must be there exactly once
    unsure: set = field(default_factory=set)  # prompts whose answer never came, sent without a key
    cancelled: set = field(default_factory=set)  # tasks whose cancelling was answered with success
    reposts: int = 0
    wrong: list = field(default_factory=list)  # answers that must not be
    guard: threading.Lock = field(default_factory=threading.Lock)
    crowded: threading.Event = field(default_factory=threading.Event)  # enough is waiting
    webhook: str | None = None  # where ends are told to


class Client:
    """One client with its own dice."""

    def __init__(self, number, address, promises, seed):
        self.number, self.promises = number, promises
        self.dice = random.Random(f"{seed} {number}")
        self.http = httpx2.Client(base_url=address, timeout=20, trust_env=False)
        self.posts = 0
        self.stubref = None

    def run(self, stopping):
        while not stopping.is_set():
            if not self.promises.crowded.is_set():
                self.act()
            stopping.wait(self.dice.uniform(*PAUSE_SECONDS))
        self.http.close()

    def act(self):
        roll = self.dice.random()
        if self.stubref is None or roll < 0.05:
            self.post_stub()
        elif roll < 0.5:
            self.post_task()
        elif roll < 0.8:
            self.post_stubpost()
        elif roll < 0.88:
            self.cancel()
        else:
            self.reuse_a_key()

    def prompt(self):
        self.posts += 1
        return f"chaos {self.number} {self.posts}"

    def params(self):
        params = {"prompt": self.prompt()}
        roll = self.dice.random()
        if roll < 0.15:
            params["model"] = "fake-flaky"
        elif roll < 0.2:
            params["model"] = "fake-refusing"
        elif roll < 0.23:
            params["model"] = "fake-slow"
        elif roll < 0.35:
            params["model"] = "fake-failing"
        if self.dice.random() < 0.25:
            params["disable_model_response"] = self.dice.choice([True, "true"])
        return params

    def post_stub(self):
        answer = self.send("/stubs", {"data": {"client": self.number}}, key=self.key())
        if answer is not None:
            self.stubref = answer["stubref"]

    def post_task(self):
        body = self.told({"tasktype": "generate_image", "params": self.params()})
        if self.dice.random() < 0.6:
            body["stubref"] = self.stubref
        if self.dice.random() < 0.2:
            body["priority"] = self.dice.randint(1, 200)
        self.post("/tasks", body, [body["params"]["prompt"]])

    def post_stubpost(self):
        tasks = {
            f"picture_{n}": self.told({"tasktype": "generate_image", "params": self.params()})
            for n in range(self.dice.randint(2, 4))
        }
        if self.dice.random() < 0.3:
            tasks["keep"] = self.keeping()
        prompts = [task["params"]["prompt"] for task in tasks.values()]
        self.post(f"/stubs/{self.stubref}/stubposts", {"tasks": tasks}, prompts)

    def told(self, task):
        """Ask for some tasks to be told of their end."""
        wanted = self.promises.webhook and self.dice.random() < 0.5
        return task | {"webhook": self.promises.webhook} if wanted else task

    def keeping(self):
        """Return a task that notes its own prompt in the stub's data."""
        prompt = self.prompt()
        return {
            "tasktype": "savedata",
            "params": {"prompt": prompt, "data": {"kept": {prompt: "~~stubpost.stubpostuuid"}}},
        }

    def key(self):
        return f"chaos-{self.number}-{self.posts}-{self.dice.getrandbits(32)}"

    def post(self, path, body, prompts):
        key = self.key() if self.dice.random() < 0.7 else None
        answer = self.send(path, body, key=key)
        if answer is None:
            with self.promises.guard:
                self.promises.unsure.update(prompts)
            return
        records = answer["tasks"].values() if "tasks" in answer else [answer]
        with self.promises.guard:
            self.promises.accepted |= {r["taskuuid"]: r["params"]["prompt"] for r in records}
            if key:
                self.promises.keyed.update(prompts)
        if key and self.dice.random() < 0.3:
            self.repeat(path, body, key, answer)

    def repeat(self, path, body, key, answer):
        """Post what was answered once more: the same answer, no second task."""
        again = self.send(path, body, key=key)
        name = "stubpostuuid" if "tasks" in answer else "taskuuid"
        if again is not None and again[name] != answer[name]:
            self.complain(f"{key!r} led to {answer[name]}, then to {again[name]}")

    def reuse_a_key(self):
        """Post another body under a key: refused, and nothing is stored."""
        key = self.key()
        body = {"tasktype": "generate_image", "params": self.params(), "stubref": self.stubref}
        answer = self.send("/tasks", body, key=key)
        if answer is None:
            self.complain(f"{key!r} was never answered")
            return
        with self.promises.guard:
            self.promises.accepted[answer["taskuuid"]] = body["params"]["prompt"]
            self.promises.keyed.add(body["params"]["prompt"])
        other = {"tasktype": "generate_image", "params": {"prompt": f"not {key}"}}
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                answer = self.http.post("/tasks", json=other, headers={"Idempotency-Key": key})
            except httpx2.TransportError:
                time.sleep(0.1)
                continue
            if answer.status_code != 503:
                if answer.status_code != 409:
                    self.complain(f"{key!r} with another body: {answer.status_code}")
                return
            time.sleep(0.1)

    def cancel(self):
        with self.promises.guard:
            known = list(self.promises.accepted)[-15:]
        if not known:
            return
        taskuuid = self.dice.choice(known)
        try:
            answer = self.http.post(f"/tasks/{taskuuid}/cancel")
        except httpx2.TransportError:
            return
        if answer.status_code // 100 == 2:
            with self.promises.guard:
                self.promises.cancelled.add(taskuuid)
        elif answer.status_code not in (409, 503):
            self.complain(f"cancel: {answer.status_code} {answer.text[:300]}")

    def send(self, path, body, *, key):
        """Post; with a key until it is answered. None where no answer came."""
        headers = {"Idempotency-Key": key} if key else {}
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = self.http.post(path, json=body, headers=headers)
            except httpx2.ConnectError:
                answer = None  # nothing was sent
            except httpx2.TransportError:
                answer = None
                if key is None:
                    return None
            if answer is not None and answer.status_code != 503:
                break
            if answer is not None and key is None:
                return None  # the database was away; what it wrote down is not known
            if time.monotonic() > until:
                self.complain(f"no answer to {path} for {PATIENCE_SECONDS} s")
                return None
            with self.promises.guard:
                self.promises.reposts += 1
            time.sleep(0.1)
        if answer.status_code // 100 != 2:
            self.complain(f"{path}: {answer.status_code} {answer.text[:300]}")
            return None
        return answer.json()

    def complain(self, sentence):
        with self.promises.guard:
            self.promises.wrong.append(sentence)
