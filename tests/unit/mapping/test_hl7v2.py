"""The HL7 v2 parser: decode first, split later, and never fall over."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import HubError, InvalidMessage
from hub.mapping import hl7v2
from hub.mapping.charset import decode

MSH = "MSH|^~\\&|HIS|H37050200001|HUB|HUB|20260201090000||ADT^A04^ADT_A01|MSG1|P|2.4|||||CHN|{charset}"
DELIMITERS = b"|^~\\&"
TORN = [
    chr(point)
    for point in range(0x4E00, 0x9FA6)
    if len(found := chr(point).encode("gb18030")) == 2 and found[1] in DELIMITERS
]


def message(*lines: str, charset: str = "UNICODE UTF-8", codec: str = "utf-8", end: str = "\r") -> bytes:
    return end.join([MSH.format(charset=charset), *lines, ""]).encode(codec)


def test_there_are_464_characters_whose_second_byte_is_a_delimiter() -> None:
    assert len(TORN) == 464
    assert "珅" in TORN


@pytest.mark.parametrize("charset", ["GB 18030-2000", "GB18030", "GBK", "gb2312", ""])
def test_every_one_of_them_survives(charset: str) -> None:
    body = message(*(f"PID|1||X^^^HIS^PI||{one}^{one}" for one in TORN), charset=charset, codec="gb18030")
    segments = hl7v2.parse(body).of("PID")
    assert [segment.first(5, 1) for segment in segments] == TORN
    assert [segment.first(5, 2) for segment in segments] == TORN


def test_a_torn_character_in_the_header_itself() -> None:
    body = MSH.format(charset="GB 18030-2000").replace("HIS", "珅").encode("gb18030")
    assert hl7v2.header(body).sending_app == "珅"
    assert hl7v2.header(body).charset == "GB 18030-2000"


def test_the_header_alone() -> None:
    found = hl7v2.header(message("PID|1"))
    assert (found.sending_app, found.sending_facility, found.time) == (
        "HIS",
        "H37050200001",
        "20260201090000",
    )
    assert (found.kind, found.control_id, found.version) == ("ADT^A04", "MSG1", "2.4")
    assert found == hl7v2.parse(message("PID|1")).header()


def test_what_is_declared_counts_before_what_could_be_guessed() -> None:
    body = MSH.format(charset="GBK").replace("HIS", "联通").encode("gbk")  # these bytes are valid UTF-8 too
    assert hl7v2.header(body).sending_app == "联通"


def test_a_wrong_declaration_is_a_warning() -> None:
    found = hl7v2.parse(message("PID|1||||测试甲", charset="UNICODE UTF-8", codec="gb18030"))
    assert found.of("PID")[0].first(5) == "测试甲"
    assert "offset" in found.warnings[0]
    assert hl7v2.parse(message("PID|1", charset="KLINGON")).warnings


def test_utf_8_that_is_declared_to_be_gb18030_is_read_as_utf_8() -> None:
    found = hl7v2.parse(message("PID|1||||测试珅·甲", charset="GB 18030-2000", codec="utf-8"))
    assert found.of("PID")[0].first(5) == "测试珅·甲"
    assert found.warnings == ["the bytes are UTF-8, not GB 18030-2000 as declared; read as UTF-8"]


def test_names_in_gb18030_are_not_taken_for_utf_8() -> None:
    """Of 200,000 random names of 2, 3 and 4 characters of GB2312, 2.0 %, 0.30 % and 0.05 % are valid UTF-8.

    But of two-byte characters: by the rule of `hub.mapping.charset` (two Chinese characters, and most of what
    is not ASCII) 0 %, 0.002 % and 0.001 % are taken for it; of all of GBK 0 %, 0.005 % and 0.0015 %; of the
    3,755 common characters none.
    """
    rows = [bytes((row, cell)) for row in range(0xB0, 0xF8) for cell in range(0xA1, 0xFF)][:3755]
    dice = random.Random(20260201)
    for length in (2, 3, 4):
        for _ in range(2_000):
            name = b"".join(dice.choices(rows, k=length))
            assert decode(b"PID|1||||" + name, "GB18030").codec == "gb18030"


def test_the_channel_knows_better_than_the_header() -> None:
    body = message("PID|1||||测试甲", charset="8859/1", codec="gb18030")
    assert hl7v2.parse(body, "GB18030").of("PID")[0].first(5) == "测试甲"


def test_bytes_that_nobody_can_read_are_named_by_their_offset() -> None:
    body = message("PID|1||||X") + b"\x81\xff\xff"
    with pytest.raises(InvalidMessage, match=r"byte offset \d+"):
        hl7v2.parse(body)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r"])
def test_line_ends(end: str) -> None:
    found = hl7v2.parse(message("PID|1||X", "", "PV1|1|O", end=end))
    assert [segment.id for segment in found.segments] == ["MSH", "PID", "PV1"]


def test_a_line_feed_inside_a_field_is_content() -> None:
    found = hl7v2.parse(message("NTE|1||one\ntwo", "PV1|1"))
    assert found.of("NTE")[0].first(3) == "one\ntwo"


def test_other_separators() -> None:
    body = b"MSH$*@!%$HIS$H1$$$2026$$ADT*A04$1$P$2.4\rPID$1$$1*x%y@2*z$$A!S!B!F!C"
    segment = hl7v2.parse(body).of("PID")[0]
    assert (segment.first(3, 2, 1), segment.first(3, 2, 2)) == ("x", "y")
    assert [part.text for part in segment.children("3")] == ["1", "2"]
    assert segment.first(5) == "A*B$C"


def test_escapes() -> None:
    segment = hl7v2.parse(
        message(r"NTE|1||a\F\b\S\c\T\d\R\e\E\f|\H\bold\N\|one\.br\two|\X4142\|\Zx\ \ end\X0G\ ")
    ).of("NTE")[0]
    assert segment.first(3) == r"a|b^c&d~e\f"
    assert segment.first(4) == "bold"
    assert segment.first(5) == "one\ntwo"
    assert segment.first(6) == "AB"
    assert segment.first(7) == r"\Zx\ \ end\X0G" + "\\"


def test_a_field_without_components_is_its_own_first_component() -> None:
    segment = hl7v2.parse(message('PID|1||A~B^C~^D~""|""')).of("PID")[0]
    assert [part.text for part in segment.children("3")] == ["A", "B", None]
    assert [child.text for part in segment.children("3") for child in part.children("1")] == ["A", "B"]
    assert segment.children("3")[0].children("2") == []
    assert segment.first(4) is None
    assert segment.children("3")[2].position == "PID-3[3]"
    assert segment.children("name") == []


def test_segment_groups() -> None:
    found = hl7v2.parse(message("ORC|NW|1", "RXO|a", "ORC|NW|2", "RXO|b", "FT1|1"))
    assert [group.of("RXO")[0].first(1) for group in found.group("ORC")] == ["a", "b"]
    assert [len(group.of("FT1")) for group in found.group("ORC")] == [0, 1]


def test_the_offset_of_the_message_time() -> None:
    body = message("PID|1").replace(b"20260201090000", b"20260201090000-0330")
    assert str(hl7v2.parse(body).zone()) == "UTC-03:30"
    assert hl7v2.parse(message("PID|1")).zone() is None


@pytest.mark.parametrize(
    ("body", "position"),
    [
        (b"", "line 1"),
        (b"PID|1", "line 1"),
        (b"FHS|^~\\&|\rMSH|^~\\&|", "line 1"),
        (b"MSH", "MSH-1"),
        (b"MSHx^~\\&x", "MSH-1"),
        (b"MSH|", "MSH-2"),
        (b"MSH|^^^^|", "MSH-2"),
        (b"MSH|^~\\&#!|", "MSH-2"),
        (b"MSH|abc|", "MSH-2"),
        (message("pid|1"), "line 2"),
        (message("PID|1", "free text"), "line 3"),
        (message("PIDx1"), "line 2"),
    ],
)
def test_what_is_no_message_is_refused_at_its_position(body: bytes, position: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        hl7v2.parse(body)
    assert caught.value.issues[0].expression == position


def test_an_escape_escaped_once_too_often_is_forgiven() -> None:
    found = hl7v2.parse(b"MSH|^~\\\\&|HIS||||2026||ADT^A04\rPID|1||a&b")
    assert found.of("PID")[0].first(3, 1, 2) == "b"
    assert found.warnings


def test_repetitions_have_a_limit() -> None:
    found = hl7v2.parse(message("PID|1||" + "~".join("x" * 10_000)))
    with pytest.raises(InvalidMessage, match="10000 repetitions") as caught:
        found.of("PID")[0].children("3")
    assert caught.value.issues[0].expression == "PID-3"


def test_a_byte_order_mark_and_blank_lines_before_the_header() -> None:
    assert hl7v2.parse(b"\xef\xbb\xbf\r\n" + message("PID|1")).of("PID")
    assert hl7v2.header(b"\xef\xbb\xbf" + message("PID|1")).kind == "ADT^A04"


def test_atoms_are_all_there_is() -> None:
    segment = hl7v2.parse(message('PID|1||A^B&C~D|""')).of("PID")[0]
    assert list(hl7v2.atoms(segment)) == [
        ((1, 0, 1, 1), "1"),
        ((3, 0, 1, 1), "A"),
        ((3, 0, 2, 1), "B"),
        ((3, 0, 2, 2), "C"),
        ((3, 1, 1, 1), "D"),
    ]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_whatever_comes_it_is_read_or_refused(noise: bytes, headed: bool) -> None:
    body = message("PID|1") + noise if headed else noise
    try:
        found = hl7v2.parse(body)
        for segment in found.segments:
            for place, _ in hl7v2.atoms(segment):
                segment.first(place[0], place[2], place[3])
                for part in segment.children(str(place[0])):
                    assert part.text is None or part.text
    except HubError as error:
        assert error.issues
