"""`cloak run --in-place` through a running service: what a hook costs beyond the work must be milliseconds.

Therefore the command line is read here before click is loaded, and nothing is imported that takes time. What is not
plainly understood is left to the whole command, which works in this process and gives the same.
"""

import os
import sys
from pathlib import Path

TAKES_VALUE = {
    "--pipeline": "pipeline",
    "-p": "pipeline",
    "--effect": "effect",
    "--strength": "strength",
    "--recall": "recall",
    "--no-face": "no_face",
    "--keep": "keep",
    "--quality": "quality",
}
"""Options that the service knows as query parameters."""

LARGEST = 1_000_000_000
"""Bytes of a file that is read at all."""

FLAGS = {"--in-place", "--quiet", "-q", "--preserve-times"}


def hand_over(arguments: list[str]) -> tuple[int, list[str] | None]:
    """Have a running service clean photos in place.

    Returns the exit code so far, and the command line that is left to do in this process; None if nothing is. Each
    photo that fails is named. Raises `UsageError` when the address, the token or the request is wrong.
    """
    server = os.environ.get("CLOAK_SERVER", "")
    if not server or arguments[:1] != ["run"] or "--in-place" not in arguments or "CLOAK_NOISE_KEY" in os.environ:
        return 0, arguments
    parsed = _parse(arguments[1:])
    if parsed is None:
        return 0, arguments
    choice, options, files = parsed

    from cloak.client import Client
    from cloak.errors import TooLarge, Unavailable, UsageError, of_failure
    from cloak.files import printable
    from cloak.inplace import doubts, once, replace
    from cloak.process import take_secret

    client = Client(server, take_secret("CLOAK_TOKEN"))
    code, left, files = 0, [], once(files)
    for number, file in enumerate(files):
        try:
            report = replace(
                Path(file), LARGEST, lambda data: client.anonymize(data, **choice),
                preserve_times="--preserve-times" in options,
            )  # fmt: skip
            why = doubts(report)
            code = worst(code, 4 if why else 0)
            if {"-q", "--quiet"} & {*options}:
                continue
            if report.get("status") == "no-face":
                print(f"no face    {printable(file)}: none was found; stripped, look at it", file=sys.stderr)
            if why:
                print(f"to review  {printable(file)}: {why}; look at it", file=sys.stderr)
        except TooLarge:  # for the service: this process has limits of its own
            left.append(file)
        except Unavailable as error:
            print(f"cloak: {error}; working without it", file=sys.stderr)
            left += files[number:]
            break
        except UsageError:
            raise
        except Exception as error:
            told = of_failure(error)
            print(f"withheld   {printable(file)}: {told}. {told.next_step}", file=sys.stderr)
            code = worst(code, told.exit_code)
    return code, ["run", *options, "--", *left] if left else None


def worst(*codes: int) -> int:
    """The exit code of several: whatever ended the work early, 1 a photo was withheld, 4 a person should look, 0."""
    return max(codes, key=lambda code: (0, 4, 1).index(code) if code in {0, 4, 1} else 3)


def _parse(words: list[str]) -> tuple[dict[str, str], list[str], list[str]] | None:
    """Query parameters, the options as they stand, and files; None for what only the whole command understands."""
    choice: dict[str, str] = {"pipeline": "photographer"}
    options: list[str] = []
    flags = set[str]()
    files: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--":
            files += rest
        elif word in FLAGS:
            flags.add(word)
            options.append(word)
        elif name in TAKES_VALUE and name.startswith("--") and equals:
            choice[TAKES_VALUE[name]] = value
            options.append(word)
        elif word in TAKES_VALUE:
            given = next(rest, None)
            if given is None:
                return None
            choice[TAKES_VALUE[word]] = given
            options += [word, given]
        elif word.startswith("-"):
            return None
        else:
            files.append(word)
    if not files or choice["pipeline"].endswith(".toml") or any(map(os.path.isdir, files)):
        return None
    if "--in-place" not in flags or choice.get("effect") == "perturb":  # a file's name; what no service promises
        return None
    return choice, options, files
