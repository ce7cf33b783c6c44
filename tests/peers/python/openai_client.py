"""The official OpenAI client of PyPI against a gateway: openai_client.py BASE_URL MODEL, a model whose chat template shows
tools. Every answer is held to the client's own types, which OpenAI generates from its description of the API.
Prints "ok NAME" or "FAIL NAME: why" for each check; exit status 1 if one failed."""
import asyncio
import json
import sys
import time
import traceback
from typing import Literal

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

BASE, MODEL = sys.argv[1:3]
SETTINGS = dict(base_url=f"{BASE}/v1", api_key="unused", max_retries=0, timeout=60, _strict_response_validation=True)
client = OpenAI(**SETTINGS)
QUESTION = [{"role": "user", "content": "What is 27 + 48?"}]
STORY = dict(model=MODEL, messages=[{"role": "user", "content": "Tell me a short story about a fox."}], seed=11,
             temperature=0.7, top_p=0.9, max_tokens=40)


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def refused(kind, needle, call, **arguments):
    try:
        call(**arguments)
    except openai.APIStatusError as error:
        expect(isinstance(error, kind), f"{type(error).__name__}, expected {kind.__name__}: {error}")
        expect(needle in json.dumps(error.body), f"{error.body} does not name {needle}")
        expect(error.request_id, "no request id")
        return
    raise AssertionError(f"was accepted, expected {kind.__name__}")


def chat_completion():
    reply = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0)
    expect("75" in reply.choices[0].message.content and reply.choices[0].finish_reason == "stop", str(reply))
    expect(reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens, "usage")
    expect(reply.assay["receipt"].startswith("0x"), "receipt")


def raw_response_has_the_request_id():
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION, max_tokens=2)
    expect(raw.parse()._request_id and raw.parse()._request_id == raw.headers["x-request-id"], "x-request-id")


def streams_equal_whole_answers():
    whole = client.chat.completions.create(**STORY)
    text, usage = "", None
    for chunk in client.chat.completions.create(**STORY, stream=True, stream_options={"include_usage": True}):
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        usage = chunk.usage or usage
    expect(text == whole.choices[0].message.content, f"{text!r} is not {whole.choices[0].message.content!r}")
    expect(usage == whole.usage, "usage in the stream")
    # The client's own way of putting chunks together; it takes no answer that was cut for its length.
    ask = dict(model=MODEL, messages=QUESTION, temperature=0)
    with client.chat.completions.stream(**ask) as stream:
        final = stream.get_final_completion()
    expect(final.choices[0].message.content == client.chat.completions.create(**ask).choices[0].message.content, "helper")


def completions():
    ask = dict(model=MODEL, prompt="The capital of", max_tokens=8, temperature=0, logprobs=2)
    whole = client.completions.create(**ask).choices[0]
    expect("".join(whole.logprobs.tokens) == whole.text, "tokens are the text")
    # The types know no choice that has not ended, yet the API streams them so: this client checks nothing.
    lenient = OpenAI(**{**SETTINGS, "_strict_response_validation": False})
    streamed = "".join(c.choices[0].text for c in lenient.completions.create(**ask, stream=True) if c.choices)
    expect(streamed == whole.text, "streamed text differs")


def logprobs():
    content = client.chat.completions.create(**STORY, logprobs=True, top_logprobs=3).choices[0].logprobs.content
    for entry in content:
        expect(len(entry.top_logprobs) == 3 and entry.logprob <= entry.top_logprobs[0].logprob + 1e-9, str(entry))


class Town(BaseModel):
    city: Literal["Ostra", "Belmar"]
    population: int
    kind: Literal["port", "hill", "river"]
    port: bool


def parsed_answers_are_of_their_class():
    for seed in (1, 2):
        ask = dict(model=MODEL, messages=[{"role": "user", "content": "Tell me about a town."}], seed=seed, temperature=1,
                   max_tokens=400, response_format=Town)
        parsed = client.chat.completions.parse(**ask).choices[0].message.parsed
        expect(isinstance(parsed, Town), f"{parsed!r}")


class weather(BaseModel):
    city: Literal["Ostra", "Belmar"]
    days: int


def tools():
    tool = openai.pydantic_function_tool(weather)
    ask = dict(model=MODEL, messages=[{"role": "user", "content": "What is the weather in Ostra?"}], tools=[tool],
               tool_choice={"type": "function", "function": {"name": "weather"}}, max_tokens=120, seed=4)
    choice = client.chat.completions.parse(**ask).choices[0]
    expect(choice.finish_reason == "tool_calls", choice.finish_reason)
    expect(isinstance(choice.message.tool_calls[0].function.parsed_arguments, weather), str(choice))


def models():
    expect(MODEL in [m.id for m in client.models.list()], "models")
    expect(client.models.retrieve(MODEL).object == "model", "retrieve")


def files_and_batches():
    rows = [dict(custom_id=f"row-{i}", method="POST", url="/v1/chat/completions",
                 body=dict(model=MODEL, messages=QUESTION, temperature=0, seed=i)) for i in range(3)]
    data = "\n".join(map(json.dumps, rows)).encode()
    file = client.files.create(file=("rows.jsonl", data), purpose="batch")
    expect(client.files.content(file.id).read() == data, "content")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    until = time.monotonic() + 60
    while batch.status not in ("completed", "failed") and time.monotonic() < until:
        time.sleep(0.1)
        batch = client.batches.retrieve(batch.id)
    expect(batch.status == "completed" and batch.request_counts.completed == 3, str(batch))
    answers = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    expect(all("75" in a["response"]["body"]["choices"][0]["message"]["content"] for a in answers), str(answers))
    expect(client.files.delete(file.id).deleted, "delete")
    refused(openai.NotFoundError, "file", client.files.retrieve, file_id=file.id)


def refusals_have_their_classes():
    chat = client.chat.completions.create
    refused(openai.NotFoundError, "no-such-model", chat, model="no-such-model", messages=QUESTION)
    refused(openai.BadRequestError, "temperature", chat, model=MODEL, messages=QUESTION, temperature=-1)
    refused(openai.BadRequestError, "messages", chat, model=MODEL, messages=[])
    refused(openai.InternalServerError, "price", chat, model=MODEL, messages=QUESTION,
            extra_body={"provider": {"max_price": {"prompt": 0, "completion": 0}}})
    refused(openai.NotFoundError, "embeddings", client.embeddings.create, model=MODEL, input="x")
    header = {"Idempotency-Key": "python-1"}
    first = chat(model=MODEL, messages=QUESTION, extra_headers=header)
    expect(chat(model=MODEL, messages=QUESTION, extra_headers=header).id == first.id, "the same key is another answer")
    refused(openai.ConflictError, "Idempotency-Key", chat, model=MODEL, messages=QUESTION, seed=2, extra_headers=header)


def many_at_once():
    async def ask():
        async with AsyncOpenAI(**SETTINGS) as many:
            return await asyncio.gather(*(many.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0)
                                          for _ in range(8)))
    expect(all("75" in r.choices[0].message.content for r in asyncio.run(ask())), "answers")


def leaving_a_stream():
    with client.chat.completions.create(**{**STORY, "max_tokens": 200}, stream=True) as stream:
        next(iter(stream))
    chat_completion()


if __name__ == "__main__":
    failed = 0
    for check in (chat_completion, raw_response_has_the_request_id, streams_equal_whole_answers, completions, logprobs,
                  parsed_answers_are_of_their_class, tools, models, files_and_batches, refusals_have_their_classes,
                  many_at_once, leaving_a_stream):
        try:
            check()
            print(f"ok {check.__name__}", flush=True)
        except Exception as error:
            failed += 1
            traceback.print_exc()
            print(f"FAIL {check.__name__}: {str(error).splitlines()[0] if str(error) else type(error).__name__}", flush=True)
    sys.exit(1 if failed else 0)
