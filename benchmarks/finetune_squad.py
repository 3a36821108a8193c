"""Teaches a small instruction model to answer questions on a text, and says how well it does.

SQuAD becomes conversations: the first question comes with a paragraph, the next ones are about the
same, and answers are words of the paragraph. Articles are held out, and questions on them are asked
before and after, one to a conversation. Exact match and F1 are SQuAD's own (Rajpurkar et al. 2016,
"SQuAD: 100,000+ Questions for Machine Comprehension of Text"); unanswerable questions of version 2
are left out. A tuned adapter is then opened in `peft`, and its merged model in transformers.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import random
import re
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cllm
import numpy as np
from cllm import _bench_command
from cllm.chat import Dialogue
from compare_routing import split_words
from rich.console import Console
from rich.table import Table

SYSTEM = "Answer with words of the text."
MOST_TOKENS = 64  # of an answer
MOST_DIFFERENCE = 1e-3  # of logits, beside the largest
BESIDE_OTHERS = 10  # questions that peft and transformers get


class Asked(NamedTuple):
    question: str
    answers: list[str]  # any of them is right


class Paragraph(NamedTuple):
    text: str
    asked: list[Asked]


def paragraphs(article: dict[str, Any]) -> Iterator[Paragraph]:
    for paragraph in article["paragraphs"]:
        asked = [Asked(qa["question"].strip(), sorted({a["text"] for a in qa["answers"]}))
                 for qa in paragraph["qas"] if not qa.get("is_impossible")]
        if asked:
            yield Paragraph(paragraph["context"].strip(), asked)


def first_turn(text: str, question: str) -> str:
    return f"{text}\n\n{question}"


def conversation(paragraph: Paragraph, order: random.Random) -> dict[str, Any]:
    """The questions on a paragraph, in any order; the shortest answer is the one to learn."""
    messages = [{"role": "system", "content": SYSTEM}]
    for number, one in enumerate(order.sample(paragraph.asked, len(paragraph.asked))):
        question = one.question if number else first_turn(paragraph.text, one.question)
        messages += [{"role": "user", "content": question},
                     {"role": "assistant", "content": min(one.answers, key=len)}]
    return {"messages": messages}


def read(squad: Path, held_out: int, questions: int) -> tuple[list[dict[str, Any]],
                                                              list[tuple[str, Asked]]]:
    """Conversations to train on, and questions with their paragraph on other articles."""
    content = squad.read_bytes()
    articles = json.loads(gzip.decompress(content) if squad.suffix == ".gz" else content)["data"]
    order = random.Random(1)
    order.shuffle(articles)
    asked = [(p.text, one) for a in articles[:held_out] for p in paragraphs(a) for one in p.asked]
    train = [conversation(p, order) for a in articles[held_out:] for p in paragraphs(a)]
    return train, order.sample(asked, questions)


# -- the measures of SQuAD ----------------------------------------------------------------------

def words(text: str) -> list[str]:
    """Lower-case words without articles and punctuation."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def exact(given: str, answers: list[str]) -> bool:
    return any(words(given) == words(answer) for answer in answers)


def f1(given: str, answers: list[str]) -> float:
    return max(overlap(words(given), words(answer)) for answer in answers)


def overlap(given: list[str], right: list[str]) -> float:
    both = sum((collections.Counter(given) & collections.Counter(right)).values())
    return 2 * both / (len(given) + len(right)) if both else 0.0


class Score(NamedTuple):
    exact: float
    f1: float
    stopped: float
    answers: list[str]


def ask(model: Path, questions: list[tuple[str, Asked]]) -> Score:
    """Greedy answers, each in a conversation of its own; a process a core."""
    asked = [first_turn(text, one.question) for text, one in questions]
    parts = min(_bench_command.cores(), len(asked))
    with ProcessPoolExecutor(parts) as pool:
        given = list(pool.map(answers_to, [model] * parts, [asked[i::parts] for i in range(parts)]))
    answers, stopped = zip(*(given[i % parts][i // parts] for i in range(len(asked))), strict=True)
    right = [one.answers for _, one in questions]
    number = len(questions)
    return Score(sum(map(exact, answers, right)) / number, sum(map(f1, answers, right)) / number,
                 sum(stopped) / number, list(answers))


def answers_to(model: Path, asked: list[str]) -> list[tuple[str, bool]]:
    """The answers, and whether the model ended them by itself."""
    dialogue = Dialogue(cllm.Model.load(model), system=SYSTEM, tokens=MOST_TOKENS, temperature=0)
    found = []
    for question in asked:
        dialogue.reset()
        found.append((dialogue.ask(question), not dialogue.cut))
    return found


# -- beside others ------------------------------------------------------------------------------

def logits_differ(base: Path, adapter: Path, questions: list[tuple[str, Asked]]) -> float:
    """The largest difference of a logit in `peft`, beside the largest logit."""
    import peft
    import torch
    import transformers

    theirs = peft.PeftModel.from_pretrained(
        transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    ours = cllm.Model.load(base, adapter)
    worst = 0.0
    for text, one in questions:
        ids = np.array(tokenizer(first_turn(text, one.question))["input_ids"], np.int32)
        with torch.no_grad():
            expected = theirs(torch.tensor(ids[None]).long()).logits[0].numpy()
        got = ours.logits(ids[None])[0]
        worst = max(worst, float(np.abs(got - expected).max() / np.abs(expected).max()))
    return worst


def answers_of_transformers(model: Path, questions: list[tuple[str, Asked]]) -> list[str]:
    import torch
    import transformers

    theirs = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    answers = []
    for text, one in questions:
        messages = [{"role": "system", "content": SYSTEM},
                    {"role": "user", "content": first_turn(text, one.question)}]
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True,
                                            return_tensors="pt", return_dict=True)
        given = theirs.generate(**ids, max_new_tokens=MOST_TOKENS, do_sample=False)
        answers.append(tokenizer.decode(given[0, ids["input_ids"].shape[1]:],
                                        skip_special_tokens=True))
    return answers


def compare(asked: argparse.Namespace, options: list[str]) -> int:
    asked.folder.mkdir(parents=True, exist_ok=True)
    train, questions = read(asked.squad, asked.held_out, asked.questions)
    data = asked.folder / "train.jsonl"
    data.write_text("".join(json.dumps(one) + "\n" for one in train))
    table = Table("", "exact match", "F1", "stops by itself", "minutes", box=None)

    def row(name: str, score: Score, minutes: float | None = None) -> None:
        table.add_row(name, f"{score.exact:.1%}", f"{score.f1:.1%}", f"{score.stopped:.1%}",
                      "" if minutes is None else f"{minutes:.1f}")

    if asked.before:
        row("before", ask(asked.model, questions))
    run = asked.folder / "run"
    command = [sys.executable, "-m", "cllm", "finetune", str(asked.model), "--data", str(data),
               "--out", str(run), "--val-fraction", "0.02", *options]
    start = time.monotonic()
    subprocess.run(command, check=True)
    minutes = (time.monotonic() - start) / 60
    best = run / "checkpoints/best"
    tuned_model = best if best.exists() else run / "final"
    tuned = ask(tuned_model, questions)
    row("after", tuned, minutes)
    Console().print(table)
    (asked.folder / "answers.json").write_text(json.dumps(
        [{"question": one.question, "right": one.answers, "given": given}
         for (_, one), given in zip(questions, tuned.answers, strict=True)], indent=1))
    return 0 if "--full" in options else beside_others(asked, tuned_model, questions, tuned)


def beside_others(asked: argparse.Namespace, adapter: Path, questions: list[tuple[str, Asked]],
                  tuned: Score) -> int:
    few = questions[:BESIDE_OTHERS]
    merged = asked.folder / "merged"
    subprocess.run([sys.executable, "-m", "cllm", "merge", str(adapter), "--out", str(merged),
                    "--force"], check=True)
    difference = logits_differ(asked.model, adapter, few)
    same = sum(map(str.__eq__, answers_of_transformers(merged, few), tuned.answers))
    print(f"{difference:.1e} of the largest logit between peft and here, asked at most "
          f"{MOST_DIFFERENCE}")
    print(f"{same} of {len(few)} answers of the merged model in transformers are those given here")
    return int(difference > MOST_DIFFERENCE or same < len(few))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="After -- come options of cllm finetune.")
    parser.add_argument("squad", type=Path, help="SQuAD's JSON, version 1.1 or 2.0, also .gz")
    parser.add_argument("model", type=Path, help="folder, such as `cllm data smollm2` makes")
    parser.add_argument("folder", type=Path, help="to create, for data, run and answers")
    parser.add_argument("--held-out", type=int, default=3, help="articles")
    parser.add_argument("--questions", type=int, default=200, help="asked before and after")
    parser.add_argument("--before", action=argparse.BooleanOptionalAction, default=True,
                        help="asks the untuned model too")
    own, options = split_words(sys.argv[1:])
    return compare(parser.parse_args(own), options)


if __name__ == "__main__":
    sys.exit(main())
