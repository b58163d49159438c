"""Counts the tokens of the texts in crates/flow/src/estimate/labelled.json anew.

Needs `tiktoken` (MIT) and its vocabularies cl100k_base and o200k_base, which it fetches, or finds in
the folder that TIKTOKEN_CACHE_DIR names. Run it after adding a text: the texts are ours, the counts
are the vocabularies'.
"""

import json
from pathlib import Path

import tiktoken

SET = Path(__file__).parents[2] / "crates/flow/src/estimate/labelled.json"


def main() -> None:
    vocabularies = {name: tiktoken.get_encoding(f"{name}_base") for name in ("cl100k", "o200k")}
    texts = json.loads(SET.read_text(encoding="utf-8"))
    for text in texts:
        for name, vocabulary in vocabularies.items():
            text[name] = len(vocabulary.encode(text["text"], disallowed_special=()))
    SET.write_text(json.dumps(texts, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(f"{len(texts)} texts counted")


if __name__ == "__main__":
    main()
