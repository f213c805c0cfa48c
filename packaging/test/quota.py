#!/usr/bin/env python3
"""quota.py --maild PROGRAM --mailctl PROGRAM [--courier] [--dovecot]

Holds what maild says of a quota against what Courier's deliverquota (Debian's maildrop) and Dovecot's Maildir++ quota say of the same Maildir:
the limits, what is used, what is taken and what is refused, after deliveries by each of them, in Trash, with the flag T, and after mail was
removed. Started by root, everything runs as nobody, for Dovecot opens no mail as root. Loopback only, in a folder of its own.
"""

import argparse
import contextlib
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile
import time

import rig

LIMIT = 400 * 1024  # Dovecot's rules are in KiB
WAIT = 30  # seconds for maildirsize to follow: some sweeps


def say(text):
    print("quota: " + text, flush=True)


class Check:
    def __init__(self, args, folder):
        self.folder, self.courier, self.dovecot = folder, args.courier, args.dovecot
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        os.chmod(folder, 0o755)
        self.box = rig.Appliance(args.maild, args.mailctl, folder, self.user.pw_name,
                                 ["[index]", 'sweep = "200ms"', "[quota]", "grace = 0", "warn = []"])
        self.box.mailctl("user", "add", rig.READER, "--no-password")
        self.failures = 0
        if self.dovecot:
            self.configure_dovecot()

    # What each of them says: octets, messages, limit in octets.

    def ours(self):
        v = json.loads(self.box.mailctl("quota", "show", rig.READER, "--json"))
        return v["octets"], v["messages"], v["limit_octets"]

    def files(self):
        sizes = [p.stat().st_size for sub in ("new", "cur") for p in self.box.maildir.glob(f"**/{sub}/*")]
        return sum(sizes), len(sizes), LIMIT

    def sizefile(self, tree=None):
        lines = ((tree or self.box.maildir) / "maildirsize").read_text().splitlines()
        limit = next((int(part[:-1]) for part in lines[0].split(",") if part.endswith("S")), 0)
        return sum(int(l.split()[0]) for l in lines[1:]), sum(int(l.split()[1]) for l in lines[1:]), limit

    def doveadm(self, *args, stdin=b""):
        return self.run([shutil.which("doveadm", path="/usr/bin:/usr/sbin:/bin"), "-c", self.config, *args], stdin)

    def run(self, command, stdin=b""):
        drop = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "USER": self.user.pw_name, "HOME": str(self.folder / "home")}
        return subprocess.run(command, input=stdin, capture_output=True, env=env, timeout=60, cwd="/", **drop)

    def of_dovecot(self):
        """Dovecot tells octets in KiB, rounded up."""
        done = self.doveadm("-f", "tab", "quota", "get")
        if done.returncode != 0:
            raise rig.Failed(f"doveadm quota get: {done.stderr.decode()}")
        rows = {f[1]: f for f in (line.split("\t") for line in done.stdout.decode().splitlines()[1:])}
        limit = rows["STORAGE"][3]
        return int(rows["STORAGE"][2]) * 1024, int(rows["MESSAGE"][2]), 0 if limit == "-" else int(limit) * 1024

    def of_courier(self):
        """What Courier adds up itself, in a copy: it believes a maildirsize that is there."""
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.box.maildir, copy, symlinks=True)
        (copy / "maildirsize").unlink(missing_ok=True)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{self.user.pw_uid}:{self.user.pw_gid}", copy], check=True)
        done = self.run([program("maildirmake"), "-q", f"{LIMIT}S", copy])
        if done.returncode != 0:
            raise rig.Failed(f"maildirmake -q: {done.stderr.decode()}")
        return self.sizefile(copy)

    def configure_dovecot(self):
        for name in ("home", "run", "state"):
            (self.folder / name).mkdir()
            if os.geteuid() == 0:
                shutil.chown(self.folder / name, self.user.pw_uid, self.user.pw_gid)
        self.config = self.folder / "dovecot.conf"
        name, group = self.user.pw_name, self.user.pw_gid
        # No quota_rule: the limits are those in maildirsize.
        self.config.write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = /dev/stderr
mail_location = maildir:{self.box.maildir}:INDEX={self.folder}/state
mail_plugins = quota
default_internal_user = {name}
default_login_user = {name}
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {self.user.pw_uid}
mail_gid = {group}
ssl = no
protocols =
plugin {{
  quota = maildir:User quota
}}
namespace inbox {{
  inbox = yes
  separator = .
}}
userdb {{
  driver = static
  args = uid={self.user.pw_uid} gid={group} home={self.folder}/home
}}
""")

    # Steps.

    def send(self, octets, want="250"):
        """One message by SMTP, so that its file has about so many octets."""
        connection = rig.Connection(self.box.address)
        connection.command(f"MAIL FROM:<{rig.SENDER}>", "250")
        connection.sock.sendall(f"RCPT TO:<{rig.READER}>\r\n".encode())
        reply = connection.reply()
        if reply.startswith("250"):
            connection.command("DATA", "354")
            lines = (octets - 400) // 80
            connection.sock.sendall(b"Subject: quota\r\n\r\n" + (b"x" * 79 + b"\r\n") * lines + b".\r\n")
            reply = connection.reply()
        connection.close()
        if not reply.startswith(want):
            raise rig.Failed(f"{octets} octets by SMTP: {reply}, expected {want}")

    def agree(self, state, among=None):
        """Waits until all who are asked say the same, and prints it side by side."""
        deadline = time.monotonic() + WAIT
        while True:
            with contextlib.suppress(FileNotFoundError, ValueError, IndexError):  # maildirsize is just being renamed
                said = {"files": self.files(), "maild": self.ours(), "maildirsize": self.sizefile()}
                if self.dovecot:
                    said["dovecot"] = self.of_dovecot()
                if self.courier:
                    said["courier itself"] = self.of_courier()
                files = said["files"]
                same = {who: s == files or who == "dovecot" and s == (-(-files[0] // 1024) * 1024, *files[1:]) for who, s in said.items()}
                if all(same[who] for who in among or said if who in same):
                    break
            if time.monotonic() > deadline:
                self.failures += 1
                break
            time.sleep(0.05)
        say(f"{state}:")
        for who, (octets, messages, limit) in said.items():
            note = "" if same[who] else "   differs"
            say(f"    {who:16} {octets:8} octets  {messages:4} messages  limit {limit:8}{note}")

    def by_courier(self, octets, want):
        done = self.run([program("deliverquota"), self.box.maildir], b"Subject: by Courier\n\n" + b"y" * octets + b"\n")
        if done.returncode != want:
            raise rig.Failed(f"deliverquota: status {done.returncode}, expected {want}: {done.stderr.decode()}")

    def by_dovecot(self, octets, want):
        done = self.doveadm("save", "-m", "INBOX", stdin=b"Subject: by Dovecot\n\n" + b"z" * octets + b"\n")
        if (done.returncode == 0) != want:
            raise rig.Failed(f"doveadm save: status {done.returncode}: {done.stderr.decode()}")

    def all(self):
        tree = self.box.maildir
        self.box.mailctl("quota", "set", rig.READER, "--octets", str(LIMIT))
        for _ in range(10):
            self.send(4000)
        self.agree("ten messages by SMTP")
        # Others file mail away: a folder, read mail.
        folder = tree / ".Sent"
        for sub in ("tmp", "new", "cur"):
            (folder / sub).mkdir(parents=True)
        for p in sorted((tree / "new").iterdir())[:3]:
            p.rename(folder / "cur" / (p.name + ":2,S"))
        self.own()
        if self.courier:
            self.by_courier(3000, 0)
        if self.dovecot:
            self.by_dovecot(3000, True)
        self.send(3000)
        self.agree("mail moved to .Sent, and one message by each of the three")
        if self.dovecot:
            done = self.doveadm("expunge", "mailbox", "INBOX", "subject", "by Dovecot")
            if done.returncode != 0:
                raise rig.Failed(f"doveadm expunge: {done.stderr.decode()}")
        sorted((folder / "cur").iterdir())[0].unlink()
        self.agree("one expunged by Dovecot, one removed by rm")
        # Here Courier, when it adds up itself, goes its own way.
        trash = tree / ".Trash"
        for sub in ("tmp", "new", "cur"):
            (trash / sub).mkdir(parents=True)
        self.own()
        unread = sorted((tree / "new").iterdir())
        unread[0].rename(trash / "cur" / (unread[0].name + ":2,S"))
        unread[1].rename(tree / "cur" / (unread[1].name + ":2,ST"))
        self.agree("one in Trash and one with the flag T, which count", ("files", "maild", "maildirsize", "dovecot"))
        if self.courier:
            left_out = sum(p.stat().st_size for p in [*(trash / "cur").iterdir(), *(tree / "cur").glob("*:2,*T*")])
            if self.of_courier()[0] != self.files()[0] - left_out:
                say("Courier's own sum is not what is left without Trash and T: what README.md says of it is wrong")
                self.failures += 1
        # Full for one is full for all.
        while self.files()[0] + 30_000 <= LIMIT:
            self.send(30_000)
        self.send(LIMIT - self.files()[0] + 5000, "452 4.2.2")
        self.agree("nearly full", ("files", "maild", "maildirsize", "dovecot"))
        if self.courier:
            self.by_courier(40_000, 77)
        if self.dovecot:
            self.by_dovecot(40_000, False)
        self.box.mailctl("quota", "set", rig.READER, "--octets", str(2 * LIMIT))
        self.send(30_000)
        if self.courier:
            self.by_courier(40_000, 0)
        if self.dovecot:
            self.by_dovecot(40_000, True)
        self.verify()
        self.box.mailctl("quota", "set", rig.READER, "--octets", "none")
        if (tree / "maildirsize").exists():
            raise rig.Failed("no limit, and maildirsize is still there")
        say("refused by all when full, taken by all with twice the limit, and no maildirsize without one")

    def verify(self):
        deadline = time.monotonic() + WAIT
        while True:
            try:
                self.box.mailctl("quota", "verify", rig.READER)
                return
            except rig.Failed:
                if time.monotonic() > deadline:
                    raise

    def own(self):
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{self.user.pw_uid}:{self.user.pw_gid}", self.box.maildir], check=True)


def program(name):
    """Debian's maildrop has its own names for what Courier has, too."""
    path = "/usr/sbin:/usr/bin:" + os.environ.get("PATH", "")
    return shutil.which(name, path=path) or shutil.which(name + ".maildrop", path=path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maild", required=True, type=pathlib.Path)
    parser.add_argument("--mailctl", required=True, type=pathlib.Path)
    parser.add_argument("--courier", action="store_true", help="hold it against Courier's deliverquota")
    parser.add_argument("--dovecot", action="store_true", help="and Dovecot's quota")
    args = parser.parse_args()
    args.maild, args.mailctl = args.maild.resolve(), args.mailctl.resolve()
    with tempfile.TemporaryDirectory() as name:
        check = Check(args, pathlib.Path(name))
        try:
            check.all()
            if check.box.stop() != 0:
                raise rig.Failed("maild did not end with 0")
        except (rig.Failed, OSError, subprocess.TimeoutExpired) as err:
            say(f"FAILED: {err}")
            check.failures += 1
        finally:
            check.box.stop()
            if check.failures:
                print(check.box.log_path.read_text(errors="replace")[-3000:], file=sys.stderr)
    say("ok" if check.failures == 0 else f"{check.failures} failures")
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
