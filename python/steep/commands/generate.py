"""`steep generate`: how a language model of `steep train` goes on after some words."""

import argparse
from pathlib import Path

from ..data import Text
from ..generation import generate
from . import options as shared
from . import run_folder, texts
from .recipe import Recipe, network_of

EXAMPLES = """examples:
  steep generate runs/a "KING"
  steep generate runs/a "KING" --length 500 --temperature 0.5 --seed 1
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options to the program's."""
    parser = commands.add_parser(
        "generate",
        help="write on after a prompt with a run on a text",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="RUN", help="run folder of `steep train text.txt`")
    parser.add_argument("prompt", metavar="PROMPT", help="how the text begins")
    add = parser.add_argument
    add("--length", type=shared.count, default=200, metavar="N", help="characters to add (200)")
    add(
        "--temperature",
        type=shared.number,
        default=0.8,
        metavar="F",
        help="below 1 likelier characters come more often; 0 takes the likeliest (0.8)",
    )
    add("--top-k", type=shared.count, metavar="N", help="draw among the N likeliest (all)")
    add(
        "--stride",
        type=shared.count,
        default=1,
        metavar="N",
        help="of gpt: characters forgotten at once where the context is full; more is faster (1)",
    )
    add("--seed", type=int, default=0, metavar="N", help="of the draws (0)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the prompt and what comes after it."""
    folder, prompt = Path(options.folder), options.prompt
    values = run_folder.read_config(folder)
    recipe = Recipe.from_json(values["recipe"])
    if recipe.model not in texts.MODELS:
        raise ValueError(
            f"{folder}: is a run of {recipe.model}, which writes no text; "
            "`steep train text.txt --model gpt` makes one that does."
        )
    if not (folder / run_folder.WEIGHTS).is_file():
        raise ValueError(f"{folder}: has no weights yet. Go on with: {run_folder.resuming(folder)}")
    known = tuple(values.get("data", {}).get("classes") or ())
    if not prompt:
        raise ValueError("PROMPT: is empty; the text goes on after one character at least.")
    unknown = [mark for mark in dict.fromkeys(prompt) if mark not in known]
    if unknown:
        raise ValueError(
            f"PROMPT: {', '.join(map(repr, unknown[:5]))} never came in {recipe.dataset}, which "
            f"{folder} was trained on."
        )
    net = network_of(recipe, (recipe.context or texts.CONTEXT,), len(known))
    net.load_weights(folder / run_folder.WEIGHTS)
    text = Text.from_string(prompt, vocabulary=known)
    print(
        generate(
            net,
            prompt,
            options.length,
            options.temperature,
            options.top_k,
            options.seed,
            text=text,
            stride=options.stride,
        )
    )
    return 0
