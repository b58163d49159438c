"""boto3 sends a bearer key over HTTPS only, so the door gets a TLS front here."""

import datetime
import ipaddress
import os
import socket
import ssl
import threading

import boto3
import pytest
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from manners import BASE, KEY, TIMEOUT_S


def certificate(folder):
    """A key and a self-signed certificate for 127.0.0.1, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tollgate testbed")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret, public = folder / "key.pem", folder / "cert.pem"
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return secret, public


def pump(source, sink):
    """Copies until the source ends, then passes the end on."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for line in (source, sink):
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def serve(listener, context):
    host, port = BASE.removeprefix("http://").split(":")
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return  # the listener was closed: the session is over
        try:
            front = context.wrap_socket(line, server_side=True)
            back = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
        except OSError:
            line.close()
            continue
        for pair in ((front, back), (back, front)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


@pytest.fixture(scope="session")
def door(tmp_path_factory):
    """(HTTPS address in front of the door, its certificate)."""
    secret, public = certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, secret)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener, context), daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", str(public)


def connect(door, key):
    """boto3 reads the bearer key from the environment when a client is made."""
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = key
    address, trusted = door
    config = Config(retries={"total_max_attempts": 1}, read_timeout=TIMEOUT_S, connect_timeout=5)
    return boto3.client("bedrock-runtime", endpoint_url=address, verify=trusted, region_name="us-east-1", config=config)


@pytest.fixture(scope="session")
def client(door):
    return connect(door, KEY)


@pytest.fixture
def stranger(door):
    return connect(door, "tg-not-a-key-of-ours-000000000000")
