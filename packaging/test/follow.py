#!/usr/bin/python3
"""What other programs do to the mail is in the index within a second.

Debian's Dovecot serves the Maildirs of a running maild over IMAP, and mutt, a shell and rsync change them; after each change the
index is asked until it says so, and the time that took is told. A change that is not found within a second is wrong.
"""

import argparse
import imaplib
import json
import os
import pathlib
import pty
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

DOMAIN = "follow.test"
USER = "ann@" + DOMAIN
LIMIT = 1.0
PATIENCE = 30
# Dovecot serves nobody as root.
OWNER = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Box:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.data = folder / "data"
        self.data.mkdir(mode=0o700)
        self.own(self.data)
        self.tree = self.data / "mail" / DOMAIN / "ann"
        self.config = folder / "maild.toml"
        self.config.write_text("\n".join([
            f'hostname = "{DOMAIN}"', f'data_dir = "{self.data}"', f'user = "{OWNER.pw_name}"',
            "[listen]", f'mx = ["127.0.0.1:{free_port()}"]', "submission = []", "submissions = []", 'lmtp = ""', ""]))
        self.processes = []
        self.slowest, self.wrong = 0.0, 0

    def start(self, *command):
        log = open(self.folder / "log", "ab")
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def mailctl(self, *args):
        done = subprocess.run([self.args.mailctl, "--config", self.config, *args], capture_output=True, timeout=PATIENCE)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def find(self, query):
        return [json.loads(line) for line in self.mailctl("search", "headers", "--format", "jsonl", query)[1].splitlines()]

    def check(self, name, query, want):
        """Asks until the answer is right."""
        start = time.monotonic()
        while True:
            got = self.find(query)
            took = time.monotonic() - start
            if want(got):
                print(f"ok    {took * 1000:6.0f} ms  {name}")
                self.slowest = max(self.slowest, took)
                return
            if took > LIMIT:
                print(f"WRONG {name}: {query}: {[(m['folder'], m['flags']) for m in got]}")
                self.wrong += 1
                return
            time.sleep(0.01)

    def put(self, folder, name, text, sub="cur"):
        (folder / "tmp" / name).write_text(text)
        os.rename(folder / "tmp" / name, folder / sub / name)

    @staticmethod
    def own(folder):
        if os.geteuid() == 0:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, OWNER.pw_uid, OWNER.pw_gid)

    def dovecot(self):
        port, base = free_port(), self.folder / "dovecot"
        for d in ("run", "control"):
            (base / d).mkdir(parents=True)
        self.own(base / "control")
        # As root Dovecot wants its own users, else it can only be ours.
        login, internal = ("dovenull", "dovecot") if os.geteuid() == 0 else [OWNER.pw_name] * 2
        (base / "users").write_text("ann:{PLAIN}secret\n")
        (base / "conf").write_text(f"""
protocols = imap
listen = 127.0.0.1
base_dir = {base}/run
state_dir = {base}/run
log_path = {base}/log
ssl = no
disable_plaintext_auth = no
default_internal_user = {internal}
default_login_user = {login}
default_internal_group = {internal}
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:{self.tree}:INDEX={base}/control:CONTROL={base}/control
namespace inbox {{
  inbox = yes
  separator = .
}}
passdb {{
  driver = passwd-file
  args = {base}/users
}}
userdb {{
  driver = static
  args = uid={OWNER.pw_uid} gid={OWNER.pw_gid} home={base}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
""")
        self.start("dovecot", "-F", "-c", str(base / "conf"))
        deadline = time.monotonic() + 10
        while True:
            try:
                imap = imaplib.IMAP4("127.0.0.1", port)
                imap.login("ann", "secret")
                return imap
            except (OSError, imaplib.IMAP4.error) as e:
                if time.monotonic() > deadline:
                    sys.exit(f"dovecot does not start: {e}: {(base / 'log').read_text()[-2000:] if (base / 'log').exists() else ''}")
                time.sleep(0.1)

    def by_imap(self):
        self.own(self.folder / "data")
        imap = self.dovecot()
        text = b"Subject: imap one\r\nMessage-ID: <imap1@x>\r\nFrom: a@x\r\n\r\nbody\r\n"
        imap.append("INBOX", None, None, text)
        one = "id:<imap1@x>"
        self.check("IMAP APPEND", one, lambda m: len(m) == 1 and m[0]["folder"] == "INBOX")
        first = self.find(one)[0]["id"]
        imap.select("INBOX")
        imap.store("1", "+FLAGS", r"(\Seen \Flagged)")
        self.check(r"IMAP STORE \Seen \Flagged", one + " is:flagged is:read", lambda m: len(m) == 1)
        imap.store("1", "+FLAGS", "(Work)")
        self.check("IMAP STORE keyword", one + " keyword:a", lambda m: len(m) == 1)
        imap.create("Lists")
        imap.copy("1", "Lists")
        self.check("IMAP CREATE and COPY", one + " in:Lists", lambda m: len(m) == 1)
        imap.create("Work")
        imap._simple_command("MOVE", "1", "Work")
        self.check("IMAP MOVE", one + " -in:Lists", lambda m: [x["folder"] for x in m] == ["Work"])
        if self.find(one + " in:Work")[0]["id"] != first:
            print("note  the id changed with IMAP MOVE")
        imap.rename("Work", "Play")
        self.check("IMAP RENAME", one + " in:Play", lambda m: len(m) == 1)
        imap.select("Lists")
        imap.store("1", "+FLAGS", r"(\Deleted)")
        imap.expunge()
        self.check("IMAP EXPUNGE", one + " in:Lists", lambda m: m == [])
        imap.select("INBOX")
        imap.delete("Play")
        self.check("IMAP DELETE", one, lambda m: m == [])
        imap.logout()

    def by_shell(self):
        text = "Subject: shell {0}\nMessage-ID: <{0}@shell>\nFrom: a@x\n\nbody\n"
        self.put(self.tree, "1.shell", text.format(1), "new")
        self.check("a file in new/", "id:<1@shell> is:recent", lambda m: len(m) == 1)
        os.rename(self.tree / "new/1.shell", self.tree / "cur/1.shell:2,S")
        self.check("new/ to cur/", "id:<1@shell> is:read", lambda m: len(m) == 1)
        os.link(self.tree / "cur/1.shell:2,S", self.tree / "cur/1.shell:2,RS")
        os.unlink(self.tree / "cur/1.shell:2,S")
        self.check("flags by link and unlink, as mutt sets them", "id:<1@shell> is:replied", lambda m: len(m) == 1)
        for d in ("tmp", "new", "cur"):
            (self.tree / ".Saved" / d).mkdir(parents=True)
        os.rename(self.tree / "cur/1.shell:2,RS", self.tree / ".Saved/cur/other.name:2,RS")
        self.check("mv to a new folder under another name", "id:<1@shell>", lambda m: len(m) == 1 and m[0]["folder"] == "Saved")
        os.utime(self.tree / ".Saved/cur/other.name:2,RS", (1.5e9, 1.5e9))
        self.check("touch", "id:<1@shell> date:2017", lambda m: len(m) == 1)
        os.rename(self.tree / ".Saved", self.tree / ".Kept")
        self.check("a folder renamed", "id:<1@shell> in:Kept", lambda m: len(m) == 1)
        source = self.folder / "source"
        source.mkdir()
        for i in range(100):
            (source / f"r{i}.rsync:2,S").write_text(text.format(f"r{i}"))
        subprocess.run(["rsync", "-a", f"{source}/", f"{self.tree}/cur/"], check=True)
        self.check("rsync -a of 100 messages", "subject:shell in:INBOX", lambda m: len(m) == 100)
        for p in (self.tree / "cur").glob("r*.rsync*"):
            p.unlink()
        self.check("rm of 100 messages", "subject:shell in:INBOX", lambda m: m == [])
        shutil.rmtree(self.tree / ".Kept")
        self.check("a folder removed", "id:<1@shell>", lambda m: m == [])

    def mutt(self, mailbox, keys):
        """Has mutt open a mailbox, press keys, and end."""
        home = self.folder / "mutt"
        home.mkdir(exist_ok=True)
        rc = home / "muttrc"
        rc.write_text("set mbox_type=Maildir confirmappend=no confirmcreate=no delete=yes move=no quit=yes\n"
                      f'push "{keys}<sync-mailbox><quit>"\n')
        self.own(home)
        master, slave = pty.openpty()
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        process = subprocess.Popen(["mutt", "-n", "-F", rc, "-f", mailbox], stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
                                   **({"user": OWNER.pw_uid, "group": OWNER.pw_gid} if os.geteuid() == 0 else {}))
        os.close(slave)
        shown = []

        def drain():
            try:
                while data := os.read(master, 4096):
                    shown.append(data)
            except OSError:
                pass  # mutt has ended

        reader = threading.Thread(target=drain)
        reader.start()
        try:
            if process.wait(PATIENCE) != 0:
                sys.exit(f"mutt: {b''.join(shown)[-2000:]!r}")
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            sys.exit(f"mutt does not end: {b''.join(shown)[-2000:]!r}")
        finally:
            reader.join()
            os.close(master)

    def by_mutt(self):
        for name in ("1.mutt", "2.mutt"):
            self.put(self.tree, name, f"Subject: {name}\nMessage-ID: <{name}@mutt>\nFrom: a@x\n\nbody\n", "new")
        saved = self.tree / ".Mutt"
        for d in ("tmp", "new", "cur"):
            (saved / d).mkdir(parents=True)
        self.own(self.data)
        one = "id:<1.mutt@mutt>"
        at = "<limit>~i 1.mutt@mutt<enter>"
        self.mutt(self.tree, at + "<flag-message>")
        self.check("mutt flags a message", one + " is:flagged", lambda m: len(m) == 1)
        self.mutt(self.tree, at + "<display-message><exit>")
        self.check("mutt reads it", one + " is:read is:flagged", lambda m: len(m) == 1)
        self.mutt(self.tree, at + f"<save-message><kill-line>{saved}<enter>")
        self.check("mutt moves it", one, lambda m: [x["folder"] for x in m] == ["Mutt"])
        self.mutt(saved, "<delete-message>")
        self.check("mutt expunges it", one, lambda m: m == [])
        self.mutt(self.tree, "<delete-pattern>~A<enter>")
        self.check("mutt expunges another", "id:<2.mutt@mutt>", lambda m: m == [])

    def run(self):
        self.start(self.args.maild, "--config", str(self.config))
        deadline = time.monotonic() + PATIENCE
        while self.mailctl("user", "add", USER, "--no-password")[0] not in (0, 4) or not (self.data / "index.db").exists():
            if time.monotonic() > deadline:
                sys.exit("maild does not start: " + (self.folder / "log").read_text()[-2000:])
            time.sleep(0.1)
        for d in ("tmp", "new", "cur"):
            (self.tree / d).mkdir(parents=True, exist_ok=True, mode=0o700)
        self.check("an empty account", "account:ann", lambda m: m == [])
        self.by_shell()
        if shutil.which("mutt"):
            self.by_mutt()
        else:
            print("left out: mutt is not installed")
        if shutil.which("dovecot"):
            self.by_imap()
        else:
            print("left out: dovecot is not installed")
        code, out, errs = self.mailctl("index", "verify")
        if code != 0:
            self.wrong += 1
            print("WRONG: verify:", out, errs)
        print(f"slowest {self.slowest * 1000:.0f} ms, {self.wrong} wrong")
        return 1 if self.wrong else 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--maild", required=True)
    p.add_argument("--mailctl", required=True)
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="follow") as folder:
        os.chmod(folder, 0o755)
        box = Box(args, pathlib.Path(folder))
        try:
            code = box.run()
        finally:
            for process in reversed(box.processes):
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE)
    sys.exit(code)


main()
