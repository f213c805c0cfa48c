#!/usr/bin/env python3
"""Prove the way of a message, on a corpus of real and hostile ones.

    corpus.py --maild BIN --mailctl BIN [--report FILE] DIR-OR-.tar.zst ...

An appliance of its own is started in a folder of its own, on a loopback socket
handed over to it. Every file of the corpus is one message and is sent to it by
SMTP, octet for octet but for its line ends. Then it is checked that

  sent     what SMTP allows is accepted, and what it forbids is refused for good
  stored   each file of the Maildir is our trace fields and the message, less a
           Return-Path of its own
  found    the index finds each message by its Message-ID
  decoded  its Subject and From are what Python's email package reads, or differ
           from it for a reason that oracle.py names
  index    has as many rows as there are files, all valid UTF-8 without control
           characters, and is the same after "mailctl index rebuild"

Exit status 0: all of it held. 1: some of it did not; the report lists what. 2:
it could not be tried. A file whose line ends SMTP forbids is sent twice: as it
is, to be refused, and mended, to be stored.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib

sys.dont_write_bytecode = True  # the folder may be a source tree, or root's

import oracle  # noqa: E402
from rig import MAX_RECEIVED, PATIENCE, READER, Appliance, Connection, Failed  # noqa: E402

CONNECTIONS = 4
SEARCHES = 200  # of one command each
TIME_LIMIT = 15 * 60  # seconds for all of it, which takes half a minute

TRACE = re.compile(
    rb"Return-Path: <sender@corpus\.example>\n"
    rb"X-Original-To: reader@corpus\.test\n"
    rb"Delivered-To: reader@corpus\.test\n"
    rb"Received: from client\.corpus\.example \(\[127\.0\.0\.1\]\)\n"
    rb"\tby corpus\.test with ESMTP\n"
    rb"\tid (?P<id>\S+) for <reader@corpus\.test>; "
    rb"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\n")
ACCEPTED = re.compile(r"250 2\.0\.0 accepted as (\S+)$")


class Message:
    """A message to send, what is to become of it, and what became of it."""

    def __init__(self, name, wire, text=None):
        self.name = name
        self.wire = wire  # what is sent, before dots are added
        self.text = text  # what is to be stored, with LF; None: to be refused
        self.reply = ""
        self.path = None  # where it is stored, relative to the data directory
        self.file = b""  # what stands there

    @property
    def id(self):
        found = ACCEPTED.match(self.reply)
        return found and found[1]

    @property
    def chunked(self):
        """By BDAT where DATA cannot carry it, and every fourth otherwise."""
        return not self.wire.endswith(b"\r\n") or zlib.crc32(self.wire) % 4 == 0


def prepare(name, raw):
    """Make of a file the messages to send (RFC 5321 section 2.3.8)."""
    text = raw.replace(b"\r\n", b"\n")
    mixed = b"\r\n" in raw and b"\n" in raw.replace(b"\r\n", b"")
    if b"\r" not in text and not mixed:
        yield allowed(name, text)
        return
    yield Message(name, raw if mixed else text.replace(b"\n", b"\r\n"))
    yield allowed(name + " (line ends mended)", text.replace(b"\r", b"\n"))


def allowed(name, text):
    wire = text.replace(b"\n", b"\r\n")
    if received_fields(text) > MAX_RECEIVED:
        return Message(name, wire)
    return Message(name, wire, without_return_path(text))


def without_return_path(text):
    lines, rest = oracle.header_lines(text)
    return b"".join(l for l in lines if not re.match(rb"(?i)return-path[ \t]*:", l)) + rest


def received_fields(text):
    return sum(1 for l in oracle.header_lines(text)[0] if re.match(rb"(?i)received[ \t]*:", l))


class Checks:
    """Summary lines on standard output, every detail in the report."""

    def __init__(self, report):
        self.report = report
        self.faults = 0

    def fault(self, text):
        """Note one thing that is wrong; the first few are shown at once."""
        self.faults += 1
        if self.faults <= 20:
            print("  wrong: " + text)
        self.note("wrong: " + text)

    def note(self, text):
        print(text, file=self.report)

    def summary(self, name, text, before):
        state = "ok" if self.faults == before else "FAILED"
        print(f"{name:8} {state:6} {text}")
        self.note(f"{name}: {state}: {text}")


def read_corpus(path):
    """Names and contents of the messages below a folder, or in a .tar.zst."""
    if path.is_dir():
        for p in sorted(path.rglob("*")):
            if p.is_file():
                yield f"{path.name}/{p.relative_to(path)}", p.read_bytes()
        return
    with subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE) as unpacker:
        with tarfile.open(fileobj=unpacker.stdout, mode="r|") as archive:
            for member in archive:
                if member.isfile():
                    yield member.name, archive.extractfile(member).read()
        unpacker.stdout.read()  # what pads the archive
    if unpacker.returncode != 0:
        raise Failed(f"{path} cannot be unpacked")


def send_all(checks, appliance, messages):
    before, started = checks.faults, time.monotonic()

    def send_share(n):
        connection = Connection(appliance.address)
        for m in messages[n::CONNECTIONS]:
            connection.send(m)
        connection.close()

    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(send_share, range(CONNECTIONS)))
    seconds = time.monotonic() - started
    refusals = collections.Counter()
    for m in messages:
        if m.text is None:
            refusals[m.reply.partition(" ")[0] + " " + m.reply.split(" ")[1]] += 1
        if (m.text is None) != bool(re.match(r"5\d\d 5\.\d+\.\d+ .", m.reply)) or (m.text is not None) != bool(m.id):
            checks.fault(f"{m.name}: reply {m.reply!r} to a message that is to be {'refused' if m.text is None else 'accepted'}")
    refused = ", ".join(f"{n} with {code}" for code, n in sorted(refusals.items()))
    checks.summary("sent", f"{len(messages)} messages in {seconds:.1f} s, {sum(m.chunked for m in messages)} of them by BDAT; "
                   f"accepted {sum(bool(m.id) for m in messages)}, refused {refused or 0}", before)


def check_stored(checks, appliance, messages):
    before, octets = checks.faults, 0
    expected = {m.id: m for m in messages if m.id and m.text is not None}
    for path in appliance.files():
        content = path.read_bytes()
        trace = TRACE.match(content)
        m = expected.pop(trace and trace["id"].decode(), None)
        if m is None:
            checks.fault(f"{path.name}: a file nobody asked for, which begins {content[:200]!r}")
            continue
        m.path, m.file = path.relative_to(appliance.data), content
        octets += len(content)
        if content[trace.end():] != m.text:
            checks.fault(f"{m.name}: {path.name} differs from it at octet {first_difference(content[trace.end():], m.text)}")
        if f",S={len(content)},W={len(content) + content.count(10)}" not in path.name:
            checks.fault(f"{m.name}: {path.name} does not tell its size, {len(content)} octets")
    for m in expected.values():
        checks.fault(f"{m.name}: acknowledged, but no file has it")
    for left in (appliance.maildir / "tmp").iterdir():
        checks.fault(f"{left.name}: left behind in tmp/")
    checks.summary("stored", f"{sum(m.path is not None for m in messages)} files, {octets} octets, compared with what was sent", before)


def first_difference(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def await_rows(appliance, rows):
    """Wait until the index has that many rows, and return them."""
    deadline = time.monotonic() + PATIENCE
    while appliance.status()["messages"] < rows:
        if time.monotonic() > deadline:
            raise Failed(f"the index has not all of {rows} messages after {PATIENCE} s")
        time.sleep(0.05)
    return appliance.dump()


def row_path(row):
    """The file of a row, relative to the data directory, as Maildir++ has it."""
    user, domain = row["account"].split("@")
    name = f"new/{row['key']}" if row["new"] else f"cur/{row['key']}:2,{row['flags']}"
    return pathlib.Path("mail", domain, user, *([] if row["folder"] == "INBOX" else ["." + row["folder"]]), name)


def check_decoded(checks, messages, rows):
    """Compare with Python's reading what the index has of each file."""
    by_path = {row_path(row): row for row in rows}
    for check, field, column in (("found", "message-id", "message_id"), ("decoded", "subject", "subject"), ("decoded", "from", "from")):
        before, kinds, same = checks.faults, collections.Counter(), 0
        for m in messages:
            row = m.path and by_path.get(m.path)
            if row is None:
                if m.path:
                    checks.fault(f"{m.name}: no row has {m.path}")
                continue
            block = b"".join(oracle.header_lines(m.file)[0])
            how, python = oracle.explain(block, field, row[column])
            if how == []:
                same += 1
                continue
            kind = " + ".join(how or ["unexplained"])
            kinds[kind] += 1
            detail = f"{field} differs ({kind}): {m.name}\n    python {python!a}\n    index  {row[column]!a}"
            if how is None:
                checks.fault(detail)
            else:
                checks.note(detail)
        counts = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        checks.summary(check, f"{field}: {same} the same, {sum(kinds.values())} differ: {counts or '-'}", before)


def check_searches(checks, appliance, messages):
    """Find some by their Message-ID, one command each, with brackets and without."""
    before = checks.faults
    sample = sorted((m for m in messages if m.path), key=lambda m: zlib.crc32(m.text))
    tried = 0
    for m in sample:
        found = re.search(rb"(?im)^message-id:[ \t]*(<[!-;=?-~]+>)[ \t]*\n", oracle.mend(m.text))
        how, _ = oracle.explain(b"".join(oracle.header_lines(m.file)[0]), "message-id", found[1][1:-1].decode()) if found else (None, None)
        if how != []:
            continue  # an id in no need of interpretation, and the first of its message
        tried += 1
        wanted = found[1].decode() if tried % 2 else found[1][1:-1].decode()
        rows = json.loads(appliance.mailctl("search", "headers", "--json", "--message-id", wanted))
        if m.path not in [row_path(row) for row in rows]:
            checks.fault(f"{m.name}: a search for {wanted} does not find {m.path}")
        if tried == SEARCHES:
            break
    checks.summary("found", f"{tried} messages searched for one by one", before)


def check_index(checks, appliance, rows):
    before = checks.faults
    status = appliance.status()
    files = len(appliance.files())
    if not files == status["messages"] == len(rows):
        checks.fault(f"{files} files, {status['messages']} rows by index status, {len(rows)} by search")
    bad = [text for text in index_texts(appliance.data / "index.db") if not is_clean(text)]
    for text in bad:
        checks.fault(f"not UTF-8, or a control character in it: {text!r}")
    appliance.mailctl("index", "rebuild")
    again = appliance.dump()
    if again != rows:
        old, new = ({json.dumps(row, sort_keys=True) for row in dump} for dump in (rows, again))
        checks.fault(f"{len(old - new)} rows differ after a rebuild:\n    " + "\n    ".join(sorted(old ^ new)[:10]))
    checks.summary("index", f"{files} files, {len(rows)} rows; values looked at, and rows again after a rebuild", before)


def index_texts(path):
    """Every text of the index as octets: JSON would show damage mended."""
    db = sqlite3.connect(path.as_uri() + "?mode=ro", uri=True, timeout=PATIENCE)
    db.text_factory = bytes
    with contextlib.closing(db):
        for table in (b"message", b"folder", b"extra", b"meta"):
            for row in db.execute(f"SELECT * FROM {table.decode()}"):
                yield from (value for value in row if isinstance(value, bytes))


def is_clean(text):
    try:
        return not re.search(r"[\0-\x09\x0b-\x1f\x7f-\x9f]", text.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def run(args, folder, checks):
    messages = [m for path in args.corpus for name, raw in read_corpus(path) for m in prepare(name, raw)]
    if not messages:
        raise Failed("the corpus is empty")
    appliance = Appliance(args.maild, args.mailctl, folder)
    try:
        appliance.mailctl("user", "add", READER, "--password-stdin", stdin="corpus of real mail\n")
        send_all(checks, appliance, messages)
        check_stored(checks, appliance, messages)
        rows = await_rows(appliance, len(appliance.files()))
        check_decoded(checks, messages, rows)
        check_searches(checks, appliance, messages)
        check_index(checks, appliance, rows)
    finally:
        ended = appliance.process.poll()
        status = appliance.stop()
        if ended is not None:
            print(f"corpus.py: maild ended by itself with status {ended}: {appliance.log_path.read_text(errors='replace')[-2000:]}", file=sys.stderr)
    before = checks.faults
    if status != 0:
        checks.fault(f"maild ended with status {status} on SIGTERM")
    for line in appliance.log_path.read_text(errors="replace").splitlines():
        if not re.search(r"level=(INFO|DEBUG) ", line):
            checks.fault("log: " + line)
    checks.summary("log", f"maild ended with status {status}; its log looked at for warnings and errors", before)


def out_of_time(*_):
    raise Failed(f"not done after {TIME_LIMIT} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--maild", required=True, type=pathlib.Path)
    parser.add_argument("--mailctl", required=True, type=pathlib.Path)
    parser.add_argument("--report", type=pathlib.Path, default=os.devnull, help="a file for every difference")
    parser.add_argument("corpus", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    args.maild, args.mailctl = args.maild.absolute(), args.mailctl.absolute()
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(TIME_LIMIT)
    try:
        with tempfile.TemporaryDirectory(prefix="maild-corpus-") as folder, open(args.report, "w", encoding="utf-8") as report:
            checks = Checks(report)
            run(args, pathlib.Path(folder), checks)
            for kind, reason in oracle.KINDS.items():
                checks.note(f"{kind}: {reason}")
    except (Failed, OSError, ValueError, tarfile.TarError, subprocess.SubprocessError) as err:
        print(f"corpus.py: {err}", file=sys.stderr)
        return 2
    return 1 if checks.faults else 0


if __name__ == "__main__":
    sys.exit(main())
