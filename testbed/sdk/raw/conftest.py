"""Bare HTTP/1.1, byte by byte where a client library would not let us."""

import http.client
import json
import socket

import pytest
from manners import BASE, KEY, TIMEOUT_S

HOST = BASE.removeprefix("http://")


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Raw:
    """One request on one connection."""

    def __call__(self, method, path, body=None, headers=None, key=KEY):
        sent = {"authorization": f"Bearer {key}"} if key else {}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode("utf-8", "surrogatepass")
        if body is not None:
            sent["content-type"] = "application/json"
        connection = http.client.HTTPConnection(HOST, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body=body, headers={**sent, **(headers or {})})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def bytes(self, data):
        """Sends `data` as it is; the answer, or None where the gateway just closes."""
        host, port = HOST.split(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as line:
            line.sendall(data)
            response = http.client.HTTPResponse(line)
            try:
                response.begin()
                return Answer(response)
            except (http.client.BadStatusLine, ConnectionError):
                return None


@pytest.fixture(scope="session")
def raw():
    return Raw()
