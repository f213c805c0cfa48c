#!/usr/bin/python3
"""A storm over the mail, and then the proof that the index is right.

Writers deliver by SMTP and change the Maildirs from outside as mail readers, rsync and a shell do, while the daemon is
killed and started again, the index is rebuilt, spoilt and removed. When the last writer has stopped, a second passes, and
`mailctl index verify` must find nothing; and every message that was acknowledged and not removed must be found by its
Message-ID. Everything happens in a temporary directory and on loopback.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time

ACCOUNTS = ["ann", "bob", "eve"]
DOMAIN = "storm.test"
PATIENCE = 60


class Storm:
    def __init__(self, args, folder):
        self.args = args
        self.data = folder / "data"
        self.data.mkdir(mode=0o700)
        self.mail = self.data / "mail" / DOMAIN
        self.config = folder / "maild.toml"
        self.log = open(folder / "maild.log", "ab")
        self.log_path = folder / "maild.log"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.config.write_text("\n".join([
            f'hostname = "{DOMAIN}"', f'data_dir = "{self.data}"', 'user = "root"' if os.geteuid() == 0 else "",
            "[listen]", f'mx = ["127.0.0.1:{self.port}"]', "submission = []", "submissions = []", 'lmtp = ""', ""]))
        self.daemon = None
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.acknowledged = set()
        self.removed = set()
        self.over = threading.Event()

    def start(self):
        self.daemon = subprocess.Popen([self.args.maild, "--config", self.config], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        sys.exit("the daemon does not start: " + self.log_path.read_text()[-2000:])

    def mailctl(self, *args):
        return subprocess.run([self.args.mailctl, "--config", self.config, *args], capture_output=True, timeout=10 * PATIENCE)

    # The operations of a writer.

    def deliver(self, r):
        name = f"{r.getrandbits(64):x}@{DOMAIN}"
        lines = [f"Message-ID: <{name}>", f"Subject: storm {r.randrange(1000)}", "From: sender@example.org", f"To: {r.choice(ACCOUNTS)}@{DOMAIN}"]
        if r.random() < 0.2:
            lines += ["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b"']
        text = "\r\n".join(lines) + "\r\n\r\n--b\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nx\r\n--b--\r\n"
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=5) as s:
                s.sendmail("sender@example.org", [f"{r.choice(ACCOUNTS)}@{DOMAIN}"], text)
        except (OSError, smtplib.SMTPException):
            self.counts["not accepted"] += 1
            return
        with self.lock:
            self.acknowledged.add(name)

    def folder(self, r):
        tree = self.mail / r.choice(ACCOUNTS)
        folders = [tree] + [p for p in tree.iterdir() if p.name.startswith(".") and (p / "cur").is_dir()]
        return r.choice(folders)

    def file(self, r):
        folder = self.folder(r)
        files = [p for sub in ("new", "cur") for p in (folder / sub).iterdir()]
        return r.choice(files) if files else None

    def message_id(self, path):
        with open(path, "rb") as f:
            for line in f:
                if line.lower().startswith(b"message-id:"):
                    return line.split(b"<")[1].split(b">")[0].decode()

    @staticmethod
    def fresh(r):
        return f"{int(time.time())}.M{r.randrange(10**6)}P{os.getpid()}Q{r.getrandbits(40)}.storm"

    def flag(self, r):
        if path := self.file(r):
            flags = "".join(sorted(r.sample("DFPRSTab", r.randrange(5))))
            os.rename(path, path.parent.parent / "cur" / (path.name.split(":2,")[0] + ":2," + flags))

    def mutt_flag(self, r):
        if path := self.file(r):
            to = path.parent.parent / "cur" / (path.name.split(":2,")[0] + ":2," + r.choice(["S", "RS", "FS"]))
            os.link(path, to)
            os.unlink(path)

    def move(self, r):
        if path := self.file(r):
            os.rename(path, self.folder(r) / path.parent.name / path.name)

    def rename(self, r):
        if path := self.file(r):
            os.rename(path, self.folder(r) / "cur" / (self.fresh(r) + ":2,S"))

    def copy(self, r):
        if path := self.file(r):
            to = self.folder(r) / "cur" / (self.fresh(r) + ":2,")
            r.choice([shutil.copy, shutil.copy2, os.link])(path, to)

    def remove(self, r):
        if path := self.file(r):
            with self.lock:
                self.removed.add(self.message_id(path))
                os.unlink(path)

    def touch(self, r):
        if path := self.file(r):
            when = time.time() - r.randrange(10**6)
            os.utime(path, (when, when))

    def make_folder(self, r):
        path = self.mail / r.choice(ACCOUNTS) / f".F{r.randrange(12)}"
        for sub in ("tmp", "new", "cur"):
            (path / sub).mkdir(parents=True, exist_ok=True)

    def rename_folder(self, r):
        folder = self.folder(r)
        if folder.name.startswith("."):
            os.rename(folder, folder.parent / f".R{r.randrange(12)}")

    def remove_folder(self, r):
        folder = self.folder(r)
        if folder.name.startswith("."):
            with self.lock:
                aside = self.data / f"gone{r.getrandbits(40)}"
                os.rename(folder, aside)
                self.removed |= {self.message_id(p) for sub in ("new", "cur") for p in (aside / sub).iterdir()}
            shutil.rmtree(aside)

    def away(self, r):
        tree = self.mail / r.choice(ACCOUNTS)
        aside = self.data / f"away{r.getrandbits(40)}"
        os.rename(tree, aside)
        time.sleep(r.random() * 0.05)
        try:
            os.rename(aside, tree)
        except OSError:  # the daemon has made it anew, for mail that came
            for path in sorted(aside.rglob("*")):
                to = tree / path.relative_to(aside)
                if path.is_dir():
                    to.mkdir(exist_ok=True)
                elif not to.exists():
                    os.rename(path, to)

    def writer(self, seed):
        r = random.Random(seed)
        operations = {self.deliver: 30, self.flag: 20, self.mutt_flag: 6, self.move: 10, self.rename: 6, self.copy: 6, self.remove: 6,
                      self.touch: 4, self.make_folder: 3, self.rename_folder: 2, self.remove_folder: 1, self.away: 0.2}
        while not self.over.is_set():
            operation = r.choices(list(operations), operations.values())[0]
            try:
                operation(r)
                self.counts[operation.__name__] += 1
            except (FileNotFoundError, FileExistsError, NotADirectoryError, IndexError, OSError):
                self.counts["lost a race"] += 1
            time.sleep(r.random() * 0.01)

    # What the box suffers.

    def disturb(self, r):
        index = self.data / "index.db"
        kind = r.choice(["kill", "kill", "rebuild", "rebuild", "killed rebuild", "remove", "truncate", "garbage", "wal"])
        self.counts[kind] += 1
        if kind == "kill":
            self.daemon.send_signal(signal.SIGKILL)
            self.daemon.wait()
            self.start()
        elif "rebuild" in kind:
            p = subprocess.Popen([self.args.mailctl, "--config", self.config, "index", "rebuild"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if kind == "killed rebuild":
                time.sleep(r.random() * 0.2)
                p.kill()
            p.wait(PATIENCE)
        elif index.exists():
            if kind == "remove":
                index.unlink()
            elif kind == "truncate":
                os.truncate(index, index.stat().st_size // 2)
            elif kind == "garbage":
                with open(index, "r+b") as f:
                    f.write(os.urandom(8192))
            elif (log := self.data / "index.db-wal").exists():
                log.unlink()

    def run(self):
        self.start()
        for name in ACCOUNTS:
            done = self.mailctl("user", "add", f"{name}@{DOMAIN}", "--no-password")
            if done.returncode != 0:
                sys.exit(done.stderr.decode())
            for sub in ("tmp", "new", "cur"):
                (self.mail / name / sub).mkdir(parents=True, exist_ok=True, mode=0o700)
        r = random.Random(self.args.seed)
        writers = [threading.Thread(target=self.writer, args=(self.args.seed * 1000 + i,)) for i in range(self.args.writers)]
        for w in writers:
            w.start()
        end = time.monotonic() + self.args.seconds
        while time.monotonic() < end - 3:
            time.sleep(min(r.uniform(0.5, 3), max(0, end - 3 - time.monotonic())))
            self.disturb(r)
        time.sleep(max(0, end - time.monotonic()))
        self.over.set()
        for w in writers:
            w.join()
        return self.prove()

    def prove(self):
        time.sleep(1)
        faults = []
        for state in ("up", "down"):
            if state == "down":
                self.daemon.send_signal(signal.SIGTERM)
                if self.daemon.wait(PATIENCE) != 0:
                    faults.append("the daemon did not end with 0")
            done = self.mailctl("index", "verify", "--json")
            if done.returncode != 0:
                faults.append(f"verify with the daemon {state}: {done.returncode}: {done.stdout.decode()[:3000]} {done.stderr.decode()}")
            else:
                self.counts[f"verified with the daemon {state}"] = json.loads(done.stdout)["checked"]
        found = {json.loads(line)["message_id"] for line in self.mailctl("search", "headers", "--format", "jsonl").stdout.splitlines()}
        # Trees that a writer could not put back, because another was quicker, are nobody's mail any more.
        aside = {self.message_id(p) for tree in self.data.glob("away*") for p in tree.rglob("*") if p.is_file()}
        lost = self.acknowledged - aside - self.removed - found
        if lost:
            faults.append(f"{len(lost)} acknowledged messages are not found: {sorted(lost)[:5]}")
        print(f"seed {self.args.seed}: acknowledged {len(self.acknowledged)}, removed {len(self.removed)}")
        print(", ".join(f"{k} {n}" for k, n in sorted(self.counts.items())))
        for fault in faults:
            print("WRONG:", fault)
        return 1 if faults else 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--maild", required=True)
    p.add_argument("--mailctl", required=True)
    p.add_argument("--seconds", type=float, default=120)
    p.add_argument("--writers", type=int, default=8)
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    p.add_argument("--keep", action="store_true", help="keep the data directory when something is wrong")
    args = p.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="storm"))
    storm = Storm(args, folder)
    wrong = 1
    try:
        wrong = storm.run()
    finally:
        storm.over.set()
        if storm.daemon and storm.daemon.poll() is None:
            storm.daemon.kill()
            storm.daemon.wait()
        storm.log.close()
        if wrong and args.keep:
            print("kept:", folder)
        else:
            shutil.rmtree(folder)
    sys.exit(wrong)


main()
