"""What the tests of tables share: small files, a short run, the words of a refusal."""

import json

from steep import cli

SHORT = ["--epochs", "2", "--model", "mlp", "--units", "8", "--threads", "1"]


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return str(path)


def lines(count, row, head=None):
    """Return a file's text: a header, and row(k) for k from 0."""
    return "".join(line + "\n" for line in [*([head] if head else []), *map(row, range(count))])


def trained(capsys, path, target, *more, out="run"):
    """Train shortly and return the result as JSON has it."""
    capsys.readouterr()
    words = ["train", str(path), "--target", target, *SHORT, "--out", str(out), "--json", *more]
    assert cli.main(words) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def refusal(capsys, *arguments):
    """Return the one line of a refusal."""
    capsys.readouterr()
    try:
        code = cli.main([str(word) for word in arguments])
    except SystemExit as error:  # argparse
        code = error.code
    streams = capsys.readouterr()
    assert code == 2, streams.out
    assert streams.err.count("\n") == 1, streams.err
    assert "Traceback" not in streams.err
    return streams.err
