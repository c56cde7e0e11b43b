"""Framing whatever the chunks, headers whatever the charset, acknowledgements by HL7 2.4 chapter 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Issue
from hub.messages import Outcome, body_digest
from hub_his_hl7v2.wire import HEAD, NO_HEADER, Frame, Framer, acknowledgement, codec_of, read_header

SAMPLES = Path(__file__).parent / "samples"
MSH = "MSH|^~\\&|HIS|H1|HUB|HUB|20260201085500||ADT^A04^ADT_A01|MSG1|P|2.4"


def frames(*chunks: bytes, max_message: int = 1000) -> list[tuple[bytes, str]]:
    framer = Framer(max_message)
    found = [frame for chunk in chunks for frame in framer.feed(chunk)] + framer.end()
    return [(frame.body, frame.problem) for frame in found]


CONTENT = st.binary(max_size=40).map(lambda data: data.replace(b"\x0b", b"").replace(b"\x1c", b""))
PIECE = st.one_of(
    CONTENT.map(lambda body: b"\x0b" + body + b"\x1c\x0d"),
    CONTENT.map(lambda body: b"\x0bMSH" + body),
    CONTENT,
    st.sampled_from([b"\x0b", b"\x1c", b"\x0d", b"\r\n", b"MSH|", b"\x0b\x0b", b"\x1c\x1c"]),
)


@given(st.lists(PIECE, max_size=8).map(b"".join), st.data(), st.integers(1, 60))
def test_chunks_do_not_matter(stream: bytes, data: st.DataObject, max_message: int) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert frames(*chunks, max_message=max_message) == frames(stream, max_message=max_message)


@given(st.lists(CONTENT, max_size=6), CONTENT)
def test_whole_frames_come_back_byte_for_byte(bodies: list[bytes], garbage: bytes) -> None:
    between = garbage.replace(b"MSH", b"")
    stream = between + between.join(b"\x0b" + body + b"\x1c\x0d" for body in bodies)
    assert frames(stream) == [(body, "") for body in bodies]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"\x0bA\x1c\x0d\x0bB\x1c\x0d", [(b"A", ""), (b"B", "")]),
        (b"\x0bA\x1c\x0bB\x1c", [(b"A", ""), (b"B", "")]),  # the CR after FS is missing
        (b"noise\r\n\x0bA\x1c\x0d\r\n", [(b"A", "")]),
        (b"\x0bMSH|cut\x0bB\x1c\x0d", [(b"MSH|cut", "truncated"), (b"B", "")]),
        (b"\x0bMSH|cut", [(b"MSH|cut", "truncated")]),
        (b"\x0b\x0bA\x1c\x0d\x0b", [(b"A", "")]),  # VT twice, VT at the end: nothing was lost
        (b"MSH|no start\x1c\x0d", [(b"MSH|no start", "unframed")]),
        (b"GET / HTTP/1.1\r\n\r\n", []),
        (b"\x0b\x1c\x0d", [(b"", "")]),
    ],
)
def test_frames(stream: bytes, expected: list[tuple[bytes, str]]) -> None:
    assert frames(stream) == expected
    assert frames(*(bytes([byte]) for byte in stream)) == expected


def test_too_long_keeps_the_head_and_the_digest_of_the_whole() -> None:
    body = bytes(range(32, 127)) * 2000
    framer = Framer(100_000)
    found = framer.feed(b"\x0b" + body[:99_000]) + framer.feed(body[99_000:] + b"\x1c\x0d\x0bB\x1c\x0d")
    assert found[0] == Frame(
        body=body[:HEAD], size=190_000, digest=body_digest(body).hex(), problem="too-long"
    )
    assert found[1] == Frame(body=b"B", size=1)
    assert framer._buffer == b"\r", "nothing of the long one is held"
    assert Framer(100_000).feed(b"\x0b" + body[:100_000] + b"\x1c")[0].problem == ""


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*.hl7")))
def test_headers_of_the_samples(name: str) -> None:
    header = read_header((SAMPLES / name).read_bytes())
    assert header is not None
    assert (header.sending_app, header.sending_facility[:5], header.receiving_app) == ("HIS", "H3705", "HUB")
    assert header.kind == ("ADT^A04" if "ADT" in name else "OMP^O09")
    assert header.codec == ("gb18030" if "gb18030" in name else "utf-8")
    assert header.version == "2.4" and header.separators == "|^~\\&"


def test_a_header_is_decoded_before_it_is_split() -> None:
    text = "MSH|^~\\&|珅琟|東|||20260201||ADT^A04|M珅1|P|2.4||||||GBK\rPID|1"
    header = read_header(text.encode("gb18030"))
    assert header is not None
    assert (header.sending_app, header.sending_facility, header.control_id) == ("珅琟", "東", "M珅1")
    assert (header.charset, header.codec) == ("GBK", "gb18030")
    # Wrongly declared: what can be read is read.
    header = read_header(text.replace("GBK", "UNICODE UTF-8").encode("gb18030"))
    assert header is not None and header.sending_app == "珅琟"
    # UTF-8 bytes that are valid GB18030 too: the declaration decides.
    header = read_header("MSH|^~\\&|测试|||||||1|P|2.4||||||GB 18030-2000".encode())
    assert header is not None and header.codec == "gb18030" and header.control_id == "1"
    # No charset at all reads it: the bytes survive as Latin-1.
    header = read_header(b"MSH|^~\\&|\xff\xff|||||||1|P|2.4")
    assert header is not None and header.codec == "latin-1" and header.control_id == "1"


@pytest.mark.parametrize(
    ("body", "separators", "control_id"),
    [
        (b"MSH#:~\\&#A#B#C#D#T##ADT:A04#9#P#2.4", "#:~\\&", "9"),
        (b"MSH|^~\\&|", "|^~\\&", ""),
        (b"MSH|^|A|B|||T||ADT^A04|9", "|^~\\&", "9"),
        (b"MSH|||A|B|||T||ADT^A04|9", "|^~\\&", "ADT^A04"),  # one field too many: that is what stands there
        (b"MSH|^~\\\\&|A|B|||T||ADT^A04|9", "|^~\\&", "9"),
        (b"MSH|^~\\&#|A|B|||T||ADT^A04|9", "|^~\\&", "9"),  # 2.7 has a fifth one
        (b"MSH|ABCD|A|B|||T||ADT^A04|9", "|^~\\&", "9"),
        (b"\xef\xbb\xbf\r\nMSH|^~\\&|A|B|||T||ADT^A04|9\nPID|1", "|^~\\&", "9"),
    ],
)
def test_odd_headers(body: bytes, separators: str, control_id: str) -> None:
    header = read_header(body)
    assert header is not None
    assert (header.separators, header.control_id) == (separators, control_id)


@pytest.mark.parametrize("body", [b"", b"PID|1", b"MSH", b"MSHA", b"MSH ", b"FHS|^~\\&|", b"\xff\xfeM\x00"])
def test_no_header(body: bytes) -> None:
    assert read_header(body) is None


def test_charsets() -> None:
    for name, codec in [
        ("UNICODE UTF-8", "utf-8"),
        ("utf8", "utf-8"),
        ("GB 18030-2000", "gb18030"),
        ("gbk", "gb18030"),
        ("8859/1", "iso8859-1"),
        ("ISO IR87", ""),
        ("", ""),
    ]:
        assert codec_of(name) == codec


def ack(
    outcome: Outcome,
    header: str = MSH,
    *,
    encoding: str = "utf-8",
    own: str = "77",
    time: str = "20260201005501+0000",
) -> list[str]:
    """The acknowledgement's lines, after the frame has been checked."""
    found = acknowledgement(read_header(header.encode(encoding)) or NO_HEADER, outcome, "77", time)
    assert found[:1] == b"\x0b" and found[-3:] == b"\r\x1c\x0d"
    return found[1:-3].decode(encoding).split("\r")


ACK_MSH = "MSH|^~\\&|HUB|HUB|HIS|H1|20260201005501+0000||ACK^A04^ACK|77|P|2.4"


def test_accepted() -> None:
    warning = Issue(severity="warning", code="code-invalid", diagnostics="unmapped")
    for outcome in (
        Outcome(code="accepted", message=5),
        Outcome(code="accepted", issues=(warning,)),
        Outcome(code="duplicate"),
        Outcome(code="duplicate", first="accepted"),
    ):
        assert ack(outcome) == [ACK_MSH, "MSA|AA|MSG1"]


def test_invalid_and_what_is_said_again_of_its_duplicate() -> None:
    issues = (
        Issue(severity="warning", code="value", diagnostics="first a warning", expression="PID-7"),
        Issue(code="required", diagnostics="PID-3 is empty | no id", expression="PID-3[2].1"),
        Issue(code="code-invalid", diagnostics="x", expression="RXO[2]-1"),
        Issue(code="structure", diagnostics="y", expression="line 4"),
    )
    expected = [
        ACK_MSH,
        "MSA|AE|MSG1|PID-3 is empty \\F\\ no id|||101^Required field missing^HL70357",
        "ERR|PID^1^3^101&Required field missing&HL70357~RXO^2^1^103&Table value not found&HL70357"
        "~^^^100&Segment sequence error&HL70357",
    ]
    assert ack(Outcome(code="invalid", issues=issues)) == expected
    assert ack(Outcome(code="duplicate", first="invalid", issues=issues)) == expected


@pytest.mark.parametrize(
    ("outcome", "lines"),
    [
        (
            Outcome(code="conflict", issues=(Issue(code="conflict", diagnostics="same key, other body"),)),
            [
                "MSA|AE|MSG1|same key, other body|||205^Duplicate key identifier^HL70357",
                "ERR|^^^205&Duplicate key identifier&HL70357",
            ],
        ),
        (
            Outcome(
                code="rejected",
                issues=(Issue(code="not-supported", diagnostics="ADT^A04", expression="MSH-9"),),
            ),
            [
                "MSA|AR|MSG1|ADT\\S\\A04|||201^Unsupported event code^HL70357",
                "ERR|MSH^1^9^201&Unsupported event code&HL70357",
            ],
        ),
        (
            Outcome(code="rejected", issues=(Issue(code="too-long", diagnostics="40 bytes"),)),
            [
                "MSA|AR|MSG1|40 bytes|||207^Application internal error^HL70357",
                "ERR|^^^207&Application internal error&HL70357",
            ],
        ),
        (
            Outcome(code="unavailable"),
            [
                "MSA|AR|MSG1|unavailable|||207^Application internal error^HL70357",
                "ERR|^^^207&Application internal error&HL70357",
            ],
        ),
        (
            Outcome(code="conflict"),
            [
                "MSA|AE|MSG1|conflict|||205^Duplicate key identifier^HL70357",
                "ERR|^^^205&Duplicate key identifier&HL70357",
            ],
        ),
    ],
)
def test_refusals(outcome: Outcome, lines: list[str]) -> None:
    assert ack(outcome) == [ACK_MSH, *lines]


@pytest.mark.parametrize(
    ("kind", "condition"),
    [
        ("ADT^A17", "201&Unsupported event code"),
        ("OMP^O99", "201&Unsupported event code"),
        ("ORU^R01", "200&Unsupported message type"),
        ("ADT", "200&Unsupported message type"),
    ],
)
def test_what_nobody_understands_is_said_of_the_message_type(kind: str, condition: str) -> None:
    issue = Issue(code="not-supported", diagnostics="no mapping understands it")
    header = f"MSH|^~\\&|HIS|H1|HUB|HUB|T||{kind}|MSG1|P|2.4"
    found = ack(Outcome(code="rejected", issues=(issue,)), header)
    assert found[2] == f"ERR|MSH^1^9^{condition}&HL70357"


@pytest.mark.parametrize(
    ("code", "number"), [("required", "101"), ("value", "102"), ("code-invalid", "103"), ("structure", "100")]
)
def test_the_condition_follows_from_the_kind_of_finding(code: str, number: str) -> None:
    issue = Issue(code=code, diagnostics="x", expression="FT1-11.1, FT1-12.1")
    assert ack(Outcome(code="invalid", issues=(issue,)))[2].startswith(f"ERR|FT1^1^11^{number}&")


def test_in_the_sender_s_separators_and_charset() -> None:
    header = "MSH#:~\\&#测珅#東#HUB#HUB#T##OMP:O09#M1#T#2.5######GB 18030-2000~ASCII"
    issue = Issue(code="required", diagnostics="珅: a#b\r\nc")
    assert ack(Outcome(code="invalid", issues=(issue,)), header, encoding="gb18030", time="T") == [
        "MSH#:~\\&#HUB#HUB#测珅#東#T##ACK:O09:ACK#77#T#2.5######GB 18030-2000",
        "MSA#AE#M1#珅\\S\\ a\\F\\b  c###101:Required field missing:HL70357",
        "ERR#:::101&Required field missing&HL70357",
    ]


def test_without_a_header_as_well_formed_as_can_be() -> None:
    issue = Issue(code="structure", diagnostics="no MSH segment opens the message", expression="MSH-1")
    assert ack(Outcome(code="invalid", issues=(issue,)), "PID|1") == [
        "MSH|^~\\&|||||20260201005501+0000||ACK|77|P|2.4",
        "MSA|AE||no MSH segment opens the message|||100^Segment sequence error^HL70357",
        "ERR|MSH^1^1^100&Segment sequence error&HL70357",
    ]


def test_an_unreadable_header_is_echoed_byte_for_byte() -> None:
    header = read_header(b"MSH|^~\\&|\xff\xff|H|||T||ADT^A04|M\xff1|P|2.4")
    assert header is not None
    found = acknowledgement(header, Outcome(code="accepted"), "77", "T")
    assert found == b"\x0bMSH|^~\\&|||\xff\xff|H|T||ACK^A04^ACK|77|P|2.4\rMSA|AA|M\xff1\r\x1c\x0d"


def test_long_texts_end_at_the_length_of_their_field() -> None:
    found = ack(Outcome(code="invalid", issues=tuple(Issue(diagnostics="长" * 300) for _ in range(50))))
    assert found[1].split("|")[3] == "长" * 80
    assert found[2].count("~") == 9
