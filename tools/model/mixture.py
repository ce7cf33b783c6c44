"""Which tensor of a model gets which weight type: whole-file types and llama.cpp's mixtures."""

# mixture: (most matrices, the few that matter more)
MIXTURES = {"q4_k_m": ("q4_k", "q6_k"), "q5_k_m": ("q5_k", "q6_k")}
FILE_TYPE = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 7, "q4_k": 14, "q4_k_m": 15, "q5_k": 16, "q5_k_m": 17,
             "q6_k": 18, "bf16": 32}  # general.file_type
CHOICES = sorted(FILE_TYPE)


def _more_bits(layer, layers):
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def kind_of(name, shape, form, layers, tied):
    """The type of one tensor; shape is numpy order. As llama.cpp's quantizer decides, except that
    rows a K-quant cannot cut are Q8_0."""
    if len(shape) == 1:
        return "f32"
    kind = form
    if form in MIXTURES:
        most, more = MIXTURES[form]
        part = name.split(".")[-2]
        matters = part == "output" or (part == "token_embd" and tied)
        if part in ("attn_v", "ffn_down"):
            matters = _more_bits(int(name.split(".")[1]), layers)
        kind = more if matters else most
    if kind.endswith("_k") and shape[-1] % 256 != 0:
        return "q8_0"
    return kind
