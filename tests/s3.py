"""An S3 server of one's own (moto's), and a proxy before it that fails as networks do."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from botocore.config import Config


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """moto's S3 server in a process of its own."""

    def __init__(self):
        port = free_port()
        command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.endpoint = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "moto did not start"
                time.sleep(0.1)
        config = Config(s3={"addressing_style": "path"})
        self.client = boto3.client("s3", endpoint_url=self.endpoint, config=config, **KEYS)

    def close(self):
        self._process.kill()
        self._process.wait()

    def environment(self, endpoint=None):
        """Of a process that works with this server."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return {
            **kept,
            "AWS_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
            "AWS_REGION": KEYS["region_name"],
            "AWS_DEFAULT_REGION": KEYS["region_name"],
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "CLOAK_STORE_TIMEOUT": "3",
        }

    def bucket(self, name):
        self.client.create_bucket(Bucket=name)
        return name

    def open_to_all(self, bucket):
        """Let anybody read all objects of a bucket."""
        may = {"Effect": "Allow", "Principal": "*", "Resource": f"arn:aws:s3:::{bucket}/*"}
        may["Action"] = ["s3:GetObject", "s3:HeadObject"]  # the latter is what moto asks for
        self.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [may]}))

    def put(self, bucket, key, data):
        self.client.put_object(Bucket=bucket, Key=key, Body=data)

    def get(self, bucket, key):
        return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def keys(self, bucket, prefix=""):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sorted(found["Key"] for page in pages for found in page.get("Contents", ()))

    def objects(self, bucket, prefix=""):
        return {key: self.get(bucket, key) for key in self.keys(bucket, prefix)}


KEYS = {"aws_access_key_id": "key-of-tests", "aws_secret_access_key": "secret-of-tests", "region_name": "us-east-1"}

BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Faults:
    """A proxy that fails the first requests of some kind, then lets them pass.

    Args:
        server: to pass requests to.
        plan: list of (method, part of the path, fault, times); faults are "slow-down", "timeout", "cut" (the connection
            is lost in the middle of the body) and "late" (the request is carried out, the answer is lost).
    """

    def __init__(self, server, plan):
        self.plan, self.seen, self.lock = [list(line) for line in plan], Counter(), threading.Lock()
        host = server.endpoint.removeprefix("http://")
        faults = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                length = int(self.headers.get("Content-Length") or 0)
                fault = faults.take(self.command, self.path)
                if fault == "cut":
                    self.rfile.read(length // 2)
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                body = self.rfile.read(length)
                if fault == "timeout":
                    time.sleep(5)
                    self.close_connection = True
                    return
                if fault == "slow-down":
                    self.answer(503, {"Content-Type": "application/xml"}, BUSY)
                    return
                onward = http.client.HTTPConnection(host, timeout=30)
                headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
                onward.request(self.command, self.path, body=body, headers=headers)
                answer = onward.getresponse()
                data = answer.read()
                onward.close()
                if fault == "late":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                skipped = {"transfer-encoding", "connection"} | (
                    {"content-length"} if self.command != "HEAD" else set()
                )
                kept = {k: v for k, v in answer.getheaders() if k.lower() not in skipped}
                self.answer(answer.status, kept, data)

            def answer(self, status, headers, body):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if self.command != "HEAD":
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_one  # noqa: N815

            def log_message(self, *words):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, method, path):
        with self.lock:
            for line in self.plan:
                if line[0] == method and line[1] in path and line[3] > 0:
                    line[3] -= 1
                    self.seen[line[2]] += 1
                    return line[2]
        return None

    def close(self):
        self._server.shutdown()
        self._server.server_close()
