"""The bodies that the matrix of dialects has written to `target/pairs`, one case for each."""

import json
from pathlib import Path

PAIRS = Path(__file__).resolve().parents[3] / "target" / "pairs"


def cases(dialect, kind, at_least):
    """`[(name, text)]` of all bodies of one kind; too few mean that the matrix did not run."""
    found = [(file.stem, file.read_text()) for file in sorted((PAIRS / dialect / kind).glob("*.json"))]
    assert len(found) >= at_least, f"{len(found)} bodies in {PAIRS / dialect / kind}; run `cargo test -p tollgate-dialects --test pairs` first"
    return found


def settle(findings, tried):
    assert tried, "nothing was tried"
    shown = "\n".join(sorted(findings)[:2000])
    assert not findings, f"{len(findings)} findings in {tried} bodies:\n{shown}"


def check(dialect, kind, at_least, flaws_of, is_ours=lambda flaw: False):
    """Holds every body against `flaws_of(parsed)`; `is_ours` tells flaws that are extensions we mean."""
    found = cases(dialect, kind, at_least)
    findings = []
    for name, text in found:
        body = json.loads(text)
        findings += [f"{name}{flaw}" for flaw in flaws_of(body) if not is_ours(flaw)]
    settle(findings, len(found))
