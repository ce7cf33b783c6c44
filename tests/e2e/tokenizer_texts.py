"""Texts that break tokenizers, and a small byte-level BPE vocabulary trained on them."""
import collections
import random

ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", " ", "  ", "\n", "\r\n", "\t", "\r", "'",
    "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~", "éèàüößñçøåÆŒſıİ", "αβγδΩЖжщЯԱաႠაᲐ", "中文字符測試的一是龥龦㐀𠀀", "ひらがなカタカナー々〆",
    "한국어가힣ㄱㅎᄀ퟿", "العربيةفارسیעִברית", "ไทยลาວខ្មែရ", "हिन्दीবাংলাதமிழ்", "\u0301\u0300\u0308\u20dd\ufe0f\u200d", "😀🦙👩\u200d👩\u200d👧🇩🇪👍🏽❤️",
    "\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\u0085", "\u200b\u200e\u202e\ufeff\u00ad\u061c", "٠١٢٣०१२３４①②Ⅷ½¾²³𝟘𝟙〇",
    "，。！？；：、（）《》“”‘’‟…—", "～／－．｜＋", "€£¥₿©®™°±×÷√∞≈→⇒", "\x00\x01\x07\x0b\x0c\x1b\x1c\x1f\x7f\u0080\u009f", "ǅǈᾈʰˠªº",
    "\ue000\uf8ff\ufffd\ufffe\U0010ffff\u0378", "ₐ⁰ⁿ⅓༠༪᠐",
]
CONTRACTIONS = ["'s", "'S", "'t", "'RE", "'re", "'Ve", "'m", "'ll", "'lL", "'D", "'d", "'x", "’s", "'ſ", "''s", " 's", "'"]
FIXED = [
    "", " ", "  ", "   ", "\n", "\n\n\n", "\t", " \n", "\n ", "\r\n\r\n", " \t \n \t ", "a", "1", "12", "123", "1234",
    "12345678901", " 123", "  123  456", "1.5e-10", "x1y22z333", "0x1F600", "Hello, world!", "Hello  world   again",
    "I'm you're we'LL they'd it's 's'", "end ", "end  ", "end\t", "end\n", "a\u3000b", "。\u3000“a", "  。", "\u3000\u3000文",
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n", "def f(x):\n    return x  # no\n\n\n", "3 33 333 3333 33333 333333", "a" * 1000,
    " " * 1000, "1" * 1000, "\n" * 500, "é" * 500, "中" * 500, "!?" * 300, "a1" * 300, " a" * 300, "\u0301" * 300,
    "😀" * 200, "'s" * 200, "\t " * 200, "e\u0301e\u0301", "\u0301e", " \u0301", "क्षत्रिय", "🏳️‍🌈 👨‍👩‍👧‍👦!", "שלום עולם ‏RTL", "a\x00b",
    "C:\\Users\\x", "https://a.b/c?d=e&f=#g", "{\"k\": [1, 2.5, null]}", "`code` ```block```", "$100 €5 ^2 ~x |y| <z>",
    "ſ'ſ 'K", "ǅ ǈ", "Ⅷ① ½x", "\u0085x\u00a0y", "\ufeffBOM", "x\u200by", "\U0010ffff", "\ue000a", "<unk><s></s>",
    "f(x);\n}\n)\n\n!\r\n",
]


def hostile_texts(count=200, seed=1):
    """Fixed nasty texts, then random ones: `count` in all."""
    rng = random.Random(seed)
    texts = list(FIXED)
    while len(texts) < count:
        parts = []
        for _ in range(rng.randint(1, 25)):
            alphabet = rng.choice(ALPHABETS)
            if rng.random() < 0.12:
                parts.append(rng.choice(CONTRACTIONS))
            else:
                parts.append("".join(rng.choice(alphabet) for _ in range(rng.choice((1, 1, 2, 3, 4, 7)))))
            if rng.random() < 0.3:
                parts.append(" " * rng.choice((1, 1, 1, 2, 3)))
        texts.append("".join(parts))
    return texts


def byte_alphabet():
    """GPT-2's: byte -> printable character."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {b: chr(b) for b in plain}
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + len(table) - len(plain))
    return table


def train_bpe(texts, rounds):
    """[(left, right)] in the byte alphabet: `rounds` merges as training finds them, then every other
    pair of neighbouring bytes. Nothing is cut beforehand, so there is a merge across every place where
    a pre-tokenizer may cut, and a cut in the wrong place shows in the ids."""
    alphabet = byte_alphabet()
    lines = [[alphabet[b] for b in text.encode()] for text in texts]
    neighbours = sorted({pair for line in lines for pair in zip(line, line[1:])})
    found = []
    for _ in range(rounds):
        pairs = collections.Counter(pair for line in lines for pair in zip(line, line[1:]))
        (left, right), _ = max(pairs.items(), key=lambda item: (item[1], item[0]))
        found.append((left, right))
        for line in lines:
            i = 0
            while i + 1 < len(line):
                if line[i] == left and line[i + 1] == right:
                    line[i:i + 2] = [left + right]
                i += 1
    return found + [pair for pair in neighbours if pair not in set(found)]
