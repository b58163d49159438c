"""The five doors with a plain question for each: (path, body)."""

CHAT = "/v1/chat/completions"

DOORS = {
    "chat": (CHAT, lambda model, text: {"model": model, "messages": [{"role": "user", "content": text}]}),
    "responses": ("/v1/responses", lambda model, text: {"model": model, "input": text}),
    "messages": ("/v1/messages", lambda model, text: {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": text}]}),
    "gemini": ("/v1beta/models/{model}:generateContent", lambda model, text: {"contents": [{"role": "user", "parts": [{"text": text}]}]}),
    "bedrock": ("/model/{model}/converse", lambda model, text: {"messages": [{"role": "user", "content": [{"text": text}]}]}),
}
STREAMS = {"gemini": "/v1beta/models/{model}:streamGenerateContent?alt=sse", "bedrock": "/model/{model}/converse-stream"}
