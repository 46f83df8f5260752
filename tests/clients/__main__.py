"""Other people's clients of OpenAI's API, each in an environment of its own and used as it is.

`scripts/clients [NAME ...]` installs each into a folder that is thrown away, draws with it at a server
with the fake engine, and prints what became of it. A client is a short script that writes the picture
it got to the file it is given; it knows the server by the variables that OpenAI's own clients read.
"""

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.commands import begun

KEY = "a-key-of-more-than-16-letters"
HERE = Path(__file__).parent
CONSTRAINTS = HERE.parents[1] / "constraints.txt"


@dataclass(frozen=True)
class Client:
    """A client: the script, what it needs, and the size of the picture it asks for.

    The first of its packages is the one whose version is shown.
    """

    name: str
    script: str
    packages: tuple[str, ...]
    size: tuple[int, int] = (1024, 1024)


def pinned(package):
    """Return the version of a package that the tests use."""
    return re.search(rf"^{package}==(\S+)$", CONSTRAINTS.read_text(), re.MULTILINE)[1]


CLIENTS = (
    Client("openai, pinned", "official.py", (f"openai=={pinned('openai')}",)),
    Client("openai, newest", "official.py", ("openai",)),
    Client("openai, before 2", "official.py", ("openai<2",)),
    Client("openai, for Azure", "azure.py", ("openai",), (1792, 1024)),
    Client("openai, node", "official.mjs", ("openai",)),
    Client("Vercel AI SDK", "vercel.mjs", ("ai", "@ai-sdk/openai")),
    Client("LangChain", "langchain.py", ("langchain-community", "openai", "langchain"), (512, 512)),
    Client(
        "LlamaIndex",
        "llama_index.py",
        ("llama-index-tools-openai-image-generation", "openai", "pillow"),
    ),
    Client("Haystack", "haystack.py", ("haystack-ai",), (1536, 1024)),
    Client("Agno", "agno.py", ("agno", "openai"), (1024, 1792)),
    Client("Semantic Kernel", "semantic_kernel.py", ("semantic-kernel",)),
    Client("LiteLLM", "litellm.py", ("litellm",)),
)


class Environment:
    """A folder with a client and all it needs."""

    def __init__(self, folder, client):
        self._folder = folder
        self._client = client
        self.is_node = client.script.endswith(".mjs")

    def install(self):
        if self.is_node:
            run(["npm", "install", "--silent", "--prefix", str(self._folder), *self._packages])
            return
        run([sys.executable, "-m", "venv", str(self._folder)])
        run([self._python, "-m", "pip", "install", "--quiet", *self._packages])

    def version(self):
        name = re.split("[<=]", self._client.packages[0])[0]
        if self.is_node:
            facts = self._folder / "node_modules" / name / "package.json"
            return json.loads(facts.read_text())["version"]
        code = f"from importlib.metadata import version; print(version('{name}'))"
        return run([self._python, "-c", code]).strip()

    def draw(self, url, file):
        """Run the script, which writes the picture to the file."""
        script = shutil.copy(
            HERE / self._client.script, self._folder / f"draw_{self._client.script}"
        )
        variables = {
            "OPENAI_BASE_URL": f"{url}/v1",
            "OPENAI_API_BASE": f"{url}/v1",
            "OPENAI_API_KEY": KEY,
            "AZURE_OPENAI_ENDPOINT": url,
            "AZURE_OPENAI_API_KEY": KEY,
        }
        program = "node" if self.is_node else self._python
        environment = {n: v for n, v in os.environ.items() if not n.startswith("OPENAI_")}
        run([program, str(script), str(file)], env=environment | variables, cwd=self._folder)

    @property
    def _python(self):
        return str(self._folder / "bin" / "python")

    @property
    def _packages(self):
        return self._client.packages


def run(command, **options):
    """Run a command and return what it prints; RuntimeError with its last error where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, **options)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        told = [line for line in lines if "Error" in line] or lines or [f"exit {done.returncode}"]
        raise RuntimeError(told[-1][:200])
    return done.stdout


def tried(client, url, folder):
    """Return the version of a client and what became of its picture."""
    environment = Environment(folder, client)
    if environment.is_node and not shutil.which("npm"):
        return "", "left out: there is no npm"
    version = ""
    try:
        environment.install()
        version = environment.version()
        file = folder / "picture"
        environment.draw(url, file)
        with Image.open(file) as image:
            image.load()
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        return version, f"failed: {error}"
    if image.size != client.size:
        return version, f"failed: the picture is {image.size}, not {client.size}"
    return version, f"ok, {image.format} {image.width} x {image.height}"


def main(names):
    chosen = [client for client in CLIENTS if not names or client.name in names]
    if not chosen:
        return f"no such client; there are {', '.join(client.name for client in CLIENTS)}"
    failed = 0
    with tempfile.TemporaryDirectory(prefix="clients-") as name:
        folder = Path(name)
        os.environ |= {"GOUACHE_ENGINE": "fake", "GOUACHE_API_KEY": KEY}
        os.environ["GOUACHE_DATA_DIR"] = str(folder / "data")
        with begun(folder, "serve", "--port", "0") as server:
            url = server.ready()
            print(f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}\n")
            print("| client | version | result |\n|---|---|---|")
            for number, client in enumerate(chosen):
                own = folder / str(number)
                own.mkdir()
                version, result = tried(client, url, own)
                failed += result.startswith("failed")
                print(f"| {client.name} | {version} | {result} |", flush=True)
                shutil.rmtree(own)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
