"""Whatever stands in a file, loading gives settings or problems; an unknown key fails with its line."""

import tomllib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config import ConfigError, load_settings
from config.toml_lines import find_lines

ROOT = Path(__file__).parents[2]
SAMPLE = (ROOT / "config/sample.toml").read_text()
LINES = SAMPLE.split("\n")
QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
KEYS = st.from_regex(r"[a-z][a-z_]{2,12}", fullmatch=True)


def load(folder: Path, text: str, env: dict[str, str] | None = None) -> None:
    for name in ("certificates/fullchain.pem", "certificates/privkey.pem", "people.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    file = folder / "t.toml"
    file.write_text(text)
    load_settings(file, env or {})


@QUICK
@given(number=st.integers(0, len(LINES) - 1), replacement=st.text(max_size=30))
def test_a_changed_line_never_raises_anything_else(tmp_path: Path, number: int, replacement: str) -> None:
    text = "\n".join([*LINES[:number], replacement, *LINES[number + 1 :]])
    try:
        load(tmp_path, text.encode("utf-8", "ignore").decode())
    except ConfigError as error:
        assert error.problems
        assert all(str(problem) for problem in error.problems)


@QUICK
@given(
    place=st.sampled_from(
        [n for n, line in enumerate(LINES, 1) if line.startswith("[") and "static" not in line]
    ),
    key=KEYS.map(lambda key: f"zz_{key}"),
)
def test_an_unknown_key_always_fails_with_its_line(tmp_path: Path, place: int, key: str) -> None:
    text = "\n".join([*LINES[:place], f"{key} = 1", *LINES[place:]])
    try:
        load(tmp_path, text)
    except ConfigError as error:
        assert [(problem.line, problem.message) for problem in error.problems] == [(place + 1, "unknown key")]
    else:
        raise AssertionError(key)


@QUICK
@given(
    name=st.text(st.characters(codec="ascii", exclude_characters="=\0"), max_size=30),
    value=st.text(max_size=20),
)
def test_no_variable_of_the_environment_raises_anything_else(tmp_path: Path, name: str, value: str) -> None:
    try:
        load(tmp_path, SAMPLE, {f"TRUNKLINE__{name}": value, f"TRUNKLINE__TRUNKS__{name}": value})
    except ConfigError as error:
        assert error.problems


SCALARS = st.sampled_from(
    ["1", '"a # ]["', "'x [y]'", "true", "[1, [2, 3]]", '["]", # no\n "["]', "{ a = 1 }", '"""\n= x\n"""']
)


@QUICK
@given(
    tables=st.lists(
        st.tuples(
            st.sampled_from(["[a{}]", "[[b]]", '[c{}."d.e"]']), st.lists(st.tuples(KEYS, SCALARS), max_size=4)
        ),
        max_size=5,
    )
)
def test_every_key_of_a_valid_file_is_found_on_its_line(
    tables: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    lines: list[str] = []
    wanted: list[tuple[str, int]] = []
    for number, (header, pairs) in enumerate(tables):
        lines.append(header.format(number))
        for key, value in dict(pairs).items():
            lines.append(f"{key} = {value}")
            wanted.append((key, "\n".join(lines).count("\n") + 1 - value.count("\n")))
    text = "\n".join(lines)
    tomllib.loads(text)
    found = sorted(
        (str(path[-1]), line)
        for path, line in find_lines(text).items()
        if str(path[-1]) in dict(wanted) and len(path) > 1
    )
    assert set(wanted) <= set(found)
