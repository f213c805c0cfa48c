"""What Python's email package reads in a header, and why the index may differ.

The package is asked in several ways, from the plainest on: the header as it is
or prepared in ways that have a name, by its modern parser or its old one, white
space counting or not. The first way in which it gives what the index has names
the kind of the difference, and KINDS says why the index is right. What is left
must stand in SETTLED with the value that is right.
"""

import email.errors
import email.header
import email.parser
import email.policy
import email.utils
import itertools
import re
import warnings

MAX_BLOCK = 256 << 10  # octets of a header that the index reads

KINDS = {
    "lines": "A line that is no field, or has space before its colon, ends Python's header. The index reads on to the empty"
             " line, as other readers of mail do: what one bad line hides from a search is lost.",
    "8-bit": "Octets outside ASCII, and ISO-2022-JP, are no text to Python. The index takes them for UTF-8, else for the"
             " character set that the body declares, else for windows-1252.",
    "label": "iso-8859-1 and us-ascii mean windows-1252 to every program that shows mail, and the difference is quotes and"
             " dashes in real text.",
    "bound": f"The index reads {MAX_BLOCK >> 10} KiB of a header, a bound against hostile mail; the longest of the real corpus has 15.",
    "old parser": "Python's old parser (compat32, getaddresses) agrees, its modern one does not: it leaves out names that"
                  " stand in comments, and puts spaces between encoded words within quotes.",
    "space": "Control characters are spaces in the index, those of a fold within a word too, and none stand at the ends: the"
             " values are shown in lines of a terminal.",
    "settled": "Neither parser of Python's makes sense of it. The value that is right stands in SETTLED.",
}

# Raw value, value in the index, why.
SETTLED = [
    # Encoded words.
    (b"David H=?ISO-8859-1?B?9g==?=hn <dh@uptime.at>", "David Höhn <dh@uptime.at>", "a word within a word"),
    (b"=?utf-8?B?!!!notbase64???=", "!!!notbase64??", "not base64: its text is kept"),
    (b"=?utf-8?B?R3LDvMOfZ?=", "Grüß", "base64 cut short: what is whole is kept"),
    # Python drops what follows, or parts of it.
    (b"bduyisj36648@Email.cz <bduyisj36648@Email.cz>", '"bduyisj36648@Email.cz" <bduyisj36648@Email.cz>', "an address as the name"),
    (b"a@b <c@d>", '"a@b" <c@d>', "an address as the name"),
    (b"a@b; c@d", "a@b, c@d", "a semicolon between addresses"),
    (b"tim@powerupdev.com concierge@powerupdev.com", "tim@powerupdev.com, concierge@powerupdev.com", "nothing between addresses"),
    (b"Bob Dunite <bob@extern> Bobby Dunite <bobby@extern>", "Bob Dunite <bob@extern>, Bobby Dunite <bobby@extern>", "nothing between addresses"),
    (b"<<a@b>>", "a@b", "doubled brackets"),
    (b"@", '"@"', "no address: kept as a name"),
    (b"ndtuftrzzsglsvnz@uksyz@21cn.com", "ndtuftrzzsglsvnz@uksyz@21cn.com", "two at signs"),
    (b"zvfjenphuq@[1086695621], [ufa]@netnoteinc.com", "zvfjenphuq@[1086695621], [ufa]@netnoteinc.com", "a literal as the local-part"),
    (b"ngdgpfwxsw@[1086695621], [pi]@netnoteinc.com", "ngdgpfwxsw@[1086695621], [pi]@netnoteinc.com", "a literal as the local-part"),
    (b'News@no.hostname.supplied,\t"Update@no.hostname.supplied"@netnoteinc.com: <info@nextmail.net>',
     'News@no.hostname.supplied, "Update@no.hostname.supplied"@netnoteinc.com, info@nextmail.net', "a colon that begins no group"),
    (b'qvaC:"\\My Documents\\Superserver\\SS data\\From names\\50 FROM fields newaddresses.txt" <bhOurbestmonth@yahoo.com>',
     '"qvaC:My DocumentsSuperserverSS dataFrom names50 FROM fields newaddresses.txt" <bhOurbestmonth@yahoo.com>', "a colon that begins no group"),
    # Python puts together what is apart, or takes apart what is one.
    (b"a b c", "a b c", "words only: a name"),
    (b"Big Bug bb@bug.com", "Big Bug <bb@bug.com>", "brackets left out"),
    (b'"\\" <a@b>', '"\\\\" <a@b>', "a quote that is never closed: its backslash is a name"),
    (b"a@b (comment (nested)) ,(x) c@d", '"comment (nested)" <a@b>, x <c@d>', "parentheses within a comment"),
    # Damaged by chance.
    (b'"Mr. FoRK"\xe4mfork_%is\x7f@\xebotmail.com>', "Mr. <FoRKämfork_%is @ëotmail.com>", "an opening bracket became text"),
    (b'Olivier Nicole <Oliv"er.Nicoce@ait.ac\xebth>', 'Olivier Nicole <Oliv"er.Nicoce@ait.acëth>', "a quote within an address"),
    (b"yyyy@spamas\xb2ass\xcbn.tai\x06t.org\x07(Justin \xfaason)", "Justin úason <yyyy@spamas²assËn.tai t.org>", "control characters in an address"),
]


def explain(block, field, indexed):
    """Return how Python comes to read in a header block what the index has.

    That is a list of KINDS, empty when both simply agree and None when nothing
    explains the difference; and what Python reads in the plainest way.
    """
    plain = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kinds, read, prepared, fold in ways(block, field):
            try:
                reading = read(prepared, field)
            except (ValueError, LookupError, TypeError, AttributeError, email.errors.MessageError) as err:
                if plain is None:
                    plain = f"{type(err).__name__}: {err}"  # Python's own fault
                continue
            if plain is None:
                plain = write(reading, str)
            if write(reading, fold) == indexed:
                return kinds, plain
    for raw, value, _ in SETTLED:
        if indexed == value and raw == raw_value(block, field):
            return ["settled"], plain
    return None, plain


def ways(block, field):
    """Every way to ask, the plain ones first."""
    readers, folds = [modern, old], [(None, str), ("space", spaces)]
    if field == "message-id":
        readers, folds = [message_id], [(None, str), ("space", no_space)]
    preparations = [("bound", bound), ("lines", mend), ("label", relabel), ("8-bit", to_text)]
    chosen = sorted(itertools.product((False, True), repeat=len(preparations)), key=sum)
    for which in chosen:
        kinds, prepared = [], block
        for (kind, prepare), on in zip(preparations, which):
            if on:
                kinds, prepared = kinds + [kind], prepare(prepared)
        for read in readers:
            for kind, fold in folds:
                more = (["old parser"] if read is old else []) + ([kind] if kind else [])
                yield kinds + more, read, prepared, fold


# Preparations of a block.

def header_lines(text):
    """The fields of a message, each with its continuations, and the rest of it."""
    end = 0 if text.startswith(b"\n") else text.find(b"\n\n") + 1 or len(text)
    return re.findall(rb"(?s:.)[^\n]*(?:\n[ \t][^\n]*)*\n?", text[:end]), text[end:]


def bound(block):
    return block[:MAX_BLOCK]


def mend(block):
    """Only the lines that are fields, with nothing before their colons."""
    fields = (re.match(rb"(?s)([!-9;-~]+)[ \t]*(:.*)", line) for line in header_lines(block)[0])
    return b"".join(f[1] + f[2] for f in fields if f)


def relabel(block):
    return re.sub(rb"(?i)=\?(iso-8859-1|us-ascii)(?=[?*])", b"=?windows-1252", block)


def to_text(block):
    declared = re.search(rb"(?im)^content-type[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*?charset[ \t]*=[ \t\"']*([^\s;\"']+)", block)
    declared = declared[1].decode("latin-1") if declared else "windows-1252"
    if declared.lower() in ("iso-8859-1", "us-ascii"):
        declared = "windows-1252"
    return "".join(line_to_text(line, declared) for line in header_lines(block)[0])


def line_to_text(line, declared):
    guesses = ["utf-8", declared]
    if b"\x1b$" in line:
        guesses.insert(0, "iso-2022-jp")
    for charset in guesses:
        try:
            return line.decode(charset)
        except (UnicodeDecodeError, LookupError):
            pass
    return line.decode("windows-1252", "replace")


# Readers. Each returns a text or, for From, pairs of a name and an address.

def parse(block, policy):
    if isinstance(block, str):
        return email.parser.HeaderParser(policy=policy).parsestr(block)
    return email.parser.BytesHeaderParser(policy=policy).parsebytes(block)


def modern(block, field):
    value = parse(block, email.policy.default)[field]
    if value is None or field != "from":
        return str(value or "")
    pairs = []
    for group in value.groups:
        if not group.addresses and group.display_name:
            pairs.append((group.display_name, ""))
        pairs += [(a.display_name, "" if a.addr_spec == "<>" else a.addr_spec) for a in group.addresses]
    return pairs


def old(block, field):
    value = parse(block, email.policy.compat32)[field]
    if value is None or field != "from":
        return decode(value or "")
    return [(decode(name), decode(addr)) for name, addr in email.utils.getaddresses([re.sub(r"[\r\n]", "", str(value))])]


def decode(value):
    return str(email.header.make_header(email.header.decode_header(value)))


def message_id(block, field):
    value = str(parse(block, email.policy.compat32)[field] or "")
    found = re.search(r"<([^>]*)>", value) or re.search(r"<(\S*)", value) or re.search(r"(?s)(.*)", value)
    return re.sub(r"\s", "", found[1])


def raw_value(block, field):
    for line in header_lines(block)[0]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == field.encode():
            return re.sub(rb"\n", b"", value).strip()
    return None


# Writing, as the index does.

def write(reading, fold):
    """A text, or `Name <addr>, addr, "Na,me"`."""
    if isinstance(reading, str):
        return fold(reading)
    return ", ".join(filter(None, (write_pair(fold(name), fold(addr)) for name, addr in reading)))


def write_pair(name, addr):
    if re.search(r'["(),:;<>@\[\\\]]', name):
        name = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    return f"{name} <{addr}>" if name and addr else name or addr


def spaces(text):
    return re.sub(r"[\0-\x1f\x7f-\x9f\u2028\u2029]", " ", text).strip()


def no_space(text):
    return re.sub(r"\s+", "", spaces(text))
