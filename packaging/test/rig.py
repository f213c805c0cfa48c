"""An appliance of a test's own, and a client that sends it octets as they are."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess

HOST = "corpus.test"
READER = "reader@" + HOST
SENDER = "sender@corpus.example"
CLIENT = "client.corpus.example"
MAX_RECEIVED = 50  # [limits] received_fields
PATIENCE = 120  # seconds for any one step: far more than it takes


class Failed(Exception):
    """The check could not be carried out."""


class Connection:
    """One SMTP session that sends octets as they are."""

    def __init__(self, address):
        self.sock = socket.create_connection(address, timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.sock.makefile("rb")
        self.expect("220")
        self.command("EHLO " + CLIENT, "250")

    def reply(self):
        text = []
        while True:
            line = self.lines.readline()
            if not line.endswith(b"\r\n"):
                raise Failed(f"connection lost after {text or line!r}")
            text.append(line.decode("ascii").rstrip())
            if line[3:4] != b"-":
                return text[-1]

    def expect(self, code):
        reply = self.reply()
        if not reply.startswith(code):
            raise Failed(f"reply {reply!r}, expected {code}")
        return reply

    def command(self, line, code):
        self.sock.sendall(line.encode() + b"\r\n")
        return self.expect(code)

    def send(self, m):
        self.sock.sendall(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{READER}>\r\n".encode())
        self.expect("250")
        self.expect("250")
        if m.chunked:
            self.sock.sendall(b"BDAT %d LAST\r\n" % len(m.wire) + m.wire)
        else:
            self.command("DATA", "354")
            stuffed = re.sub(rb"(?:\A|(?<=\r\n))\.", b"..", m.wire)
            self.sock.sendall(stuffed + b".\r\n")
        m.reply = self.reply()

    def close(self):
        self.command("QUIT", "221")
        self.sock.close()


class Appliance:
    """A maild of our own, and its mailctl. Started by root, it becomes user, whose the data is."""

    def __init__(self, maild, mailctl, folder, user="root", tables=()):
        self.mailctl_path = mailctl
        self.data = folder / "data"
        self.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(self.data, user)
        self.maildir = self.data / "mail" / HOST / "reader"
        self.config = folder / "maild.toml"
        self.config.write_text("\n".join([
            f'hostname = "{HOST}"', f'data_dir = "{self.data}"', f'user = "{user}"' if os.geteuid() == 0 else "",
            "[listen]", "mx = []", "submission = []", "submissions = []",
            "[limits]", f"received_fields = {MAX_RECEIVED}", *tables, ""]))
        listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.address = listener.getsockname()
        self.log_path = folder / "maild.log"
        self.log = open(self.log_path, "wb")
        env = {k: v for k, v in os.environ.items() if not k.startswith("LISTEN_")}
        # Descriptor 3 is taken by now, by the listener if by nothing else, so that it can be put there.
        self.process = subprocess.Popen(
            [maild, "--config", self.config], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env=env | {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "mx"}, pass_fds=(3,),
            preexec_fn=lambda: os.dup2(listener.fileno(), 3))
        listener.close()

    def mailctl(self, *args, stdin=""):
        done = subprocess.run([self.mailctl_path, "--config", self.config, *args], input=stdin.encode(),
                              capture_output=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise Failed(f"mailctl {' '.join(args)}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode("utf-8")  # strictly

    def dump(self):
        return json.loads(self.mailctl("search", "headers", "--limit", "0", "--json"))

    def status(self):
        return json.loads(self.mailctl("index", "status", "--json"))

    def files(self):
        return [p for folder in ("new", "cur") for p in (self.maildir / folder).iterdir()]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.log.close()
