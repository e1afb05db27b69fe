"""What a command reads: files, globs, folders, standard input, and how it knows what they are."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.conftest import LOG, SALES, packed
from penstock.cli import malformed

TOP = ["country,n", "DE,2", "FR,1", ",1"]


def parquet(path: str, **columns: list[object]) -> bytes:
    pq.write_table(pa.table(columns), path)
    return Path(path).read_bytes()


def test_several_files_and_globs_are_one_table(penstock):
    """Files named one by one, by a glob or by their folder are read together."""
    Path("more").mkdir()
    for name in ("more/a.csv", "more/b.csv"):
        Path(name).write_text(SALES)

    for words in (["more/a.csv", "more/b.csv"], ["more/*.csv"], ["more"]):
        assert penstock("aggregate", *words, "n=count(*)").lines == ["n", "8"]


@pytest.mark.parametrize(
    ("data", "format"),
    [
        pytest.param(SALES, "csv", id="csv"),
        pytest.param(SALES.replace(",", "\t"), "tsv", id="tsv"),
        pytest.param(
            '{"country": "DE"}\n{"country": "FR"}\n{"country": "DE"}\n{"country": null}\n', "json", id="json lines"
        ),
        pytest.param('[{"country": "DE"}, {"country": "FR"}, {"country": "DE"}, {"country": null}]', "json", id="json"),
        pytest.param(packed(SALES), "csv", id="gzip"),
    ],
)
def test_standard_input_is_told_by_how_it_begins(penstock, data, format):
    """`-` reads what is piped in, compressed or not, and says on stderr what it took it for."""
    result = penstock("top", "-", "--by", "country", stdin=data)

    assert (result.code, result.lines) == (0, TOP)
    assert result.err == f"note: reading standard input as {format}; --input-format says otherwise\n"


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_binary_formats_come_through_pipes(penstock, format):
    """What `--format parquet` and `--format arrow` print is what `-` reads."""
    printed = penstock("where", "sales.csv", "true", "--format", format)

    assert penstock("top", "-", "--by", "country", "-q", stdin=printed.bytes).lines == TOP


def test_a_log_on_standard_input(penstock):
    """`cat access.log | penstock top - --by path` works without another word."""
    result = penstock("top", "-", "--by", "path", stdin=LOG)

    assert result.lines == ["path,n", "/a,2", "/b,1", ",1"]
    assert "reading standard input as log" in result.err


def test_a_log_that_begins_with_other_lines_is_still_a_log(penstock):
    """Lines of a start-up, or an `[error]`, do not hide what the file is."""
    result = penstock("top", "-", "--by", "path", "-n", "1", stdin="[notice] started\n\n" + LOG)

    assert (result.code, result.lines) == (0, ["path,n", "/a,2"])


def test_the_format_can_be_given(penstock):
    """`--input-format` is believed, and then nothing has to be said."""
    result = penstock("aggregate", "-", "n=count(*)", "--input-format", "tsv", stdin=SALES)

    assert (result.lines, result.err) == (["n", "4"], "")


def test_options_of_the_reader(penstock):
    """`--read` hands on what the reader of a format takes; what it does not take is refused by name."""
    Path("euro.csv").write_text("DE;1,5\nFR;NA\n")
    words = ("where", "euro.csv", "true", "--read", "delimiter=;", "--read", "header=false", "--read", "null=NA")

    assert penstock(*words).lines == ["column0,column1", 'DE,"1,5"', "FR,"]
    assert penstock("where", "euro.csv", "true", "--read", "sep=;").err.startswith(
        'error: reading csv takes no option "sep"'
    )


@pytest.mark.parametrize("name", ["access_log", "access.log.1", "ACCESS"])
def test_a_file_whose_name_does_not_tell_is_looked_into(penstock, name):
    """A rotated log is read as what it is."""
    Path(name).write_text(LOG)

    result = penstock("top", name, "--by", "path", "-n", "1")

    assert result.lines == ["path,n", "/a,2"]
    assert f"note: reading {name} as log" in result.err


def test_a_rotated_and_compressed_log_is_looked_into(penstock):
    """So is one that was compressed after it was rotated, beside the one that is written now."""
    Path("access.log.2.gz").write_bytes(packed(LOG))

    result = penstock("top", "access.log*", "--by", "path", "-n", "1", "-q")

    assert (result.lines, result.err) == (["path,n", "/a,4"], "")


def test_files_of_several_formats_are_refused(penstock):
    """One table has one format."""
    parquet("x.parquet", v=[1])

    result = penstock("top", "sales.csv", "x.parquet", "--by", "country")

    assert result.code == 2
    assert result.err == "error: files of several formats: csv, parquet\n  = help: read each kind by itself\n"


def test_empty_standard_input_needs_a_format(penstock):
    """Nothing has no format; the message says which option helps."""
    result = penstock("top", "-", "--by", "path")

    assert result.code == 2
    assert "cannot tell the format of standard input: it is empty" in result.err
    assert "--input-format" in result.err


def test_standard_input_leaves_nothing_behind(penstock, monkeypatch, tmp_path):
    """The spooled file is gone at the end, also when the command fails."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    assert penstock("top", "-", "--by", "country", stdin=SALES).code == 0
    assert penstock("top", "-", "--by", "nothing", stdin=SALES).code == 2
    assert list(scratch.iterdir()) == []


def test_malformed_lines_are_counted(penstock):
    """How many lines of a log did not parse is said on stderr, with the command that shows them, unless -q."""
    result = penstock("top", "access.log", "--by", "path")

    assert result.err == ('note: 1 of 4 lines did not parse; see them: penstock where access.log "raw IS NOT NULL"\n')
    assert penstock("top", "access.log", "--by", "path", "-q").err == ""
    assert penstock("where", "access.log", "raw IS NOT NULL", "-q").lines[1].endswith("not a line of a log")


@pytest.mark.parametrize(
    "words",
    [
        ["top", "--by", "path", "-n", "1"],
        ["top", "--by", "path,host", "--weight", "bytes"],
        ["aggregate", "--by", "status", "n=count(*)", "total=sum(bytes)"],
        ["aggregate", "n=count(path)"],
        ["aggregate", "--by", "h=upper(host)", "n=count(*)"],
        ["distinct", "--columns", "path"],
        ["mode", "--column", "path"],
    ],
    ids=" ".join,
)
def test_counting_the_malformed_changes_nothing_else(penstock, words):
    """What is printed is the same with -q, where lines are not counted, whichever way a verb counts them."""
    verb, *rest = words
    counted = penstock(verb, "access.log", *rest)
    quiet = penstock(verb, "access.log", *rest, "-q")

    assert counted.bytes == quiet.bytes and len(quiet.lines) > 1
    assert counted.err.startswith("note: 1 of 4 lines did not parse")


def test_a_verb_that_groups_reads_a_log_once(penstock, monkeypatch):
    """For `top` and `aggregate` the lines are counted in the pass that answers, not in a second one."""
    monkeypatch.setattr(malformed, "of_table", lambda *_: pytest.fail("the log was read again"))

    assert "1 of 4 lines" in penstock("top", "access.log", "--by", "path").err
    assert "1 of 4 lines" in penstock("aggregate", "access.log", "--by", "path", "n=count(*)").err
