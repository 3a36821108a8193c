"""Small models to hold conversations with: a tokenizer of a few words, and templates of the shapes
that people's models have.

CHAT templates do not say what an answer is; MARKED ones are the same with the marks.
"""

import json
import os
import shutil
import subprocess
import sys

from cllm.prepare import tokenizers

WORDS = "user assistant system hello what is the capital of France ? Paris . and 12 think\n" * 9
END = "<|endoftext|>"

# -- templates ----------------------------------------------------------------------------------

# SmolLM2: a system message of its own where none is given.
SMOLLM = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
{{ '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n' }}{% endif %}\
{{ '<|im_start|>' + message['role'] + '\n' }}BEGIN{{ message['content'] + '<|im_end|>' + '\n' }}END\
{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""

# Qwen2.5: tools, calls, and what tools answer inside a user's turn; lines that Jinja strips.
QWEN2 = """{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- for tool in tools %}
        {{- tool | tojson }}
        {{- "\n" }}
    {%- endfor %}
    {{- '<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role in ("user", "system") %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role + '\n' }}BEGIN
        {%- if message.content %}
            {{- message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls or [] %}
            {{- '\n<tool_call>\n{"name": "' }}
            {{- tool_call.function.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.function.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}END
    {%- elif message.role == "tool" %}
        {{- '<|im_start|>user\n<tool_response>\n' + message.content }}
        {{- '\n</tool_response><|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""

# Qwen3: thoughts are kept after the last question only, where there is a place for them always.
QWEN3 = """{%- set ns = namespace(last=messages|length - 1) %}
{%- for message in messages %}
    {%- if message.role == "user" %}
        {%- set ns.last = loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role != "assistant" %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- else %}
        {%- set thoughts = '' %}
        {%- if message.reasoning_content is string %}
            {%- set thoughts = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set thoughts = content.split('</think>')[0].split('<think>')[-1].strip('\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\n' }}
        {%- if loop.index0 > ns.last %}
            {{- '<think>\n' + thoughts.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
        {%- else %}
            {{- content }}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
"""

# Llama 3: the first token is the template's, contents are trimmed.
LLAMA3 = """{% set loop_messages = messages %}{% for message in loop_messages %}\
{% set head = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' %}\
{% if loop.index0 == 0 %}{% set head = bos_token + head %}{% endif %}{{ head }}\
BEGIN{{ message['content'] | trim + '<|eot_id|>' }}END{% endfor %}\
{% if add_generation_prompt %}\
{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""

# Gemma: no system message, turns in order, another name for the assistant.
GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}\
{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}\
{% if message['role'] == 'assistant' %}{% set role = 'model' %}{% else %}\
{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' }}\
BEGIN{{ message['content'] | trim + '<end_of_turn>\n' }}END{% endfor %}\
{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"""

# Mistral: the end of text closes answers, and nothing asks for one.
MISTRAL = """{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}\
{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}\
BEGIN{{ ' ' + message['content'] + eos_token }}END{% endif %}{% endfor %}"""

CHATML = ("<|im_start|>", "<|im_end|>")
SHAPES = {  # template, special tokens of which the last ends a turn
    "smollm": (SMOLLM, (END, *CHATML)), "qwen2": (QWEN2, (END, *CHATML)),
    "qwen3": (QWEN3, (END, *CHATML)),
    "llama3": (LLAMA3, ("<|begin|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")),
    "gemma": (GEMMA, ("<bos>", "<start_of_turn>", "<end_of_turn>")),
    "mistral": (MISTRAL, ("<s>", "[INST]", "[/INST]", "</s>"))}
MARKS = "{% generation %}", "{% endgeneration %}"


def template_of(shape, *, marked=False):
    """The template of a shape. In a loop over all messages the marks are for answers."""
    text = SHAPES[shape][0]
    if not marked:
        return text.replace("BEGIN", "").replace("END", "") if "BEGIN" in text else text
    assert "BEGIN" in text, shape
    if shape in ("qwen2", "mistral"):
        return text.replace("BEGIN", MARKS[0]).replace("END", MARKS[1])
    begin, end = text.index("BEGIN"), text.index("END")
    body = text[begin + len("BEGIN"):end]
    answer = "{% if message['role'] == 'assistant' %}" + MARKS[0] + body + MARKS[1]
    return f"{text[:begin]}{answer}{{% else %}}{body}{{% endif %}}{text[end + len('END'):]}"


# -- models -------------------------------------------------------------------------------------

_KINDS = {}


def _trained():
    if not _KINDS:
        _KINDS["bpe"] = tokenizers.train_bpe(iter([WORDS]), 320).json
    return _KINDS["bpe"]


def make_model(folder, template=None, special=(END, *CHATML), *, vocabulary=None, context=None,
               around=False, change=lambda content: None, **config):
    """A folder with a tokenizer, the template in a file of its own, and config.json. `around`: the
    tokenizer puts the first special token before a text."""
    library = tokenizers.library()
    content = json.loads(_trained())
    change(content)
    tokenizer = library.Tokenizer.from_str(json.dumps(content))
    tokenizer.add_special_tokens(list(special))
    if around:
        first = special[0]
        tokenizer.post_processor = library.processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, tokenizer.token_to_id(first))])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": special[0],
             "eos_token": special[-1], "clean_up_tokenization_spaces": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(named | config))
    size = tokenizer.get_vocab_size() if vocabulary is None else vocabulary
    (folder / "config.json").write_text(json.dumps(
        {"vocab_size": size} | ({} if context is None else {"max_position_embeddings": context})))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return folder


def model_of(folder, shape, *, marked=False, **settings):
    return make_model(folder, template_of(shape, marked=marked), SHAPES[shape][1], **settings)


def write_lines(path, *records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    return path


def said(*contents, system=None):
    """Messages of a user and an assistant in turn."""
    first = [] if system is None else [{"role": "system", "content": system}]
    return first + [{"role": ("user", "assistant")[i % 2], "content": content}
                    for i, content in enumerate(contents)]


def trained_text(example, tokenizer):
    """What is trained of an example, a text for each piece."""
    from cllm.chat.show import pieces_of

    return [text for text, is_trained in pieces_of(example, tokenizer) if is_trained]


def command(*words, folder, **environment):
    """Exit code of cllm, what it prints, and what it says on standard error."""
    done = subprocess.run([sys.executable, "-m", "cllm", *map(str, words)], cwd=folder, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False,
                          env=os.environ | {"COLUMNS": "100"} | environment)
    return done.returncode, done.stdout, done.stderr


# -- models that talk ---------------------------------------------------------------------------

def parrot(folder, word, *, context=64, shape="smollm", dim=8):
    """A model that says one token of its tokenizer, again and again; None: anything."""
    import cllm

    model_of(folder, shape)
    library = tokenizers.library()
    tokenizer = library.Tokenizer.from_file(str(folder / "tokenizer.json"))
    made = cllm.Model.create(cllm.ModelConfig(layers=1, heads=1, dim=dim, seq=context,
                                              vocab=tokenizer.get_vocab_size()))
    if word is not None:
        weights = made.parameters()
        weights["transformer.ln_f.bias"][:] = 1
        weights["transformer.wte.weight"][tokenizer.token_to_id(word)] = 3
    made.save(folder / "made")
    for name in ("config.json", "model.safetensors", "manifest.json", "generation_config.json"):
        if (folder / "made" / name).exists():
            (folder / "made" / name).replace(folder / name)
    shutil.rmtree(folder / "made")
    return folder
