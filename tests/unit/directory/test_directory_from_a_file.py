"""People out of files: what is read, what is left out and why, and what stays when a file breaks."""

import asyncio
from pathlib import Path

import pytest

from directory import Directories, Directory, DirectoryError, Index, Person, read_people
from events import DirectoryLoaded, DirectoryRefused, EventBus

HEADER = "id,display_name,email,business_phone,extension,aliases\n"


def write(path: Path, *rows: str) -> Path:
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def test_csv_is_read_with_its_faults_named_by_line(tmp_path: Path) -> None:
    people, findings = read_people(
        write(
            tmp_path / "p.csv",
            "1,Ada Example,ada@contoso.example,+1 (425) 555-0101,2101,a.example@contoso.example",
            "2,No Mail,,+14255550102,2102,",
            "3,Ada Again,ADA@contoso.example,,,",
        )
    )
    assert [person.name for person in people] == ["Ada Example"]
    assert [
        (finding.line, "e-mail" in finding.message or "already" in finding.message) for finding in findings
    ] == [(3, True), (4, True)]


def test_toml_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(
        '[[people]]\nemail = "ada@contoso.example"\nbusiness_phone = "+14255550101"\naliases = ["x@contoso.example"]\n'
    )
    people, findings = read_people(path)
    assert not findings
    assert people[0].aliases == ("x@contoso.example",)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"name,phone\nAda,1\n", "no column 'email'"),
        (b"email\n\xff\xfe\n", "line 2 is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    with pytest.raises(DirectoryError, match=sentence):
        read_people(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="No such file"):
        read_people(tmp_path / "nowhere.csv")


def test_every_way_to_a_person() -> None:
    index = Index(
        [
            Person(
                "1",
                "Ada",
                "Ada@Contoso.example",
                "+1 425 555 0101",
                "2101",
                "ada.upn@contoso.example",
                ("alias@contoso.example",),
            )
        ]
    )
    for found in (
        index.by_number("+14255550101"),
        index.by_address("ADA@contoso.EXAMPLE"),
        index.by_address("ada.upn@contoso.example"),
        index.by_address("alias@contoso.example"),
        index.by_extension("2101"),
        index.by_id("1"),
    ):
        assert found is not None
        assert found.number == "+14255550101"
    assert index.by_number("+14255550102") is None


def test_a_shared_number_reaches_the_first_and_is_reported() -> None:
    index = Index(
        [Person("1", "Ada", "a@c.example", "+14255550101"), Person("2", "Ben", "b@c.example", "+14255550101")]
    )
    found = index.by_number("+14255550101")
    assert found is not None
    assert found.name == "Ada"
    assert "number +14255550101" in index.findings[0].message


def test_a_hundred_thousand_people_are_indexed() -> None:
    index = Index(
        Person(str(n), f"P{n}", f"p{n}@contoso.example", f"+1425{n:07}", str(n)) for n in range(100_000)
    )
    found = index.by_number("+14250099999")
    assert found is not None
    assert found.name == "P99999"


async def test_a_changed_file_is_taken_up_and_a_broken_one_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "1,Ada,ada@contoso.example,+14255550101,2101,")
    bus, heard = EventBus(on_error=lambda *_: None), []
    bus.subscribe(DirectoryLoaded, heard.append)
    bus.subscribe(DirectoryRefused, heard.append)
    directory = Directory("contoso", path, bus, interval_s=0.01)
    await directory.start()
    people = Directories({"contoso": directory})

    async def until(count: int) -> None:
        async with asyncio.timeout(5):
            while len(heard) < count:
                await asyncio.sleep(0.005)

    try:
        write(
            path,
            "1,Ada,ada@contoso.example,+14255550101,2101,",
            "2,Ben,ben@contoso.example,+14255550102,2102,",
        )
        await until(2)
        assert people.by_extension("contoso", "2102") is not None
        path.write_bytes(b"broken")
        await until(3)
        assert isinstance(heard[-1], DirectoryRefused)
        assert people.by_extension("contoso", "2102") is not None, "the last good directory stays"
        assert people.by_extension("elsewhere", "2102") is None
    finally:
        await directory.stop()
